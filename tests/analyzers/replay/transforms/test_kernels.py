"""Do faster kernels shorten a step that waits for them, by just what the facts say, and no other step?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from llmprof.analyzers.facts.faster.faster_kernels import FIXES, faster_kernels
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.contended_tables import contended_tables
from llmprof.analyzers.facts.operators.saving import Saving, sum_of
from llmprof.analyzers.replay.gains import replays_of
from llmprof.analyzers.replay.model import Model, model_of
from llmprof.analyzers.replay.scenario import run
from llmprof.analyzers.replay.transforms.base import Level
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.analyzers.rules import fp8_opportunity, misaligned_matmul, unfused_attention
from llmprof.collectors.files import load
from llmprof.timeline.environment import Environment
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.analyzers.replay.programs import GAP, LAG, Call, asked, simulate
from tests.analyzers.rules.facts_builder import H200
from tests.scenarios.builder import TraceBuilder

BF16 = "c10::BFloat16"
ALIGN1 = "cutlass_80_tensorop_bf16_s16816gemm_bf16_128x256_32x3_tn_align1"
NVJET = "nvjet_sm90_tst_128x256_64x4_2x1_v_bz_coopA_NTN"
ELEMENTWISE = "void at::native::vectorized_elementwise_kernel<4>"
SOFTMAX = "void at::native::softmax_warp_forward<c10::BFloat16>"
TRACES = Path(__file__).resolve().parents[4].parent / "shared" / "traces" / "kineto_public"


@dataclass(frozen=True)
class Op:
    """An operator that works on the host, and launches one kernel."""

    name: str
    dims: tuple[tuple[int, ...], ...]
    kernel: str
    ns: int


def record(program: list[Op], work: int, steps: int = 4, *, rank: int = 0) -> RankTimeline:
    """The recording of `programs.simulate` with a launch for each operator, on an H200."""
    builder, now, free = TraceBuilder(), 100_000, -GAP
    for step in range(steps):
        begin = now
        for op in program:
            dims = [list(one) for one in op.dims]
            if op.name:
                builder.op(op.name, now, work + 5_000, shapes=(dims, [BF16 if one else "Scalar" for one in dims]))
            now += work
            start = max(now + 5_000 + LAG, free + GAP)
            builder.kernel(op.kernel, start, op.ns, launch_ns=now, launch_dur_ns=5_000)
            free, now = start + op.ns, now + 5_000
        builder.step(step, begin, now)
    return builder.rank(rank, environment=Environment(device=H200))


def after_ns(found: WhatIf, fix: str, level: Level = Level.EXPECTED) -> float:
    return found.outcome([fix], level).step_ns


def calls(program: list[Op], work: int) -> list[Call]:
    return [Call(work, "launch", op.ns) for op in program]


def products(odd_ns: int) -> list[Op]:
    """A model whose output layer is [16384, 1024] x [1024, 50257], and whose other products run at 0.7 of the peak."""
    flops = 2 * 16384 * 1024 * 4096
    aligned = Op("aten::mm", ((16384, 1024), (1024, 4096)), NVJET, int(flops / (0.7 * 989e12) * 1e9))
    table = Op("aten::embedding", ((50257, 1024), (16, 1024)), "indexing_backward", 20_000)
    odd = Op("aten::mm", ((16384, 1024), (1024, 50257)), ALIGN1, odd_ns)
    return [table, *[aligned] * 12, odd]


def test_a_device_bound_step_gets_shorter_by_what_the_product_saves() -> None:
    program = products(8_000_000)
    found = asked(record(program, 10_000))
    usual = 2 * 16384 * 1024 * 50257 / (0.7 * 989e12) * 1e9
    expected = simulate(calls([*program[:-1], replace(program[-1], ns=int(usual))], 10_000), 8)
    assert after_ns(found, "pad-vocabulary") == pytest.approx(expected, rel=2e-3)
    low = simulate(calls([*program[:-1], replace(program[-1], ns=int(8e6 - 0.75 * (8e6 - usual)))], 10_000), 8)
    assert after_ns(found, "pad-vocabulary", Level.LOW) == pytest.approx(low, rel=2e-3)


def test_a_host_bound_step_waits_for_its_host_as_before() -> None:
    program = products(4_000_000)
    found = asked(record(program, 800_000, steps=16))
    before = simulate(calls(program, 800_000), 8)
    assert after_ns(found, "pad-vocabulary") == pytest.approx(before, rel=1e-3)
    (alone,) = misaligned_matmul.evaluate(found.subject.facts).recommendations
    replays = replays_of(Timeline(ranks=found.model.ranks, kind="kineto", paths=("here",)), found.subject.facts)
    (one,) = replays.improved([alone])
    assert (one.gain.basis, one.gain.expected_ms) == ("replay", 0.0)
    assert "No gain is expected yet" in alone.why and "No gain is expected yet" not in one.why
    assert "still waits for the host" in one.why


def test_the_step_waits_for_the_host_once_the_kernels_are_fast_enough() -> None:
    """Half-way: the device takes 10 ms more than the host, and the product saves more than that."""
    program = products(12_000_000)
    work = 900_000
    found = asked(record(program, work))
    usual = 2 * 16384 * 1024 * 50257 / (0.7 * 989e12) * 1e9
    expected = simulate(calls([*program[:-1], replace(program[-1], ns=int(usual))], work), 8)
    saved = found.model.step_ns - after_ns(found, "pad-vocabulary")
    assert after_ns(found, "pad-vocabulary") == pytest.approx(expected, rel=5e-3)
    assert saved < 0.8 * (12e6 - usual)


HEADS, TOKENS, WIDTH = 64, 2048, 128
SCORES = (HEADS, TOKENS, TOKENS)


def attention() -> list[Op]:
    q, k = (HEADS, TOKENS, WIDTH), (HEADS, WIDTH, TOKENS)
    layer = [
        Op("aten::mm", ((16384, 4096), (4096, 4096)), NVJET, 800_000),
        Op("aten::bmm", (q, k), NVJET, 900_000),
        Op("aten::mul", (SCORES, ()), ELEMENTWISE, 700_000),
        Op("aten::_softmax", (SCORES, (), ()), SOFTMAX, 900_000),
        Op("aten::bmm", (SCORES, q), NVJET, 900_000),
    ]
    return layer * 3


def test_written_attention_becomes_one_kernel_of_the_rooflines_length() -> None:
    program = attention()
    found = asked(record(program, 10_000))
    saving = sum_of(savings(found.subject.facts, "sdpa-attention"))
    assert saving.ns == pytest.approx(3 * 3.4e6)
    assert saving.low_ns < saving.expected_ns < saving.high_ns
    left = 1 - saving.expected_ns / saving.ns
    faster = [op if op.name == "aten::mm" else replace(op, ns=int(op.ns * left)) for op in program]
    assert after_ns(found, "sdpa-attention") == pytest.approx(simulate(calls(faster, 10_000), 8), rel=5e-3)


def test_one_kernel_instead_of_four_also_launches_once_but_at_worst_nothing_is_promised_of_that() -> None:
    """A host-bound step: of 15 launches 12 are attention's, and three fused ones take their place."""
    work = 1_500_000
    found = asked(record(attention(), work))
    host = 15 * (work + 5_000)
    assert after_ns(found, "sdpa-attention") == pytest.approx(host * (3 + 12 / 4) / 15, rel=0.02)
    assert after_ns(found, "sdpa-attention", Level.LOW) == pytest.approx(host, rel=0.01)


