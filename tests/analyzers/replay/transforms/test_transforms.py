"""Does each transform change what its fix changes, and does the replay say when that does not help?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.replay.feeds import Feed
from llmprof.analyzers.replay.scenario import Scenario, run
from llmprof.analyzers.replay.transforms.base import Level, Subject
from llmprof.analyzers.replay.transforms.loader import apply, crowded, less_work, with_enough_workers
from llmprof.analyzers.replay.transforms.registry import chance_ns, transforms_by_fix
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.analyzers.rules.fixes import FIXES
from llmprof.timeline.environment import Environment
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.replay.programs import Call, asked, record, simulate
from tests.analyzers.rules.test_input_starvation import batches
from tests.scenarios.builder import TraceBuilder


def gain(found: WhatIf, *fixes: str) -> float:
    """The share of the step that the fixes save."""
    return 1 - found.predict(fixes).step_ns / found.model.step_ns


def test_every_transform_stands_for_a_known_fix() -> None:
    assert set(transforms_by_fix()) <= set(FIXES)


def test_a_fix_is_as_sure_as_what_it_takes_away_was_steady() -> None:
    """The wait for batches is known to 3 ms, and that for other ranks varies by 4 ms from step to step."""
    subject = asked(record([Call(20_000, "launch", 50_000)] * 10)).subject
    known = subject.facts.critical
    assert known.traced is not None
    loader, traced = LoaderFacts(wait_error_ns=3e6), replace(known.traced, spread={"skew": 4e6})
    critical = replace(known, loader=loader, traced=traced)
    told = replace(subject, facts=replace(subject.facts, critical=critical, ranks={known.rank: critical}))
    found = [chance_ns(fix, told) for fix in ("dataloader-workers", "balance-batches", "tf32")]
    assert found == pytest.approx([3e6, 4e6 / subject.graph.steps**0.5, 0.0])


@pytest.mark.parametrize("fix", sorted(transforms_by_fix()))
@pytest.mark.parametrize("level", Level)
def test_a_transform_answers_for_any_step_and_keeps_its_nodes(fix: str, level: Level) -> None:
    found = asked(record([Call(20_000, "launch", 50_000)] * 10 + [Call(5_000, "sync")]))
    subject = Subject(ranks=found.model.ranks, facts=found.subject.facts, graph=found.model.traced)
    changed = transforms_by_fix()[fix](fix, found.model.scenario, subject, level)
    if isinstance(changed, str):
        assert changed and not changed.endswith(".")
    else:
        assert len(changed.graph) == len(found.model.traced)
        assert np.isfinite(run(changed).step_ns)


def test_removing_syncs_from_a_launch_bound_step_changes_nearly_nothing() -> None:
    # Every layer reads a value, but the device is done long before the host asks.
    layer = [Call(150_000, "launch", 10_000), Call(50_000, "sync")]
    found = asked(record(layer * 20))
    assert gain(found, "remove-sync") < 0.05


def test_removing_syncs_from_a_device_bound_step_hides_the_host_behind_the_device() -> None:
    layer = [Call(100_000, "launch", 300_000), Call(2_000, "sync")]
    without = [Call(102_000, "launch", 300_000)]
    found = asked(record(layer * 20))
    expected = 1 - simulate(without * 20, 8) / simulate(layer * 20, 8)
    assert expected > 0.2
    assert gain(found, "remove-sync") == pytest.approx(expected, abs=0.02)


def test_a_graph_with_syncs_inside_needs_them_out_first() -> None:
    found = asked(record([Call(100_000, "launch", 10_000), Call(20_000, "sync")] * 10))
    assert "sync" in found.predict(["cuda-graphs"]).left_out["cuda-graphs"]
    assert gain(found, "cuda-graphs", "remove-sync") > 0.5


def test_a_graph_gives_a_launch_bound_step_back_to_the_device() -> None:
    found = asked(record([Call(100_000, "launch", 20_000)] * 30))
    after = found.predict(["cuda-graphs"])
    assert after.least_ns <= after.step_ns <= after.most_ns
    assert gain(found, "cuda-graphs") == pytest.approx(0.79, abs=0.08)  # the device alone would be 0.8 shorter


def reduced(inside: int, after: int, *, hand: bool = True, marked: bool = False) -> RankTimeline:
    """Forward on thread 1, backward on thread 2, each `inside` launches of 100 µs; then `after` gradients by hand.

    Not by hand: the backward thread launches the collectives, as hooks of DDP do; marked: the copies as DDP's own.
    """
    builder = TraceBuilder()
    now = 0
    for step in range(4):
        begin = now
        backward = begin + inside * 100_000
        builder.op("autograd::engine::evaluate_function: MmBackward0", backward, inside * 100_000, tid=2)
        for place in range(2 * inside):
            tid = 1 if place < inside else 2
            builder.kernel("ampere_bf16_gemm", now + 99_000, 10_000, launch_ns=now + 90_000, tid=tid)
            now += 100_000
        for _ in range(after):
            tid = 1 if hand else 2
            if marked:
                builder.op("torch::distributed::reducer::mul_out", now + 30_000, 18_000, tid=tid)
            builder.kernel("vectorized_elementwise_kernel", now + 49_000, 2_000, launch_ns=now + 40_000, tid=tid)
            builder.kernel("ncclDevKernel_AllReduce", now + 99_000, 2_000, launch_ns=now + 90_000, tid=tid)
            now += 100_000
        now += 20_000
        builder.step(step, begin, now)
    return builder.rank()


def test_gradients_that_are_reduced_by_hand_are_not_in_the_graph() -> None:
    """3 of 4 ms are forward and backward, of which 0.15 stays; the loop of 1 ms launches as before."""
    assert gain(asked(reduced(15, 10)), "cuda-graphs") == pytest.approx(0.85 * 3 / 4, abs=0.03)


def test_ddp_launches_as_much_for_each_gradient_as_a_loop_does() -> None:
    """A copy into the bucket and one back: where the host sets the pace, two launches in place of two save nothing."""
    assert gain(asked(reduced(15, 10)), "wrap-ddp") < 0.01


def test_collectives_inside_the_model_break_its_graph() -> None:
    """Half of the launches stays: of those of the collectives, outside of the graphs, all."""
    found = asked(reduced(15, 10, hand=False))
    after = found.predict(["cuda-graphs"])
    assert gain(found, "cuda-graphs") == pytest.approx(0.5 * 3.5 / 4, abs=0.04)
    assert after.most_ns > 0.75 * found.model.step_ns


def test_a_model_that_is_wrapped_as_well_is_no_single_graph_any_more() -> None:
    """Hooks of DDP issue the buckets inside the model: of its 3 ms of launches half stays, and not 0.15.

    So the second fix takes away from what the first one brings, whichever is named first.
    """
    found = asked(reduced(15, 10))
    captured, wrapped, *joint = (
        found.predict(fixes).step_ns
        for fixes in (["cuda-graphs"], ["wrap-ddp"], ["wrap-ddp", "cuda-graphs"], ["cuda-graphs", "wrap-ddp"])
    )
    assert joint[0] == joint[1]
    assert wrapped - joint[0] == pytest.approx(0.5 * 3e6, rel=0.05)
    assert joint[0] > captured + 1e6


def test_copies_into_buckets_are_not_compiled() -> None:
    """Hooks of DDP make them: where they are marked, their launches stay, 0.5 of 4 ms, and so does the other half."""
    known, marked = (asked(reduced(15, 10, hand=False, marked=marked)) for marked in (False, True))
    assert gain(marked, "cuda-graphs") == pytest.approx(0.5 * 3 / 4, abs=0.04)
    assert gain(known, "cuda-graphs") > gain(marked, "cuda-graphs") + 0.03


def test_a_graph_does_not_shorten_a_device_bound_step() -> None:
    found = asked(record([Call(5_000, "launch", 300_000)] * 30))
    assert gain(found, "cuda-graphs") < 0.01


def test_kernels_of_a_graph_follow_on_each_other_as_long_as_they_were_recorded() -> None:
    """Of a gap of 1 µs between kernels of 10 µs next to nothing is left: their recorded start is a part of them."""
    found = asked(record([Call(2_000, "launch", 10_000)] * 200))
    assert gain(found, "cuda-graphs") == pytest.approx(0.9 * 1 / 11, abs=0.01)


def optimizer_loop(kernels: int, step_ns: int = 4_000_000) -> RankTimeline:
    builder = TraceBuilder()
    for step in range(4):
        begin = step * step_ns
        builder.kernel("ampere_bf16_gemm", begin + 30_000, 400_000, launch_ns=begin + 10_000)
        builder.annotation("Optimizer.step#AdamW.step", begin + 500_000, step_ns - 600_000)
        for place in range(kernels):
            at = begin + 510_000 + place * (step_ns - 700_000) // kernels
            builder.kernel("void at::native::vectorized_elementwise_kernel<4>", at + 8_000, 3_000, launch_ns=at)
        builder.step(step, begin, begin + step_ns)
    return builder.rank()


def test_a_fused_sgd_moves_no_less_where_it_makes_one_operation() -> None:
    """4 list operations of 500 us a step, one kind of operation: there is nothing to fuse but their gaps."""

    def updated(*operations: str) -> WhatIf:
        builder = TraceBuilder()
        for step in range(4):
            begin = step * 3_000_000
            builder.kernel("ampere_bf16_gemm", begin + 30_000, 900_000, launch_ns=begin + 10_000)
            builder.annotation("Optimizer.step#SGD.step", begin + 100_000, 60_000)
            for place in range(4):
                at = begin + 105_000 + place * 12_000
                builder.op(f"aten::_foreach_{operations[place % len(operations)]}", at - 1_000, 10_000)
                name = "void at::native::(anonymous namespace)::multi_tensor_apply_kernel<BinaryOpListAlphaFunctor>"
                builder.kernel(name, begin + 932_000 + place * 502_000, 500_000, launch_ns=at)
            builder.runtime("cudaDeviceSynchronize", begin + 170_000, 2_800_000)
            builder.step(step, begin, begin + 3_000_000)
        return asked(builder.rank())

    assert gain(updated("add_"), "fused-optimizer") < 0.01
    assert gain(updated("mul_", "add_"), "fused-optimizer") == pytest.approx(12 / 32 * 2 / 3, abs=0.02)


def test_a_fused_optimizer_takes_most_of_a_for_loop_away() -> None:
    found = asked(optimizer_loop(100))
    # 3.3 of 4 ms are the optimizer's launches; a twentieth stays.
    assert gain(found, "fused-optimizer") == pytest.approx(0.95 * 3.3 / 4, abs=0.06)
    assert gain(found, "foreach-optimizer") < gain(found, "fused-optimizer")


def fetching(wait_ns: int, iterator: str) -> RankTimeline:
    builder = TraceBuilder()
    for step in range(4):
        begin = step * (wait_ns + 3_000_000)
        builder.annotation(f"enumerate(DataLoader)#{iterator}.__next__", begin, wait_ns)
        for place in range(20):
            at = begin + wait_ns + 10_000 + place * 10_000
            builder.kernel("ampere_bf16_gemm", begin + wait_ns + 20_000 + place * 100_000, 99_000, launch_ns=at)
        builder.step(step, begin, begin + wait_ns + 3_000_000)
    return builder.rank()


@pytest.mark.parametrize("iterator", ["_SingleProcessDataLoaderIter", "_MultiProcessingDataLoaderIter"])
def test_workers_take_the_wait_for_batches_out(iterator: str) -> None:
    found = asked(fetching(6_000_000, iterator))
    after = found.predict(["dataloader-workers"])
    assert found.model.step_ns == pytest.approx(9_000_000, rel=0.04)
    assert 1_900_000 < after.step_ns < 3_300_000


def test_as_many_workers_are_replayed_as_the_slowest_batches_need() -> None:
    """The mean load asks for two workers; one batch in eight takes ten times as long, and all behind it wait."""
    loads = tuple(10_000_000.0 if n % 8 else 100_000_000.0 for n in range(40))
    feed = Feed(fetches=1.0, workers=1, loads_ns=loads)
    subject = asked(fetching(6_000_000, "_MultiProcessingDataLoaderIter")).subject
    found = with_enough_workers(feed, 12_000_000.0, subject, 0, Level.EXPECTED)
    assert found.step_ns(12_000_000.0) < 1.01 * 12_000_000.0
    assert replace(found, workers=2).step_ns(12_000_000.0) > 1.01 * 12_000_000.0


def decoding(workers: int, cpu_ms: float = 60.0, cores: float | None = 16.0) -> Feed:
    """Loads of 60 ms on a core of one's own."""
    return Feed(fetches=1.0, workers=workers, loads_ns=(60e6,) * 8, cpu_ns=cpu_ms * 1e6, cores=cores)


