"""Which explanation of the unprofiled step is taken, and what when nothing decides between two?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.replay.graph.replay import replay
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.steps import StepPhase, StepTimes
from tests.analyzers.replay.programs import Call, asked, record
from tests.scenarios.builder import TraceBuilder

HOST_LATE = [Call(40_000, "launch", 30_000)] * 30


def unprofiled(wall_ns: int, **parts: int) -> StepTimes:
    count = 40
    return StepTimes(
        number=np.arange(count),
        start_ns=np.arange(count) * wall_ns,
        wall_ns=np.full(count, wall_ns),
        phase=np.full(count, StepPhase.BASELINE, np.uint8),
        parts={name: np.full(count, value) for name, value in parts.items()},
    )


def test_what_nothing_decides_counts_one_half_each() -> None:
    """With a late host CUDA graphs save nearly all of it; with a slow device they save next to nothing."""
    late = asked(record(HOST_LATE))
    graph = late.model.scenario.graph
    slow = replace(graph, dur=np.where(graph.on_device, graph.dur * 1.5, graph.dur), before_lag=graph.before_lag / 10)
    undecided = WhatIf(model=replace(late.model, rival=Scenario(graph=slow)), subject=late.subject)
    one, both = late.predict(["cuda-graphs"]), undecided.predict(["cuda-graphs"])
    other = WhatIf(model=replace(undecided.model, scenario=Scenario(graph=slow)), subject=late.subject)
    after = replay(other.applied(["cuda-graphs"])[0].graph).step_ns / replay(slow).step_ns * late.model.step_ns
    assert both.step_ns == pytest.approx((one.step_ns + after) / 2)
    assert undecided.greedy(["cuda-graphs"]) == [("cuda-graphs", both.step_ns)]  # the same question, the same answer
    assert both.least_ns <= min(one.step_ns, after) < max(one.step_ns, after) <= both.most_ns


def fetching(wait_ns: int) -> TraceBuilder:
    """Steps of 3 ms of launches after a wait for workers."""
    builder = TraceBuilder()
    for step in range(4):
        begin = step * (wait_ns + 3_000_000)
        builder.annotation("enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__", begin, wait_ns)
        for place in range(20):
            at = begin + wait_ns + 10_000 + place * 140_000
            builder.op("aten::mm", at - 2_000, 8_000)
            builder.kernel("ampere_bf16_gemm", at + 10_000, 20_000, launch_ns=at)
        builder.step(step, begin, begin + wait_ns + 3_000_000)
    return builder


def test_a_run_that_waits_for_its_loader_is_fitted_to_the_step_without_the_wait() -> None:
    """The trace waited 1 ms of 4, the unprofiled steps 6 of 8.5: what is left is 2.5 ms of the host, not 3."""
    times = unprofiled(8_500_000, data_wait=6_000_000, data_wait_exposed=6_000_000)
    model = asked(fetching(1_000_000).rank(times=times)).model
    assert model.waited_ns == pytest.approx(6_000_000, rel=0.05)
    received = sum(feed.hand_over_ns * feed.fetches for feed in model.scenario.feeds.values())
    assert replay(model.scenario.graph).step_ns == pytest.approx(2_500_000 + received, rel=0.02)


def long_at(times: StepTimes, steps: list[int], more_ns: int, part: str | None = None) -> StepTimes:
    """The same steps, some of which take longer, for a reason that was measured or for none."""
    wall, column = times.wall_ns.copy(), np.zeros(len(times), np.int64)
    wall[steps] += more_ns
    column[steps] = more_ns
    return replace(times, wall_ns=wall, parts={**times.parts, **({} if part is None else {part: column})})


def test_what_no_traced_step_holds_is_no_error_of_the_replay() -> None:
    """Evaluations every 10 steps, or one pause in 40 steps: the replayed step is without, and they are added to it."""
    plain = asked(record(HOST_LATE)).model.outcome.step_ns
    evaluated = long_at(unprofiled(int(plain)), [5, 15, 25, 35], 20_000_000, "evaluation")
    model = asked(record(HOST_LATE, times=evaluated)).model
    assert model.stalls_ns == pytest.approx(2_000_000, rel=0.03)
    assert model.error < 0.01 and model.outcome.step_ns == pytest.approx(plain, rel=0.02)
    paused = asked(record(HOST_LATE, times=long_at(unprofiled(int(plain)), [17], 40_000_000))).model
    assert paused.stalls_ns == pytest.approx(1_000_000, rel=0.03)
    assert paused.error < 0.01 and paused.outcome.step_ns == pytest.approx(plain, rel=0.02)


def test_a_pause_without_a_known_reason_may_hide_behind_a_device_that_a_fix_puts_behind() -> None:
    """1 ms a step: a late host passes it on, and with CUDA graphs kernels of 6 ms are queued when it comes."""
    program = [Call(220_000, "launch", 200_000)] * 30
    plain = asked(record(program)).model.outcome.step_ns
    asking = asked(record(program, times=long_at(unprofiled(int(plain)), [17], 40_000_000)))
    quiet = asked(record(program, times=unprofiled(int(plain))))
    with_pause, without = asking.predict(["cuda-graphs"]), quiet.predict(["cuda-graphs"])
    assert with_pause.most_ns - with_pause.step_ns == pytest.approx(without.most_ns - without.step_ns, rel=0.25)
    assert with_pause.step_ns - with_pause.least_ns > without.step_ns - without.least_ns + 900_000


def test_starts_of_epochs_are_waits_for_data_beside_the_replayed_step() -> None:
    """Every 10 steps an epoch starts with 30 ms: 3 ms of a mean step of 6, in which other batches take no waiting."""
    times = unprofiled(3_000_000, data_wait=10_000, data_wait_exposed=10_000)
    times = long_at(times, [3, 13, 23, 33], 30_000_000, "epoch_start")
    asking = asked(fetching(10_000).rank(times=times))
    model = asking.model
    assert model.epochs_ns == pytest.approx(3_000_000) and model.stalls_ns == model.epochs_ns
    assert model.error < 0.02
    parts = asking.parts(model.outcome)
    assert parts is not None and parts["data"] > 3_000_000 and parts["stalls"] == pytest.approx(0.0)
    assert asking.path(model.outcome)["data"] >= 3_000_000


def test_a_stall_costs_no_more_than_the_step_takes_beyond_its_device() -> None:
    """12 ms of kernels; steps of 11.5 ms after a pause have caught up, so that a twentieth of it is given back."""
    rank = record([Call(5_000, "launch", 400_000)] * 30)
    device = asked(rank).model.outcome.step_ns
    steps = long_at(unprofiled(int(device - 500_000)), [5, 15, 25, 35], 100_000_000, "checkpoint")
    model = asked(replace(rank, times=steps)).model
    assert model.stalls_ns == pytest.approx(9_500_000, rel=0.02)
    assert model.error < 0.01


def test_a_run_that_is_slow_now_and_then_has_no_single_pauses() -> None:
    """A third of the steps is longer by half: that is how fast the host is, and not beside the step."""
    plain = asked(record(HOST_LATE)).model.outcome.step_ns
    slow = long_at(unprofiled(int(plain)), list(range(10, 23)), int(plain / 2))
    assert asked(record(HOST_LATE, times=slow)).model.stalls_ns == 0