def test_the_rule_and_the_replay_have_one_computation() -> None:
    found = asked(record(attention(), 10_000))
    (fix,) = unfused_attention.evaluate(found.subject.facts).recommendations
    saving = sum_of(savings(found.subject.facts, "sdpa-attention"))
    assert fix.gain.expected_ms == pytest.approx(saving.expected_ns / 1e6, rel=0.05)
    step = found.model.outcome.step_ns
    assert step - after_ns(found, "sdpa-attention") == pytest.approx(saving.expected_ns, rel=0.02)


def savings(facts: Facts, fix: str) -> tuple[Saving, ...]:
    critical = facts.critical
    answer = faster_kernels(fix, critical.operators, critical.environment.device)
    assert not isinstance(answer, str), answer
    return answer


def test_ranks_without_shapes_take_the_factors_by_kernel_names() -> None:
    """Two ranks of one program, of which only the first recorded shapes."""
    reduced = Op("", (), "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage)", 300_000)
    program = [*products(8_000_000), reduced]
    first, second = record(program, 10_000), record(program, 10_000, rank=1)
    assert second.events is not None
    blind = replace(second, events=replace(second.events, shapes={}))
    found = asked(first, blind)
    graph = found.applied(["pad-vocabulary"])[0].graph
    assert len(found.model.ranks) == 2
    before = found.model.scenario.graph
    saved = [float((before.dur - graph.dur)[before.rank == place].sum()) for place in (0, 1)]
    assert saved[0] == pytest.approx(saved[1])
    assert saved[0] > 0.4 * 4 * 8e6


@pytest.mark.parametrize("fix", sorted(FIXES))
def test_without_what_a_fix_is_about_it_says_so(fix: str) -> None:
    plain = [Op("aten::mm", ((16384, 1024), (1024, 4096)), NVJET, 200_000)] * 8
    fixes = asked(record(plain, 10_000)).predict([fix])
    if fix == "fp8":  # that a large product runs in 16 bits is all that it needs
        assert fixes.step_ns > 0 and not fixes.left_out
    else:
        assert fixes.left_out[fix] and not fixes.left_out[fix].endswith(".")