def test_loads_are_slowed_by_the_workers_that_come_to_those_they_were_recorded_beside() -> None:
    """On 16 cores that are hyperthreads: from 1 thread to 16 by a third, of 4 and of 12 by what lies between them."""
    assert decoding(16).crowded(1.0, 16.0).loads_ns == pytest.approx((80e6,) * 8)
    assert decoding(4).crowded(4.0, 12.0).loads_ns == pytest.approx((60e6 * (1 + 11 / 45) / (1 + 3 / 45),) * 8)
    assert decoding(8, cores=None).crowded(1.0, 16.0) == decoding(8, cores=None)


def test_as_many_workers_as_were_recorded_take_what_they_took() -> None:
    """Each with its own pace: what slows them is in what was recorded already."""
    feed = replace(decoding(4), paces=(1.1, 0.9, 1.1, 0.9))
    assert feed.crowded(4.5, 4.5) == feed


def test_workers_that_wait_for_a_store_are_hardly_slowed() -> None:
    assert decoding(8, cpu_ms=6.0).crowded(1.0, 8.0).loads_ns == pytest.approx((60e6,) * 8, rel=0.02)


def test_busy_workers_slow_the_thread_that_trains_and_sleeping_ones_do_not() -> None:
    found = asked(fetching(6_000_000, "_MultiProcessingDataLoaderIter"))
    own = found.model.outcome.replayed.step_ns
    busy = Feed(fetches=1.0, workers=16, loads_ns=(8 * own,), cpu_ns=8 * own, cores=17.0)
    slower, _ = crowded(found.model.scenario, 0, 1.0, busy, own, Level.EXPECTED)
    host = found.model.scenario.graph.on_host
    before = found.model.scenario.graph.before_lag[host].sum()
    # Eight of the other sixteen cores are in use: half of the time there is a neighbour.
    assert slower.graph.before_lag[host].sum() == pytest.approx((1 + 1 / 3 / 2) * before)
    idle, _ = crowded(found.model.scenario, 0, 1.0, replace(busy, cpu_ns=1.0), own, Level.EXPECTED)
    assert idle.graph.before_lag[host].sum() == pytest.approx(before)


