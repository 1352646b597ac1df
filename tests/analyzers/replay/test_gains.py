"""Do recommendations get replayed gains where the replay is true, and keep their bounds where it is not?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.diagnosis import Combined, Gain, Recommendation
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.replay.feeds import Feed
from llmprof.analyzers.replay.gains import Replays, replays_of
from llmprof.analyzers.replay.scenario import run
from llmprof.analyzers.replay.unprofiled.distortion import Distortion
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.environment import LoaderSettings
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.analyzers.replay.programs import Call, asked, record
from tests.scenarios.builder import TraceBuilder

LAUNCH_BOUND = [Call(100_000, "launch", 10_000)] * 20


def replays(rank: RankTimeline, step_ms: float | None = None) -> Replays:
    timeline = Timeline(ranks=(rank,), kind="kineto", paths=("here",), world_size=1)
    return replays_of(timeline, measure(timeline, step_ms=step_ms))


def recommended(fix: str, **changes: object) -> Recommendation:
    one = Recommendation(
        id=fix,
        rule="some-rule",
        action="Do it",
        why="It helps.",
        how="so",
        gain=Gain(expected_ms=1.0, low_ms=0.5, high_ms=1.5, memory_bytes=7),
        verify="try",
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def test_a_replayed_gain_replaces_the_bound() -> None:
    found = replays(record(LAUNCH_BOUND))
    (one,) = found.improved([recommended("cuda-graphs")])
    assert one.gain.basis == "replay"
    assert one.gain.low_ms <= one.gain.expected_ms <= one.gain.high_ms
    assert one.gain.expected_ms > 1.0
    assert one.gain.memory_bytes == 7  # what the rule knows of memory stays
    assert found.error is not None and found.error < 0.01


def test_a_fix_that_does_not_shorten_the_step_says_what_the_step_waits_for() -> None:
    rank = record([Call(150_000, "launch", 10_000), Call(50_000, "sync")] * 20)
    slow_sync = recommended("pin-memory")
    assert replays(rank).improved([slow_sync]) == [slow_sync]  # no copy blocks: the rule knows more
    (one,) = replays(record([Call(5_000, "launch", 300_000)] * 20)).improved([recommended("cuda-graphs")])
    assert (one.gain.expected_ms, one.gain.low_ms, one.gain.speedup) == (0.0, 0.0, 1.0)
    assert "still waits for the kernels of the device" in one.why


def test_fixes_without_a_transform_and_costs_of_memory_fixes_stay() -> None:
    found = replays(record(LAUNCH_BOUND))
    cost = recommended("cuda-graphs", gain=Gain(expected_ms=-2.0, low_ms=-3.0, high_ms=-1.0))
    other = recommended("numa-binding")
    assert found.improved([cost, other]) == [cost, other]


def test_what_a_fix_requires_is_replayed_with_it() -> None:
    found = replays(record([Call(100_000, "launch", 10_000), Call(20_000, "sync")] * 10))
    alone, joint = found.improved([recommended("cuda-graphs"), recommended("cuda-graphs", requires=("remove-sync",))])
    assert alone.gain.basis == "bound"
    assert joint.gain.basis == "replay" and joint.gain.expected_ms > 0


def test_a_replay_that_misses_the_step_promises_nothing() -> None:
    # The run is said to take three times as long as the trace: a stall outside of it.
    found = replays(record(LAUNCH_BOUND), step_ms=6.3)
    assert found.error is not None and found.error > 0.05
    assert "the replay misses the step by" in (found.note or "")
    one = recommended("cuda-graphs")
    assert found.improved([one]) == [one]
    assert found.together([one]) is None


def test_a_recording_that_cannot_be_replayed_says_why() -> None:
    builder = TraceBuilder()
    builder.op("aten::mm", 10_000, 500_000)
    builder.step(0, 0, 1_000_000)
    found = replays(builder.rank())
    assert found.error is None and "CPU" in (found.note or "")


def test_together_is_one_replay_of_fixes_that_do_not_exclude_each_other() -> None:
    # Read the loss at the end of each step: then the launches stand before the long kernels, and both count.
    found = replays(record([*LAUNCH_BOUND, *[Call(5_000, "launch", 200_000)] * 8, Call(5_000, "sync")]))
    fixes = found.improved([recommended(fix) for fix in ("torch-compile", "cuda-graphs", "bf16-autocast")])
    joint = found.together(fixes)
    assert joint is not None and joint.step_ms_after is not None
    assert "bf16-autocast" in joint.of and len({"torch-compile", "cuda-graphs"} & set(joint.of)) == 1
    assert joint.low_ms is not None and joint.high_ms is not None
    assert joint.low_ms <= joint.step_ms_after <= joint.high_ms


def test_a_fix_that_may_lengthen_the_step_says_so() -> None:
    """One worker takes 2.3 ms a batch, the host 2.1: where more of them slow the host by 30 %, it takes 2.7."""
    found = replays(record(LAUNCH_BOUND))
    assert found.what_if is not None
    model, facts = found.what_if.model, found.what_if.subject.facts
    settings = LoaderSettings(num_workers=1)
    critical = replace(facts.critical, loader=LoaderFacts(in_process=False, settings=settings, own_cores=8.0))
    facts = replace(facts, ranks={critical.rank: critical}, critical=critical)
    feed = Feed(fetches=1.0, workers=1, loads_ns=(1.1 * model.step_ns,), cpu_ns=1e6)
    scenario = replace(model.scenario, feeds={0: feed})
    before = run(scenario)
    fed = replace(model, scenario=scenario, outcome=before, step_ns=before.step_ns)
    (one,) = Replays(what_if=WhatIf.of(fed, facts)).improved([recommended("dataloader-workers")])
    assert one.gain.expected_ms == pytest.approx(0.1 * model.step_ns / 1e6, rel=0.1)
    assert one.gain.low_ms == pytest.approx(-0.2 * model.step_ns / 1e6, rel=0.15)
    assert "At worst it makes the step longer, by 18 %." in one.why


@pytest.mark.parametrize(("workers", "share"), [(8, None), (2, 3 / 12)], ids=["cores enough", "as many as cores"])
def test_cheaper_batches_are_done_beside_more_workers_only_for_what_these_leave(
    workers: int, share: float | None
) -> None:
    """Steps of 2 ms of launches that wait for one worker, which takes 12 ms a batch: 8 of them keep up, 2 do not."""
    found = replays(record(LAUNCH_BOUND))
    assert found.what_if is not None
    model, settings = found.what_if.model, LoaderSettings(num_workers=1)
    loader = LoaderFacts(in_process=False, settings=settings, own_cores=float(workers))
    facts = found.what_if.subject.facts
    critical = replace(facts.critical, loader=loader)
    facts = replace(facts, ranks={critical.rank: critical}, critical=critical)
    scenario = replace(model.scenario, feeds={0: Feed(fetches=1.0, workers=1, loads_ns=(12e6,), cpu_ns=12e6)})
    fed = replace(model, scenario=scenario, outcome=run(scenario))
    waiting = Replays(what_if=WhatIf.of(fed, facts))
    gains = {"offline-preprocessing": 9.0, "dataloader-workers": 8.0}
    given = [
        recommended(fix, gain=Gain(expected_ms=ms, low_ms=0.0, high_ms=ms, basis="replay")) for fix, ms in gains.items()
    ]
    joint = waiting.together(given)
    if share is None:
        assert joint is None  # more workers are enough
    else:
        assert joint is not None and joint.step_ms_after == pytest.approx(share * fed.step_ns / 1e6, rel=0.01)


def reduced_by_hand() -> RankTimeline:
    """Steps of 50 launches of 0.1 ms, the last ones those of collectives after backward; a product, then the sum."""
    builder, now = TraceBuilder(), 0
    for step in range(4):
        begin = now
        for call in range(30):
            if call == 15:
                builder.op("autograd::engine::evaluate_function: MulBackward0", now, 15 * 100_000, tid=2)
            builder.kernel("gemm_bf16", now + 99_000, 10_000, launch_ns=now + 90_000, tid=1 if call < 15 else 2)
            now += 100_000
        for _ in range(10):
            builder.kernel("vectorized_elementwise_kernel", now + 49_000, 2_000, launch_ns=now + 40_000)
            builder.kernel("ncclDevKernel_AllReduce", now + 99_000, 30_000, launch_ns=now + 90_000)
            now += 100_000
        now += 20_000
        builder.step(step, begin, now)
    return builder.rank()


def test_a_fix_that_harms_beside_a_better_one_is_left_out_and_says_so() -> None:
    """Hooks of DDP break the model's graph: together the two are worse than the graph alone."""
    found = replays(reduced_by_hand())
    gained = Gain(expected_ms=0.5, low_ms=0.1, high_ms=1.0, basis="replay")
    better = replace(gained, expected_ms=1.0)
    fixes = [recommended("cuda-graphs", gain=better), recommended("wrap-ddp", gain=gained)]
    both = Combined(of=("cuda-graphs", "wrap-ddp"), step_ms_after=1.0)
    (first, second), combined = found.joined(fixes, both)
    assert combined is None  # nor does the sum of both stand
    assert first == fixes[0]
    assert "Beside cuda-graphs it makes the step longer" in second.why
    other = Combined(of=("cuda-graphs", "numa-binding"), step_ms_after=1.0)
    assert found.joined(fixes, other)[1] == other


