"""Is a single retry of the steady steps enough, and its gain what the driver's calls cost?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules.allocator_retries import evaluate
from llmprof.timeline.environment import Environment
from tests.analyzers.rules.facts_builder import assert_consistent, fix, make_facts, status
from tests.analyzers.rules.run_builder import GIB


def memory(retries: int | None) -> MemoryFacts:
    return MemoryFacts(capacity_bytes=80 * GIB, peak_reserved_bytes=78 * GIB, retries=retries, measured_steps=50)


@pytest.mark.parametrize(("retries", "expected"), [(0, "passed"), (1, "fired"), (None, "no_data")])
def test_one_is_enough(retries: int | None, expected: str) -> None:
    assert status(evaluate(make_facts(100, memory=memory(retries)))) == expected


def test_what_the_calls_cost_is_the_most_that_can_be_won() -> None:
    facts = make_facts(100, memory=memory(7), memory_management=12)
    found = evaluate(facts)
    assert found.finding.cost_ms == pytest.approx(12.0) and "7 times in 50 steps" in found.finding.summary
    advice = fix(found, "expandable-segments")
    assert (advice.gain.low_ms, advice.gain.expected_ms, advice.gain.high_ms) == pytest.approx((0.0, 6.0, 12.0))
    assert_consistent(advice, facts)


def test_expandable_segments_are_not_advised_twice() -> None:
    used = Environment(variables={"PYTORCH_ALLOC_CONF": "expandable_segments:True"})
    found = evaluate(make_facts(100, memory=memory(7), environment=used))
    assert [one.id for one in found.recommendations] == ["smaller-batch"]


def test_not_on_the_cpu_and_not_recorded() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"
    assert status(evaluate(make_facts(100))) == "no_data"