def test_a_wait_that_may_be_chance_is_promised_as_often_as_it_comes_in_the_run() -> None:
    """A deeper queue hides all of the one long batch: in the run there are four times as many others beside it."""
    found = asked(fetching(50_000, "_MultiProcessingDataLoaderIter"))
    own = found.model.outcome.replayed.step_ns
    few, whole = (28 * own, *[own] * 9), (28 * own, *[own] * 39)

    def fed(feed: Feed) -> WhatIf:
        scenario = replace(found.model.scenario, feeds={0: feed})
        return WhatIf.of(replace(found.model, scenario=scenario, outcome=run(scenario)), found.subject.facts)

    recorded = fed(Feed(fetches=1.0, workers=4, loads_ns=few))
    usual = fed(Feed(fetches=1.0, workers=4, loads_ns=few, run_ns=whole))
    # 20 of 28 steps are waited for, every 10 batches and every 40.
    assert gain(recorded, "dataloader-prefetch") == pytest.approx(2 / 3, abs=0.06)
    assert gain(usual, "dataloader-prefetch") == pytest.approx(0.5 / 1.5, abs=0.06)
    assert usual.predict(["dataloader-prefetch"]).least_ns <= recorded.predict(["dataloader-prefetch"]).step_ns


@pytest.mark.parametrize(
    ("fix", "step_ms"), [("offline-preprocessing", (60 - 40 / 2) / 2), ("packed-dataset", (60 - 20 / 2) / 2)]
)
def test_half_of_the_work_on_a_batch_done_beforehand_is_half_of_that_part_of_each_load(
    fix: str, step_ms: float
) -> None:
    """Two workers take 60 ms for a batch, 40 of them of a core: they set the pace of a step of 3 ms."""
    found = asked(fetching(50_000, "_MultiProcessingDataLoaderIter"))
    scenario = replace(found.model.scenario, feeds={0: decoding(2, cpu_ms=40.0)})
    after, most, least = (
        apply(fix, scenario, found.subject, level) for level in (Level.EXPECTED, Level.LOW, Level.HIGH)
    )
    assert isinstance(after, Scenario) and isinstance(most, Scenario) and isinstance(least, Scenario)
    assert run(after).step_ns == pytest.approx(step_ms * 1e6)
    assert run(most).step_ns == pytest.approx(run(scenario).step_ns)  # it may be that nothing of it can be done before
    assert run(least).step_ns == pytest.approx((2 * step_ms - 30) * 1e6)