def test_of_pinned_memory_the_rule_knows_more_than_the_replay() -> None:
    """The replay knows that the call waits, and neither the copy's own rate nor who pins."""
    builder = TraceBuilder()
    for step in range(4):
        begin = step * 2_000_000
        builder.memcpy(
            "HtoD (Pageable -> Device)", begin + 5_000, 490_000, 1 << 20, launch_ns=begin, launch_dur_ns=500_000
        )
        builder.kernel("gemm_bf16", begin + 1_950_000, 20_000, launch_ns=begin + 1_930_000)
        builder.step(step, begin, begin + 2_000_000)
    found = replays(builder.rank())
    assert found.what_if is not None
    assert found.what_if.predict(["pin-memory"]).step_ns < 0.9 * found.what_if.model.step_ns
    one = recommended("pin-memory")
    assert found.improved([one]) == [one]


def exchanging(compute_ns: int, reduce_ns: int) -> Replays:
    """Steps of a product and an all-reduce of fp32 after it, the host ahead of both."""
    builder = TraceBuilder()
    step_ns = compute_ns + reduce_ns + 40_000
    for step in range(4):
        begin = step * step_ns
        builder.kernel("gemm_bf16", begin + 20_000, compute_ns, launch_ns=begin + 1_000)
        at = begin + compute_ns + 25_000
        builder.kernel("ncclDevKernel_AllReduce_Sum_f32", at, reduce_ns, launch_ns=begin + 10_000)
        builder.runtime("cudaDeviceSynchronize", begin + 20_000, compute_ns + reduce_ns + 10_000)
        builder.step(step, begin, begin + step_ns)
    return replays(builder.rank())


