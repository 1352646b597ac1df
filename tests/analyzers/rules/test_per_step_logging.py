"""What do waits of the group "to-host" cost, and what does taking them out bring?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.per_step_logging import evaluate
from tests.analyzers.rules.causes_builder import waits, with_causes
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def test_fires_and_promises_the_bubble() -> None:
    facts = with_causes(make_facts(100, sync=8.0), blocking=waits("to-host", 8.0, operator="aten::copy_", count=2))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.severity, found.finding.cost_ms) == ("fired", "warning", 8.0)
    advice = fix(found, "log-less-often")
    assert_consistent(advice, facts)
    assert_contains(advice, 7.5)
    assert advice.gain.expected_ms == pytest.approx(7.84)


def test_passes_just_below_three_percent() -> None:
    assert status(evaluate(with_causes(make_facts(100, sync=2.9), blocking=waits("to-host", 2.9)))) == "passed"


def test_waits_of_other_kinds_are_not_its_matter() -> None:
    assert status(evaluate(with_causes(make_facts(100, sync=8.0), blocking=waits("read", 8.0)))) == "not_applicable"


def test_not_applicable_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"


def test_no_data_without_runtime_calls() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"


def test_many_cheap_copies_of_a_late_host_are_told_and_left_to_the_replay() -> None:
    """40 copies that wait for next to nothing, in a step that waits 10 of 100 ms for launches: the host makes them."""
    facts = with_causes(make_facts(100, host=10.0), blocking=waits("to-host", 1.0, operator="aten::to", count=40))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.severity) == ("fired", "info")
    assert fix(found, "log-less-often").gain.expected_ms == 0
    few = with_causes(make_facts(100, host=10.0), blocking=waits("to-host", 1.0, count=2))
    early = with_causes(make_facts(100, host=1.0), blocking=waits("to-host", 1.0, count=40))
    assert status(evaluate(few)) == status(evaluate(early)) == "passed"