@pytest.mark.parametrize(("fix", "saved_ms"), [("offline-preprocessing", 4 / 2), ("packed-dataset", 2 / 2)])
def test_half_of_the_work_on_a_batch_is_spared_where_the_training_process_does_it(fix: str, saved_ms: float) -> None:
    """Each step makes a batch for 6 ms and computes 4 of them, by its own clock; not known, nothing is replayed."""
    found = asked(fetching(6_000_000, "_SingleProcessDataLoaderIter"))
    assert found.predict([fix]).left_out[fix]
    critical = found.subject.facts.critical
    assert critical.loader is not None
    times = batches(6.0, cpu_ms=4.0)
    known = replace(critical, loader=replace(critical.loader, times=times))
    facts = replace(found.subject.facts, ranks={known.rank: known}, critical=known)
    asking = WhatIf.of(found.model, facts)
    after, most = asking.outcome([fix]), asking.outcome([fix], Level.HIGH)
    before = found.model.outcome.step_ns
    assert before - after.step_ns == pytest.approx(saved_ms * 1e6, rel=0.02)
    assert before - most.step_ns == pytest.approx(2 * saved_ms * 1e6, rel=0.02)


def test_large_files_spare_the_wait_of_the_batches_that_wait() -> None:
    """One batch in four waits 400 ms for the store: half of that goes, and nothing of the others' decoding."""
    feed = Feed(fetches=1.0, workers=2, loads_ns=(20e6, 20e6, 20e6, 420e6), cpu_ns=20e6)
    assert less_work(feed, 0.5, cpu=False).loads_ns == pytest.approx((20e6, 20e6, 20e6, 220e6))


