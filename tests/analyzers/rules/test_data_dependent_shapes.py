"""What do waits of the group "shapes" cost, and what does taking them out bring?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.data_dependent_shapes import evaluate
from tests.analyzers.rules.causes_builder import waits, with_causes
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def test_fires_and_promises_the_bubble() -> None:
    facts = with_causes(make_facts(100, sync=8.0), blocking=waits("shapes", 8.0, operator="aten::nonzero", count=2))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.severity, found.finding.cost_ms) == ("fired", "warning", 8.0)
    advice = fix(found, "static-shapes")
    assert_consistent(advice, facts)
    assert_contains(advice, 7.5)
    assert advice.gain.expected_ms == pytest.approx(8.0)


def test_passes_just_below_three_percent() -> None:
    assert status(evaluate(with_causes(make_facts(100, sync=2.9), blocking=waits("shapes", 2.9)))) == "passed"


def test_waits_of_other_kinds_are_not_its_matter() -> None:
    assert status(evaluate(with_causes(make_facts(100, sync=8.0), blocking=waits("read", 8.0)))) == "not_applicable"


def test_not_applicable_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"


def test_no_data_without_runtime_calls() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"
