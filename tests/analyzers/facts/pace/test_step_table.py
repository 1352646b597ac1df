"""Are long steps, stalls, drift and warm-up told from steps that only vary?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.pace.step_table import step_table
from llmprof.timeline.steps import StepPhase
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.rules.run_builder import MS, table, times


def test_stalls_are_counted_over_the_run_and_over_the_steps_of_the_mean() -> None:
    """A checkpoint in the baseline of 20 steps and one in the 80 after it: 5 ms of the mean step, 2 ms over the run."""
    phases = [StepPhase.BASELINE] * 20 + [StepPhase.AFTER] * 80
    wall = [140.0 if step in (10, 60) else 40.0 for step in range(100)]
    found = table(wall, phases=phases, checkpoint={10: 100, 60: 100})
    assert found is not None
    stall = found.stalls["checkpoint"]
    assert (stall.count, stall.longest_ns, stall.counted_ns, stall.per_step_ns) == (2, 100 * MS, 5 * MS, 2 * MS)
    assert stall.period_steps is None and "evaluation" not in found.stalls


def test_warm_up_and_traced_steps_are_in_no_figure_but_their_own() -> None:
    phases = [StepPhase.WARMUP] * 2 + [StepPhase.BASELINE] * 10 + [StepPhase.TRACED] * 2
    found = table([3000.0, 1000.0] + [40.0] * 10 + [400.0] * 2, phases=phases)
    assert found is not None and found.warm_up is not None
    assert (found.steps, found.outliers.count) == (10, 0)
    assert (found.warm_up.steps, found.warm_up.first_ns, found.warm_up.excess_ns) == (2, 3000 * MS, 3920 * MS)


def test_a_slope_is_found_through_long_steps_and_its_part_is_named() -> None:
    """0.02 ms a step on 40: 5 % per 100 steps, all of it in the wait for data; every tenth step has a stall."""
    wait = [1.0 + 0.02 * step for step in range(400)]
    wall = [39.0 + wait[step] + 100 * (step % 10 == 0) for step in range(400)]
    found = table(wall, data_wait=wait)
    assert found is not None and found.drift is not None
    assert found.drift.slope == pytest.approx(0.02 * MS, rel=0.02)
    assert found.drift.low > 0
    assert found.drift.per_hundred == pytest.approx(0.05, rel=0.03)
    assert found.drift_causes["data_wait"] == pytest.approx(1.0, rel=0.03)


def test_too_few_steps_make_no_table() -> None:
    assert table([40.0] * 7) is None
    assert step_table(RankTimeline(rank=0, events=None)) is None


def test_before_and_after_the_burst_are_told_apart() -> None:
    phases = [StepPhase.BASELINE] * 10 + [StepPhase.AFTER] * 10
    found = step_table(RankTimeline(rank=0, events=None, times=times([40.0] * 10 + [44.0] * 10, phases=phases)))
    assert found is not None and (found.before_ns, found.after_ns) == (40 * MS, 44 * MS)


def test_a_checkpoint_costs_no_more_than_the_steps_around_it_lost() -> None:
    """300 ms in torch.save, of which 100 wait for queued work that the next step need not wait for."""
    wall = [40.0] * 50 + [340.0, 0.0, 0.0, 20.0] + [40.0] * 46
    found = table(wall, checkpoint={50: 300})
    assert found is not None
    assert found.stalls["checkpoint"].per_step_ns == pytest.approx(2.0 * MS, abs=2 * 0.4 * MS / 100)
    assert found.outliers.counted_excess_ns == pytest.approx(2.0 * MS)


def test_the_phases_of_the_host_are_means_of_the_counted_steps() -> None:
    """The ten steps before the burst count; those after it, twice as long in the optimizer, do not."""
    phases = [StepPhase.BASELINE] * 10 + [StepPhase.AFTER] * 10
    found = table([40.0] * 20, phases=phases, optimizer=[10.0] * 10 + [20.0] * 10)
    assert found is not None and found.phases_ns == {"optimizer": 10 * MS}


def test_a_stall_costs_what_the_steps_after_it_do_not_give_back() -> None:
    """100 ms every 12 steps on a device that needs 13 ms a step and a host that needs 7: the next steps are shorter."""
    cycle = [107.0, 7, 7, 7, 7, 7, 7, 7, 13, 13, 13, 13]  # 208 ms, against 156 without the stall
    found = table(cycle * 5, evaluation={step: 94.0 for step in range(0, 60, 12)})
    assert found is not None
    stall = found.stalls["evaluation"]
    assert found.median_ns == 7 * MS
    assert stall.counted_ns == pytest.approx((208 - 156) / 12 * MS, rel=0.03)
    assert stall.error_ns == pytest.approx(0.0)


def test_the_error_of_a_stalls_cost_comes_from_how_much_stalls_differ() -> None:
    """80 and 120 ms in turns, four in 40 steps: 10 ms a step, give or take 23 x 2 / 40."""
    long = {10: 80.0, 20: 120.0, 30: 80.0, 39: 120.0}
    found = table([40.0 + long.get(step, 0.0) for step in range(40)], checkpoint=long)
    assert found is not None
    stall = found.stalls["checkpoint"]
    assert stall.counted_ns == pytest.approx(10 * MS)
    assert stall.error_ns == pytest.approx(23.094 * MS * 2 / 40, rel=0.01)