def test_smaller_batches_take_the_thread_that_pins_less_and_nobody_else() -> None:
    found = asked(fetching(6_000_000, "_MultiProcessingDataLoaderIter"))
    assert found.predict(["compact-batches"]).left_out["compact-batches"]
    own = run(found.model.scenario).replayed.step_ns
    feed = Feed(fetches=1.0, workers=8, loads_ns=(own,), passing_ns=4 * own)
    pinning = replace(found.model.scenario, feeds={0: feed})
    after = apply("compact-batches", pinning, found.subject, Level.EXPECTED)
    assert isinstance(after, Scenario)
    assert (run(pinning).step_ns, run(after).step_ns) == (pytest.approx(4 * own), pytest.approx(2 * own))


def test_workers_do_not_help_a_step_that_does_not_wait() -> None:
    found = asked(fetching(50_000, "_MultiProcessingDataLoaderIter"))
    assert found.predict(["dataloader-workers"]).left_out["dataloader-workers"]


def test_the_wait_for_workers_is_not_there_to_be_won_by_other_fixes() -> None:
    found = asked(fetching(6_000_000, "_MultiProcessingDataLoaderIter"))
    assert gain(found, "torch-compile") == pytest.approx(0, abs=0.001)


def test_bf16_shortens_fp32_products_by_the_ratio_of_the_peaks_and_no_others() -> None:
    device = replace(Environment().device, name="NVIDIA H200", sm_count=132)
    program = [Call(5_000, "launch", 2_000_000)] * 20
    found = asked(record(program, environment=Environment(device=device)))
    # 67 against 989 TFLOP/s, and a tenth more.
    assert gain(found, "bf16-autocast") == pytest.approx(1 - 1.1 * 67 / 989, abs=0.01)
    assert gain(found, "tf32") < gain(found, "bf16-autocast")


