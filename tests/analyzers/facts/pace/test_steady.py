"""Are the steps chosen that stand for the run, and are traced steps with a stall left out?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.pace.steady import steady
from llmprof.analyzers.facts.steps.step_times import counted_steps
from llmprof.timeline.environment import Environment, LoaderSettings
from llmprof.timeline.steps import StepMarks, StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.rules.run_builder import MS, times


def chosen(measured: StepTimes, **fields: object) -> list[int]:
    rank = steady(RankTimeline(rank=0, events=None, times=measured, **fields))  # type: ignore[arg-type]
    assert rank.times is not None
    return [int(step) for step in counted_steps(rank.times)]


def mean_ms(measured: StepTimes, **fields: object) -> float:
    return float(measured.wall_ns[chosen(measured, **fields)].mean()) / MS


def test_without_anything_that_comes_back_all_steps_of_the_phase_count() -> None:
    assert chosen(times([40.0] * 30)) == list(range(30))
    phases = [StepPhase.WARMUP] * 5 + [StepPhase.BASELINE] * 10 + [StepPhase.AFTER] * 5
    assert chosen(times([40.0] * 20, phases=phases)) == list(range(5, 15))


def test_starts_of_epochs_have_their_share_whatever_the_window() -> None:
    """An epoch of 16 steps starts with 320 ms: 60 ms a step of 40, although 20 steps before the burst hold it once."""
    starts = {step: 280.0 for step in range(16, 112, 16)}
    wall = [40.0 + starts.get(step, 0.0) for step in range(112)]
    for first in range(5, 12):
        phases = [StepPhase.BASELINE if first <= step < first + 20 else StepPhase.UNSTEADY for step in range(112)]
        measured = times(wall, phases=phases, epoch_start=starts)
        assert len(chosen(measured)) == 16
        assert mean_ms(measured) == 40 + 280 / 16


def test_the_first_evaluation_is_cold_and_not_of_the_run() -> None:
    """The first of five takes 588 ms, the others 100; before training three batches were looked at."""
    evaluation = {0: 3.0, 11: 575.0, 23: 90.0, 35: 90.0, 47: 90.0, 59: 90.0}
    wall = [10.0 + evaluation.get(step, 0.0) for step in range(70)]
    phases = [StepPhase.WARMUP] * 8 + [StepPhase.BASELINE] * 62
    measured = times(wall, phases=phases, evaluation=evaluation)
    assert 11 not in chosen(measured)
    assert mean_ms(measured) == 10 + 90 / 12


def test_evaluations_that_vary_all_count() -> None:
    evaluation = {step: 90.0 + step for step in range(9, 60, 10)}
    measured = times([10.0 + evaluation.get(step, 0.0) for step in range(60)], evaluation=evaluation)
    assert chosen(measured) == list(range(60))


def loader(workers: int, prefetch: int) -> Environment:
    return replace(Environment(), loaders=(LoaderSettings(num_workers=workers, prefetch_factor=prefetch),))


def test_a_full_queue_at_the_begin_is_no_faster_loader() -> None:
    """14 workers with 2 batches each: from step 28 on training waits for them."""
    waits = [0.1] * 28 + [30.0] * 32
    measured = times([25.0 + wait for wait in waits], data_wait=waits)
    assert chosen(measured, environment=loader(14, 2)) == list(range(28, 60))


def test_a_loader_that_keeps_up_drains_nothing() -> None:
    waits = [0.1] * 60
    assert chosen(times([25.0] * 60, data_wait=waits), environment=loader(14, 2)) == list(range(60))


def test_waits_for_the_first_batch_of_an_epoch_drain_nothing() -> None:
    """The second epoch starts at step 30, with a wait of 300 ms; all other batches are ready."""
    waits = {step: 0.1 for step in range(60)} | {30: 300.0}
    wall = [25.0 + waits[step] for step in range(60)]
    measured = times(wall, data_wait=waits, epoch_start={30: 350.0})
    assert chosen(measured, environment=loader(14, 2)) == list(range(60))


def paced(wall: list[float], *, idle: float = 0.0) -> list[int]:
    """Steps whose fetches take a millisecond, in which the device is idle for a share."""
    count = len(wall)
    return chosen(times(wall, data_wait=[1.0] * count, data_wait_exposed=[idle] * count))


def test_steps_in_which_the_host_runs_ahead_are_shorter_than_the_devices() -> None:
    """The host is held for ten steps of 40 ms, then three times as fast for four, until the queue is full."""
    assert paced([40.0] * 10 + [13.0] * 4 + [40.0] * 30) == [*range(10), *range(14, 44)]


def test_short_steps_after_a_pause_give_back_what_was_queued() -> None:
    assert paced([40.0] * 10 + [130.0, 10.0, 10.0, 10.0] + [40.0] * 30) == list(range(44))


def test_short_steps_here_and_there_or_of_a_late_host_are_the_programs() -> None:
    here_and_there = ([40.0] * 6 + [13.0] * 2) * 4 + [40.0] * 6
    assert paced(here_and_there) == list(range(38))
    assert paced([40.0] * 10 + [13.0] * 4 + [40.0] * 30, idle=1.0) == list(range(44))
    assert paced([40.0] * 20 + [13.0] * 12 + [40.0] * 20) == list(range(52))  # no queue is that long


def marks_left(**parts: dict[int, float]) -> list[int]:
    phases = [StepPhase.BASELINE] * 20 + [StepPhase.TRACED] * 4
    measured = times([40.0] * 24, phases=phases, **parts)  # type: ignore[arg-type]
    begin = np.arange(4) * 40 * MS
    marks = StepMarks(np.arange(20, 24), begin, begin + 40 * MS, "ProfilerStep")
    left = steady(RankTimeline(rank=0, events=None, times=measured, marks=marks)).marks
    return [int(number) for number in left.number]


def test_traced_steps_with_a_stall_are_left_out() -> None:
    assert marks_left(evaluation={20: 30.0}) == [21, 22, 23]
    assert marks_left(checkpoint={21: 30.0}) == [22, 23]
    assert marks_left(epoch_start={22: 30.0}) == [20, 21]
    assert marks_left(gc={22: 30.0}) == [20, 21]
    assert marks_left(evaluation={22: 1.0}) == [20, 21, 22, 23]  # too short to matter
    assert marks_left(evaluation=dict.fromkeys(range(20, 24), 30.0)) == [20, 21, 22, 23]  # all of them are like that
