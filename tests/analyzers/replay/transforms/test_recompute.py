"""Does keeping activations save what fits, in the one way or the other?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.faster.kept_activations import FIT_SHARE
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.replay.model import Model, model_of
from llmprof.analyzers.replay.transforms.base import Level
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.environment import Environment
from llmprof.timeline.timeline import Timeline
from tests.analyzers.rules.facts_builder import H200
from tests.scenarios.builder import TraceBuilder

GEMM, GELU = 800_000, 200_000
LAYERS, STEPS = 4, 4
RESULT = 2 * 16384 * 4096  # of a product; the elementwise operator has one of the same size
NVJET = "nvjet_sm90_tst_128x256_64x4_2x1_v_bz_coopA_NTN"
CAPACITY = 100 * RESULT


ENTER = 200_000


def watched(blocks: int = 6) -> WhatIf:
    """Checkpointed blocks of one product, after each of which the host waits for the device: all of that is exposed.

    Before each the host keeps the states of the random generators, which takes it ENTER.
    """
    builder, now, free_at = TraceBuilder(), 100_000, 0
    shapes = ([[16384, 4096], [4096, 4096]], ["c10::BFloat16"] * 2)
    for step in range(STEPS):
        begin = now
        for backward in (False, True):
            for _ in range(blocks):
                opened = now
                if not backward:
                    builder.runtime("cudaStreamIsCapturing", now + 50_000, 1_000)
                    builder.op("aten::empty", now + ENTER - 5_000, 5_000)
                    now += ENTER
                builder.op("aten::linear", now, 30_000, shapes=shapes)
                builder.op("aten::mm", now + 1_000, 28_000, shapes=shapes)
                start = max(now + 20_000, free_at + 1_000)
                builder.kernel(NVJET, start, GEMM, launch_ns=now + 10_000, launch_dur_ns=5_000)
                now, free_at = now + 30_000, start + GEMM
                if backward:
                    builder.op("aten::mm", now, 30_000, shapes=shapes)
                    builder.kernel(NVJET, free_at + 1_000, GEMM, launch_ns=now + 10_000, launch_dur_ns=5_000)
                    now, free_at = now + 30_000, free_at + 1_000 + GEMM
                    builder.op("autograd::engine::evaluate_function: LinearBackward0", opened, now - opened + 1_000)
                    now += 2_000
                else:
                    builder.op("aten::item", now, free_at + 2_000 - now)
                    builder.runtime("cudaStreamSynchronize", now + 500, free_at + 1_000 - now)
                    now = free_at + 2_000
        builder.step(step, begin, now)
    timeline = Timeline(ranks=(builder.rank(environment=Environment(device=H200)),), kind="kineto", paths=("here",))
    facts = measure(timeline)
    model = model_of(timeline, facts)
    assert isinstance(model, Model), model
    return WhatIf.of(model, facts)


def test_without_checkpoints_the_host_enters_each_block_at_once() -> None:
    """The product that is computed again goes; and of the host, which the device waits for, what a checkpoint costs."""
    found, blocks = watched(), 6
    before = found.model.outcome.step_ns
    low, expected = (before - found.outcome(["drop-recompute"], level).step_ns for level in (Level.LOW, Level.EXPECTED))
    assert low == pytest.approx(blocks * GEMM, rel=0.02)
    # The first block of a step is entered while the device still works on the step before.
    assert expected - low == pytest.approx((blocks - 1) * ENTER, rel=0.05)


def checkpointed(free: float | None) -> WhatIf:
    """Layers of a product and a GELU, forward and again inside backward; the device never waits."""
    builder, now, free_at = TraceBuilder(), 100_000, 0
    shapes = {
        "aten::linear": ([[16384, 4096], [4096, 4096]], ["c10::BFloat16"] * 2),
        "aten::gelu": ([[16384, 4096]], ["c10::BFloat16"]),
    }

    def launch(name: str, kernel: str, ns: int) -> None:
        nonlocal now, free_at
        inner = "aten::mm" if name == "aten::linear" else name
        builder.op(name, now, 30_000, shapes=shapes[name])
        if inner != name:
            builder.op(inner, now + 1_000, 28_000, shapes=shapes[name])
        start = max(now + 20_000, free_at + 1_000)
        builder.kernel(kernel, start, ns, launch_ns=now + 10_000, launch_dur_ns=5_000)
        now, free_at = now + 30_000, start + ns

    for step in range(STEPS):
        begin = now
        for backward in (False, True):
            for _ in range(LAYERS):
                now += 2_000
                opened = now
                launch("aten::linear", NVJET, GEMM)
                launch("aten::gelu", "void at::native::vectorized_elementwise_kernel<4>", GELU)
                if backward:
                    name = "autograd::engine::evaluate_function: LinearBackward0"
                    builder.op(name, opened - 500, now - opened + 1_000)
        builder.step(step, begin, now)
    rank = builder.rank(environment=Environment(device=H200))
    timeline = Timeline(ranks=(rank,), kind="kineto", paths=("here",), world_size=1)
    facts = measure(timeline)
    assert facts.critical.operators is not None and facts.critical.operators.recompute is not None
    if free is not None:
        memory = MemoryFacts(capacity_bytes=CAPACITY, peak_allocated_bytes=int(FIT_SHARE * CAPACITY - free))
        one = replace(facts.critical, memory=memory)
        facts = replace(facts, critical=one, ranks={0: one})
    model = model_of(timeline, facts)
    assert isinstance(model, Model), model
    return WhatIf.of(model, facts)


def device_ns(found: WhatIf, fix: str, level: Level = Level.EXPECTED) -> float:
    """What of the device's time a step the fix takes away."""
    before, after = found.model.scenario.graph, found.applied([fix], level)[0].graph
    return float((before.dur - after.dur)[before.on_device].sum()) / STEPS


ALL = LAYERS * (GEMM + GELU)


def test_checkpointing_taken_off_saves_all_that_was_computed_again() -> None:
    found = checkpointed(None)
    assert device_ns(found, "drop-recompute") == pytest.approx(ALL, rel=1e-3)


def test_with_little_room_the_results_of_products_are_kept() -> None:
    """Half of all results fit, which is all of the products': 4 x 0.8 ms against half of 4 ms."""
    found = checkpointed(LAYERS * RESULT)
    assert device_ns(found, "selective-recompute") == pytest.approx(LAYERS * GEMM, rel=1e-3)
    assert device_ns(found, "selective-recompute", Level.LOW) == pytest.approx(ALL / 2, rel=1e-3)


def test_with_room_for_nearly_everything_fewer_blocks_are_checkpointed() -> None:
    found = checkpointed(0.9 * 2 * LAYERS * RESULT)
    assert device_ns(found, "selective-recompute") == pytest.approx(0.9 * ALL, rel=1e-3)
    host = found.model.scenario.graph.on_host
    before, after = (
        one.before_lag[host].sum()
        for one in (found.model.scenario.graph, found.applied(["selective-recompute"])[0].graph)
    )
    assert after < before  # launches of blocks that are kept go too


def test_without_the_free_memory_the_interval_is_wide() -> None:
    found = checkpointed(None)
    low, expected, high = (device_ns(found, "selective-recompute", level) for level in Level)
    assert (low, expected, high) == pytest.approx((LAYERS * GEMM / 2, LAYERS * GEMM, ALL), rel=1e-3)
