"""Are a few long steps found, with what grew in them, and an uneven run left in peace?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.step_outliers import evaluate
from tests.analyzers.rules.facts_builder import make_facts, status
from tests.analyzers.rules.run_builder import table, with_rank


def test_it_fires_with_the_cost_in_the_mean_step_and_the_cause() -> None:
    """Two of 100 steps take 140 instead of 40 ms: 2 ms of the mean step of 42."""
    wall = [140.0 if step in (30, 60) else 40.0 for step in range(100)]
    found = evaluate(with_rank(make_facts(42), table=table(wall, data_wait={30: 99, 60: 99})))
    assert found.finding.status == "fired" and found.finding.cost_ms == pytest.approx(2.0)
    assert "the wait for a batch (100 % of it)" in found.finding.summary
    assert any("step 30" in one.label for one in found.finding.evidence)


@pytest.mark.parametrize(("long_ms", "expected"), [(79.0, "passed"), (83.0, "fired")])
def test_the_limit_is_a_hundredth_of_the_mean_step(long_ms: float, expected: str) -> None:
    """One of 100 steps, 0.39 or 0.43 ms of a mean of 40.4."""
    wall = [long_ms if step == 50 else 40.0 for step in range(100)]
    assert status(evaluate(with_rank(make_facts(40.4), table=table(wall)))) == expected


def test_a_kind_of_step_is_no_outlier() -> None:
    wall = [140.0 if step % 5 == 0 else 40.0 for step in range(100)]
    assert status(evaluate(with_rank(make_facts(60), table=table(wall)))) == "not_applicable"


def test_even_steps_and_unknown_ones() -> None:
    assert status(evaluate(with_rank(make_facts(40), table=table([40.0] * 50)))) == "passed"
    assert status(evaluate(make_facts(40))) == "no_data"