def test_fp8_is_possible_and_not_promised() -> None:
    plain = [Op("aten::mm", ((16384, 4096), (4096, 4096)), NVJET, 700_000)] * 8
    found = asked(record(plain, 10_000))
    assert after_ns(found, "fp8") == pytest.approx(run(found.model.scenario).step_ns)
    assert after_ns(found, "fp8", Level.HIGH) == pytest.approx(run(found.model.scenario).step_ns / 1.6, rel=0.02)
    replays = replays_of(Timeline(ranks=found.model.ranks, kind="kineto", paths=("here",)), found.subject.facts)
    (one,) = replays.improved(fp8_opportunity.evaluate(found.subject.facts).recommendations)
    assert (one.gain.expected_ms, one.gain.low_ms, one.gain.basis) == (0.0, 0.0, "prior")
    assert one.gain.high_ms > 0 and "No gain" not in one.why


@pytest.mark.parametrize(
    ("name", "fixes"),
    [
        ("tracelens_h100_qwen", {"fused-attention-backend", "fused-norm", "keep-layout", "fp8"}),
        ("tracelens_h100_owlv2", {"align-dimensions", "sdpa-attention", "keep-layout", "fp8"}),
    ],
)
def test_in_real_recordings_the_device_works_less_by_what_the_facts_say(name: str, fixes: set[str]) -> None:
    path = TRACES / f"{name}.json.gz"
    if not path.exists():
        pytest.skip("the public recordings are not beside this checkout")
    timeline = load([str(path)])
    facts = measure(timeline)
    model = model_of(timeline, facts)
    assert isinstance(model, Model)
    found = WhatIf.of(model, facts)
    assert fixes <= {fix for fix in FIXES if fix not in found.applied([fix])[1]}
    device = model.scenario.graph.on_device
    for fix in fixes:
        before, after = (one.dur[device].sum() for one in (model.scenario.graph, found.applied([fix])[0].graph))
        expected = sum_of(savings(facts, fix)).expected_ns
        assert (before - after) / model.traced.steps == pytest.approx(expected, rel=0.01, abs=1e3), fix


def test_compiling_pads_odd_products_as_well_and_no_product_is_padded_twice() -> None:
    """Inductor pads by itself: with or without a padded vocabulary the compiled step is the same, in any order."""
    program = products(8_000_000)
    found = asked(record(program, 10_000))
    padded = after_ns(found, "pad-vocabulary")
    assert after_ns(found, "torch-compile") == pytest.approx(padded, rel=2e-3)  # there is nothing to fuse
    for both in (["torch-compile", "pad-vocabulary"], ["pad-vocabulary", "torch-compile"]):
        for level in (Level.EXPECTED, Level.HIGH):
            compiled = after_ns(found, "torch-compile", level)
            assert found.outcome(both, level).step_ns == pytest.approx(compiled, rel=1e-3)
        # At worst the output layer is not compiled; what is padded by hand is padded all the same.
        low = after_ns(found, "pad-vocabulary", Level.LOW)
        assert found.outcome(both, Level.LOW).step_ns == pytest.approx(low, rel=1e-3)
    assert after_ns(found, "torch-compile", Level.LOW) == pytest.approx(found.model.outcome.step_ns, rel=1e-3)


def test_a_fused_loss_pads_its_odd_products_and_none_is_padded_twice() -> None:
    """With a vocabulary that is padded by hand as well the step is the same in any order, and shorter than with one."""
    logits = ((16384, 50257),)
    loss = [
        Op("aten::_log_softmax", logits, "cunn_SoftMaxForward<LogSoftMaxForward>", 3_000_000),
        Op("aten::_log_softmax_backward_data", logits * 2, "cunn_SoftMaxBackward<LogSoftMaxBackward>", 4_000_000),
    ]
    found = asked(record([*products(8_000_000), *loss], 10_000))
    alone, by_hand = after_ns(found, "fused-cross-entropy"), after_ns(found, "pad-vocabulary")
    before = found.model.outcome.step_ns
    facts = found.subject.facts
    saved = [sum_of(savings(facts, fix)).expected_ns for fix in ("fused-cross-entropy", "pad-vocabulary")]
    assert [before - alone, before - by_hand] == pytest.approx(saved, rel=0.03)
    for both in (["fused-cross-entropy", "pad-vocabulary"], ["pad-vocabulary", "fused-cross-entropy"]):
        assert found.outcome(both, Level.EXPECTED).step_ns == pytest.approx(alone, rel=1e-3)


def test_compiled_the_gradient_of_a_small_table_takes_its_atomic_additions() -> None:
    """A million look-ups in a table of 32 rows: 2 ms of PyTorch's kernels become what the facts say, three ways."""
    pairs = (1024, 1024)
    small = [
        Op("aten::embedding", ((32, 16), pairs), "indexing_backward", 300_000),
        Op("aten::embedding_dense_backward", ((*pairs, 16), pairs), "compute_grad_weight", 2_000_000),
    ]
    found = asked(record([*products(8_000_000)[1:-1], *small], 10_000))
    operators = found.subject.facts.critical.operators
    assert operators is not None
    (table,) = contended_tables(operators.work)
    times = {Level.LOW: table.worst_ns, Level.EXPECTED: table.expected_ns, Level.HIGH: table.best_ns}
    for level, ns in times.items():
        more = after_ns(found, "torch-compile", level) - found.model.step_ns
        assert more == pytest.approx(ns - 2e6, rel=0.02), level