def test_where_collectives_are_the_step_a_replay_below_the_measured_bound_does_not_replace_it() -> None:
    one = recommended("compress-gradients", gain=Gain(expected_ms=2.8, low_ms=2.6, high_ms=3.0))
    (told,) = exchanging(400_000, 2_700_000).improved([one])
    # Half the bytes save about half of 2.7 ms, as replayed.
    assert (told.gain.basis, told.gain.expected_ms, told.gain.high_ms) == ("bound", 2.8, 3.0)
    assert 0.5 < told.gain.low_ms < 1.3
    assert "A replay of the traced steps saves less, 1.32 ms." in told.why


@pytest.mark.parametrize("also", [True, False])
def test_a_replay_with_an_early_host_is_not_overruled(also: bool) -> None:
    """Be it the other explanation of the step or the only one, with collectives that are slower than recorded."""
    one = recommended("compress-gradients", gain=Gain(expected_ms=2.8, low_ms=2.6, high_ms=3.0))
    found = exchanging(400_000, 2_700_000)
    assert found.what_if is not None
    model, slower = found.what_if.model, Distortion(device=1.1)
    model = replace(model, rival=model.scenario) if also else replace(model, distortion=slower)
    (told,) = replace(found, what_if=replace(found.what_if, model=model)).improved([one])
    assert told.gain.basis == "replay"