SIMT = "sm80_xmma_gemm_f32f32_f32f32_f32_nt_n_tilesize32x32x8_stage3_ffma_aligna4_alignc4_execute_kernel"
IMAGE, WEIGHT = [96, 64, 48, 48], [64, 64, 3, 3]


def convolutions(each: int, calls: int = 20, work: int = 10_000, steps: int = 8) -> WhatIf:
    """Each call of a convolution in fp32 launches so many kernels of 1 µs; the device waits for its host."""
    builder, now = TraceBuilder(), 100_000
    norm = "void cudnn::batchnorm_fwtr_nhwc_semiPersist<float, float, float, 512, 16, 2, 4, 1, 0>"
    for step in range(steps):
        begin = now
        builder.op("aten::cudnn_batch_norm", now, 20_000, shapes=([IMAGE, [64]], ["float", "float"]))
        builder.kernel(norm, now + 15_000, 1_000, launch_ns=now + 5_000)
        now += 20_000
        for _ in range(calls):
            builder.op("aten::convolution", now, each * work + 2_000, shapes=([IMAGE, WEIGHT], ["float", "float"]))
            for place in range(each):
                at = now + place * work
                builder.kernel(SIMT, at + work, 1_000, launch_ns=at + work - 5_000)
            now += each * work + 2_000
        builder.step(step, begin, now)
    device = replace(Environment().device, name="NVIDIA H200", sm_count=132)
    return asked(builder.rank(environment=Environment(device=device)))


@pytest.mark.parametrize(("each", "left"), [(5, 1), (1, 1)])
def test_a_convolution_of_many_kernels_is_one_on_tensor_cores(each: int, left: int) -> None:
    """Of a host-bound step the launches beyond the first go, but at worst none does."""
    found = convolutions(each)
    work, calls, rest = 10_000, 20, 20_000 + 20 * 2_000
    before = calls * each * work + rest
    assert found.model.outcome.step_ns == pytest.approx(before, rel=0.02)
    assert found.outcome(["tf32"]).step_ns == pytest.approx(calls * left * work + rest, rel=0.03)
    assert found.outcome(["tf32"], Level.LOW).step_ns == pytest.approx(before, rel=0.02)


def test_a_larger_batch_helps_a_launch_bound_step_and_not_a_device_bound_one() -> None:
    assert gain(asked(record([Call(100_000, "launch", 10_000)] * 20)), "larger-batch") == pytest.approx(0.5, abs=0.02)
    assert gain(asked(record([Call(5_000, "launch", 300_000)] * 20)), "larger-batch") < 0.1


def test_several_fixes_are_replayed_together_never_added() -> None:
    found = asked(optimizer_loop(100))
    together = gain(found, "fused-optimizer", "foreach-optimizer", "torch-compile")
    assert together < gain(found, "fused-optimizer") + gain(found, "foreach-optimizer")
    order = found.greedy(["torch-compile", "fused-optimizer"])
    assert [fix for fix, _ in order] == ["fused-optimizer", "torch-compile"]
    assert order[0][1] >= order[1][1]


def test_an_unknown_fix_is_an_error() -> None:
    with pytest.raises(KeyError):
        asked(record([Call(5_000, "launch", 300_000)] * 5)).predict(["no-such-fix"])


def test_a_loader_without_workers_is_known_by_its_facts() -> None:
    facts = asked(fetching(6_000_000, "_SingleProcessDataLoaderIter")).subject.facts
    assert isinstance(facts.critical.loader, LoaderFacts) and facts.critical.loader.in_process


def test_nothing_is_expected_of_pieces_that_are_compiled_between_reductions() -> None:
    """A late host whose model holds collectives: compiled as one it launches less, compiled in pieces it may not."""
    name = "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>>(int)"
    layer = [Call(60_000, "launch", 10_000)] + [Call(60_000, "launch", 10_000, name=name)] * 11
    assert gain(asked(record(layer * 5)), "torch-compile") > 0.2
    reduction = Call(60_000, "launch", 10_000, name="ncclDevKernel_AllReduce_Sum_f32_RING_LL")
    reduced = asked(record([*layer * 4, reduction, *layer]))
    found = reduced.predict(["torch-compile"])
    assert found.step_ns == pytest.approx(reduced.model.step_ns, rel=0.02)
    assert found.least_ns < 0.8 * reduced.model.step_ns
