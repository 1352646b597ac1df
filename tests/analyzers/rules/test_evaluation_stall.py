"""Does half as much evaluation promise half of it?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.evaluation_stall import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, fix, make_facts, status
from tests.analyzers.rules.run_builder import table, with_rank


def test_half_of_it_is_promised_by_arithmetic() -> None:
    """100 ms every 20 steps: 5 ms of a mean step of 45."""
    measured = {step: 100.0 for step in range(19, 100, 20)}
    run = table([40.0 + measured.get(step, 0) for step in range(100)], evaluation=measured)
    facts = with_rank(make_facts(45, stalls=5), table=run)
    found = evaluate(facts)
    assert found.finding.cost_ms == pytest.approx(5.0)
    advice = fix(found, "evaluate-less-often")
    assert advice.gain.expected_ms == pytest.approx(2.5)
    assert (advice.gain.low_ms, advice.gain.high_ms) == (pytest.approx(2.25), pytest.approx(2.75))
    assert "now every 20 steps" in advice.action
    assert_consistent(advice, facts)


@pytest.mark.parametrize(("ms", "expected"), [(23.0, "passed"), (25.0, "fired")])
def test_the_limit(ms: float, expected: str) -> None:
    measured = {step: ms for step in range(19, 100, 20)}
    run = table([40.0 + measured.get(step, 0.0) for step in range(100)], evaluation=measured)
    assert status(evaluate(with_rank(make_facts(40), table=run))) == expected


def test_none_and_unknown() -> None:
    assert status(evaluate(with_rank(make_facts(40), table=table([40.0] * 30)))) == "not_applicable"
    assert status(evaluate(make_facts(40))) == "no_data"