def test_where_the_step_waits_for_something_else_the_replay_of_a_faster_link_counts() -> None:
    one = recommended("compress-gradients", gain=Gain(expected_ms=2.8, low_ms=2.6, high_ms=3.0))
    (told,) = exchanging(3_000_000, 100_000).improved([one])
    assert told.gain.basis == "replay"
    assert told.gain.expected_ms < 0.1


def computing(number: int, work_ns: int) -> RankTimeline:
    """4 steps of a product and an all-reduce that waits for the slower rank's 20 ms."""
    builder, ms = TraceBuilder(), 1_000_000
    for step in range(4):
        begin = step * 22 * ms
        builder.kernel("gemm_bf16", begin + 20_000, work_ns, launch_ns=begin + 1_000)
        at = begin + 30_000 + work_ns
        builder.kernel("ncclDevKernel_AllReduce_Sum_f32", at, begin + 21 * ms - at, launch_ns=begin + 10_000)
        builder.runtime("cudaDeviceSynchronize", begin + 20_000, 21 * ms)
        builder.step(step, begin, begin + 22 * ms)
    return builder.rank(number)


def test_a_rank_that_is_slow_in_a_few_steps_may_be_so_by_chance() -> None:
    """Readings of other steps vary by 2 ms, those of the mean of four steps by 1: twice that widens the interval."""
    found = asked(computing(0, 20_000_000), computing(1, 12_000_000))
    ends = []
    for spread_ns in (0, 2_000_000):
        device = np.full(41, 22_000_000)
        device[:-1] += np.resize([spread_ns, -spread_ns], 40)
        measured = StepTimes(
            number=np.arange(41),
            start_ns=np.arange(41),
            wall_ns=np.full(41, 22_000_000),
            phase=np.full(41, StepPhase.BASELINE, np.uint8),
            parts={"device": device},
        )
        subject = replace(found.subject, ranks=tuple(replace(rank, times=measured) for rank in found.subject.ranks))
        (told,) = Replays(what_if=replace(found, subject=subject)).improved([recommended("repair-straggler")])
        assert told.gain.basis == "replay"
        ends.append((told.gain.low_ms, told.gain.high_ms))
    assert ends[0][0] - ends[1][0] == pytest.approx(2.0, rel=0.02)
    assert ends[1][1] - ends[0][1] == pytest.approx(2.0, rel=0.02)


def test_a_fix_of_a_stall_is_promised_no_more_than_the_replayed_step_leaves() -> None:
    """Of a step of 20 ms the replay without stalls takes 12: no collection of garbage less saves more than 8."""
    found = replays(record([Call(5_000, "launch", 400_000)] * 30))
    assert found.what_if is not None
    model = replace(found.what_if.model, step_ns=20e6, stalls_ns=8e6)
    stalled = replace(found, what_if=replace(found.what_if, model=model))
    promised = recommended("gc-policy", gain=Gain(expected_ms=9.0, low_ms=8.5, high_ms=9.5))
    (one,) = stalled.improved([promised])
    assert (one.gain.low_ms, one.gain.expected_ms, one.gain.high_ms) == (7.2, 8.0, 9.5)
    assert one.gain.step_ms_after == 12.0
    (kept,) = stalled.improved([recommended("gc-policy")])
    assert kept.gain.expected_ms == 1.0
