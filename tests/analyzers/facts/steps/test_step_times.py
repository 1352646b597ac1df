"""The step is the measured unprofiled one; only without it does the profiled one stand in, and says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.steps.step_times import exposed_wait_ns, step_facts
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

MS = 1_000_000


def times(*runs: tuple[StepPhase, int, float], tokens: int | None = None) -> StepTimes:
    """Runs of steps: phase, how many, ms each."""
    phase = np.concatenate([np.full(n, p, np.uint8) for p, n, _ in runs])
    wall = np.concatenate([np.full(n, int(t * MS), np.int64) for _, n, t in runs])
    return StepTimes(
        number=np.arange(wall.size),
        start_ns=np.cumsum(wall),
        wall_ns=wall,
        phase=phase,
        tokens=None if tokens is None else np.full(wall.size, tokens, np.int64),
    )


def traced(step_ns: int = 80 * MS) -> RankTimeline:
    b = TraceBuilder()
    b.step(30, 0, step_ns)
    b.kernel("k", 0, step_ns, launch_ns=0)
    return b.rank()


def test_the_mean_is_over_the_baseline_and_leaves_the_other_steps_out() -> None:
    measured = times(
        (StepPhase.WARMUP, 5, 500),
        (StepPhase.BASELINE, 9, 40),
        (StepPhase.BASELINE, 1, 140),  # a stall is part of the run
        (StepPhase.TRACED, 4, 77),
        (StepPhase.AFTER, 6, 41),
        tokens=1000,
    )
    found = step_facts(RankTimeline(rank=0, events=None, times=measured), None)
    assert found is not None
    assert (found.mean_ns, found.median_ns, found.basis) == (50 * MS, 40 * MS, "unprofiled")
    assert (found.steps_measured, found.steps_excluded, found.steps_traced) == (10, 15, 4)
    assert found.tokens_per_s == pytest.approx(1000 / 0.050)


def test_a_mean_given_by_the_user_wins() -> None:
    rank = traced()
    found = step_facts(rank, windows_of(rank), step_ms=41.2)
    assert found is not None
    assert (found.mean_ns, found.basis, found.traced_mean_ns) == (41.2 * MS, "unprofiled", 80 * MS)


def test_without_a_baseline_the_traced_steps_stand_in_and_say_so() -> None:
    rank = traced()
    found = step_facts(rank, windows_of(rank))
    assert found is not None
    assert (found.mean_ns, found.basis, found.steps_measured) == (80 * MS, "profiled", 1)


def test_too_few_baseline_steps_give_way_to_the_steps_after_the_burst() -> None:
    measured = times((StepPhase.BASELINE, 2, 999), (StepPhase.AFTER, 10, 40))
    found = step_facts(RankTimeline(rank=0, events=None, times=measured), None)
    assert found is not None and found.mean_ns == 40 * MS


def test_tokens_of_only_some_steps_give_no_rate() -> None:
    measured = times((StepPhase.BASELINE, 10, 40), tokens=-1)
    found = step_facts(RankTimeline(rank=0, events=None, times=measured), None)
    assert found is not None and found.tokens_per_s is None


def test_a_long_history_is_thinned() -> None:
    found = step_facts(RankTimeline(rank=0, events=None, times=times((StepPhase.BASELINE, 5000, 40))), None)
    assert found is not None and len(found.history_ns) == 200


def test_nothing_known_is_none() -> None:
    assert step_facts(RankTimeline(rank=0, events=None), None) is None


def test_the_exposed_wait_uses_the_hosts_wait_of_all_steps() -> None:
    found = times((StepPhase.BASELINE, 4, 40))
    waited = np.array([10, 20, 30, 40]) * MS
    exposed = np.array([-1, 10, 15, -1]) * MS
    exposed[exposed < 0] = -1
    both = replace(found, parts={"data_wait": waited, "data_wait_exposed": exposed})
    assert exposed_wait_ns(both) == pytest.approx(25 * MS * 0.5)


def test_without_a_reading_the_exposed_wait_is_unknown() -> None:
    found = times((StepPhase.BASELINE, 4, 40))
    assert exposed_wait_ns(found) is None
    assert exposed_wait_ns(replace(found, parts={"data_wait_exposed": np.full(4, -1)})) is None


@pytest.mark.parametrize("part", ["checkpoint", "evaluation", "data_wait", "gc"])
def test_what_is_noted_of_a_step_is_no_noise_of_it(part: str) -> None:
    """Ten steps of 40 ms, one of them held up for 100: the mean is 50, and it is known exactly."""
    measured = times((StepPhase.BASELINE, 9, 40), (StepPhase.BASELINE, 1, 140))
    held = np.zeros(10, dtype=np.int64)
    held[9] = 100 * MS
    found = step_facts(RankTimeline(rank=0, events=None, times=replace(measured, parts={part: held})), None)
    assert found is not None and (found.mean_ns, found.noise_ns) == (50 * MS, 0.0)


@pytest.mark.parametrize("part", ["data_wait", "gc"])
def test_what_the_rest_of_the_step_gives_back_adds_no_noise(part: str) -> None:
    """Every step takes 40 ms, however long the host is held up in it: the device sets the pace."""
    measured = times((StepPhase.BASELINE, 10, 40))
    held = np.arange(10, dtype=np.int64) * MS
    found = step_facts(RankTimeline(rank=0, events=None, times=replace(measured, parts={part: held})), None)
    assert found is not None and found.noise_ns == 0.0


def test_a_pause_inside_a_noted_wait_is_taken_off_once() -> None:
    """Nine steps of 40 ms and one in which the loader, in the same process, took 100 ms, all of them to collect."""
    measured = times((StepPhase.BASELINE, 9, 40), (StepPhase.BASELINE, 1, 140))
    held = np.zeros(10, dtype=np.int64)
    held[9] = 100 * MS
    measured = replace(measured, parts={"data_wait": held, "gc": held})
    found = step_facts(RankTimeline(rank=0, events=None, times=measured), None)
    assert found is not None and found.noise_ns == 0.0


def test_a_stall_that_no_reading_on_the_device_holds_does_not_make_the_readings_worse() -> None:
    """Steps of 40 ms on the device, longer and shorter on the host, and two of 24 with checkpoints of 250 ms."""
    measured = times(*[(StepPhase.BASELINE, 1, 75), (StepPhase.BASELINE, 1, 5)] * 11, (StepPhase.BASELINE, 2, 290))
    device, saved = np.full(24, -1, np.int64), np.zeros(24, dtype=np.int64)
    device[:20:2], saved[22:] = 40 * MS, 250 * MS
    measured = replace(measured, parts={"device": device, "checkpoint": saved})
    found = step_facts(RankTimeline(rank=0, events=None, times=measured), None)
    assert found is not None and found.noise_ns == 0.0


def test_a_start_of_an_epoch_is_waiting_for_data_from_its_begin_to_its_first_batch() -> None:
    """Of 10 steps one starts an epoch: 300 ms, 200 of them for its first batch; the others wait 1 ms, half hidden."""
    measured = times((StepPhase.BASELINE, 10, 40))
    waits, starts, exposed = (np.full(10, value, np.int64) for value in (MS, 0, -1))
    waits[4], starts[4], exposed[8] = 200 * MS, 300 * MS, MS // 2
    measured = replace(measured, parts={"data_wait": waits, "epoch_start": starts, "data_wait_exposed": exposed})
    assert exposed_wait_ns(measured) == pytest.approx((300 + 9 * 0.5) * MS / 10)


@pytest.mark.parametrize(("readings", "longer", "noise_ms"), [(12, 0, 0.0), (12, 2, 2.0), (3, 0, 4.4)])
def test_a_host_that_waits_for_its_device_now_and_then_makes_no_noise(
    readings: int, longer: int, noise_ms: float
) -> None:
    """Of six steps one waits for the loss and the next is quick; on the device all are alike, or somewhat longer."""
    measured = times(*[(StepPhase.BASELINE, 4, 40), (StepPhase.BASELINE, 1, 75), (StepPhase.BASELINE, 1, 5)] * 4)
    device = np.full(24, -1, np.int64)
    device[: 2 * readings : 2] = (40 + longer) * MS
    found = step_facts(RankTimeline(rank=0, events=None, times=replace(measured, parts={"device": device})), None)
    assert found is not None and found.noise_ns == pytest.approx(noise_ms * MS, rel=0.05)
