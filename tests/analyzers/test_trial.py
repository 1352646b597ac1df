"""A trial says what the runs show: intervals cover the truth, drift cancels, and a promise is judged by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llmprof.analyzers.promise import Promise
from llmprof.analyzers.trial import RunSteps, common_steps, compare, compare_losses
from llmprof.errors import NotEnoughDataError


def runs(means: list[float], spread: float = 0.5, seed: int = 0, steps: int = 40) -> list[Any]:
    draw = np.random.default_rng(seed)
    return [mean + spread * draw.standard_normal(steps) for mean in means]


def promise(low: float, high: float) -> Promise:
    return Promise(expected_ms=(low + high) / 2, low_ms=low, high_ms=high)


def test_what_was_saved_is_the_difference_of_the_means() -> None:
    found = compare(runs([100, 101]), runs([60, 61], seed=1), None)
    assert found.saved_ms == pytest.approx(found.plain.mean_ms - found.fixed.mean_ms)
    assert found.saved_low_ms < 40 < found.saved_high_ms
    assert found.plain.steps == 80
    assert found.plain.runs_ms == pytest.approx((100, 101), abs=0.5)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    draw = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        plain = [100 + draw.standard_normal() + draw.standard_normal(40) for _ in range(2)]
        fixed = [70 + draw.standard_normal() + draw.standard_normal(40) for _ in range(2)]
        found = compare(plain, fixed, None)
        covered += found.saved_low_ms <= 30 <= found.saved_high_ms
    assert 0.92 <= covered / 300 <= 0.99


def test_drift_from_pair_to_pair_cancels_when_there_are_three() -> None:
    drift = [100.0, 110.0, 120.0]
    found = compare(runs(drift), runs([one - 10 for one in drift], seed=1), None)
    assert 9 < found.saved_low_ms < 10 < found.saved_high_ms < 11
    assert found.plain.high_ms - found.plain.low_ms > 10


def test_one_pair_knows_the_spread_of_steps_only() -> None:
    found = compare(runs([100]), runs([90], seed=1), None)
    assert 0 < found.saved_high_ms - found.saved_low_ms < 2


@pytest.mark.parametrize(
    ("promised", "outcome"),
    [
        (promise(8, 12), "kept"),
        (promise(1, 4), "more"),
        (promise(20, 30), "less"),
        (promise(0, 12), "kept"),
        (None, "unpromised"),
    ],
)
def test_the_promise_is_judged_by_the_interval(promised: Promise | None, outcome: str) -> None:
    assert compare(runs([100, 100]), runs([90, 90], seed=1), promised).outcome == outcome


def test_runs_that_differ_more_than_the_promise_decide_nothing() -> None:
    assert compare(runs([90, 110]), runs([85, 105], seed=1), promise(4, 6)).outcome == "undecided"


def test_a_fix_that_makes_it_slower_has_broken_its_promise() -> None:
    found = compare(runs([100, 100]), runs([120, 120], seed=1), promise(5, 10))
    assert (found.outcome, found.saved_ms < -19) == ("less", True)


def test_the_predicted_step_counts_from_the_plain_step_of_today() -> None:
    found = compare([np.full(4, 120.0)], [np.full(4, 80.0)], promise(30, 50))
    assert found.predicted_ms == (80.0, 70.0, 90.0)


def promised_of(step: float) -> Promise:
    return Promise(expected_ms=40, low_ms=30, high_ms=50, step_ms=step)


def test_an_unchanged_machine_leaves_the_promise_as_it_is() -> None:
    assert promised_of(100).of(100) == promised_of(100)


def test_a_slower_machine_is_promised_its_share_and_none_or_all_of_the_change_at_the_ends() -> None:
    found = compare([np.full(4, 120.0)], [np.full(4, 72.0)], promised_of(100))
    # 40 % of 120; at least the 30 ms of then, at most the 50 ms and all of the 20 that came on top.
    assert found.predicted_ms == pytest.approx((72.0, 50.0, 90.0))
    assert found.promise == promised_of(100), "what the analysis has promised stays as it is"


@pytest.mark.parametrize(("fixed", "outcome"), [(95.0, "less"), (88.0, "kept"), (52.0, "kept"), (45.0, "more")])
def test_a_drifting_machine_is_judged_by_the_promise_for_its_own_step(fixed: float, outcome: str) -> None:
    assert compare([np.full(4, 120.0)], [np.full(4, fixed)], promised_of(100)).outcome == outcome


def test_noise_on_a_machine_that_became_faster_keeps_no_promise() -> None:
    """All of the 30 ms that were promised at least may be gone with the machine; that it saved anything is not seen."""
    assert compare(runs([55, 65]), runs([50, 60], seed=1), promised_of(100)).outcome == "undecided"


def test_a_faster_machine_may_have_lost_what_the_fix_removes() -> None:
    assert promised_of(100).of(80) == Promise(expected_ms=32, low_ms=10, high_ms=50, step_ms=80)
    assert promised_of(100).of(50).low_ms == 0


def test_a_cost_grows_with_the_step_at_most() -> None:
    cost = Promise(expected_ms=-10, low_ms=-20, high_ms=0, step_ms=100)
    assert cost.of(150) == Promise(expected_ms=-15, low_ms=-30, high_ms=0, step_ms=150)


def steps(first: int, count: int) -> RunSteps:
    number = np.arange(first, first + count)
    return RunSteps(number=number, wall_ns=number * 1_000_000)


def test_sides_are_compared_over_the_same_steps() -> None:
    found, aligned = common_steps([steps(5, 20), steps(9, 30)])
    assert [one.tolist() for one in found] == [list(range(9, 25))] * 2
    assert aligned


def test_all_steps_are_taken_where_few_are_common() -> None:
    found, aligned = common_steps([steps(0, 10), steps(8, 10)])
    assert [one.size for one in found] == [10, 10]
    assert not aligned


def test_too_few_steps_are_no_trial() -> None:
    with pytest.raises(NotEnoughDataError, match="2 steady steps"):
        common_steps([steps(0, 10), steps(0, 2)])


def test_losses_beside_each_other() -> None:
    found = compare_losses([[4, 2, 1, 1], [4, 2, 1, 1]], [[4, 2, 1, 1.5, 9], [4, 2, 1, 1.5]])
    assert found is not None
    assert (found.count, found.plain, found.fixed) == (4, 1.0, 1.5)
    assert found.difference == pytest.approx(0.125)
    assert found.plain_difference == 0


def test_a_loss_that_is_no_number_is_infinitely_far() -> None:
    found = compare_losses([[1.0, 1.0]], [[1.0, float("nan")]])
    assert found is not None
    assert found.difference == float("inf")


@pytest.mark.parametrize("sides", [([], []), ([[1.0]], [[]])])
def test_no_losses_no_comparison(sides: tuple[Any, Any]) -> None:
    assert compare_losses(*sides) is None
