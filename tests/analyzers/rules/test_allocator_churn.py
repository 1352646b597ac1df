"""Is cudaMalloc in steady state blamed on sizes that change, where nothing else explains it?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.host.host_causes import AllocatorCalls
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.allocator_churn import evaluate
from llmprof.timeline.environment import Environment
from tests.analyzers.rules.causes_builder import waits, with_causes
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def facts_of(cost_ms: float, allocations: float, frees: float = 0.0, **variables: str) -> Facts:
    calls = AllocatorCalls(allocations=allocations, frees=frees, retries=0.0, steps=100)
    facts = make_facts(100, memory_management=cost_ms, environment=Environment(variables=variables))
    return with_causes(facts, blocking=waits("allocator", cost_ms, operator="cudaMalloc"), allocator=calls)


def test_fires_and_promises_no_more_than_the_bubble() -> None:
    facts = facts_of(6.0, 2.0)
    found = evaluate(facts)
    assert (found.finding.status, found.finding.cost_ms) == ("fired", pytest.approx(6.0))
    assert [one.id for one in found.recommendations] == ["static-shapes", "expandable-segments"]
    for advice in found.recommendations:
        assert_consistent(advice, facts)
        assert_contains(advice, 6.0)


def test_segments_that_expand_already_are_not_advised() -> None:
    facts = facts_of(6.0, 2.0, PYTORCH_CUDA_ALLOC_CONF="expandable_segments:True")
    assert [one.id for one in evaluate(facts).recommendations] == ["static-shapes"]
    assert fix(evaluate(facts), "static-shapes").gain.low_ms == 0


@pytest.mark.parametrize("facts", [facts_of(0.9, 2.0), facts_of(6.0, 0.09)], ids=["cheap", "seldom"])
def test_passes_just_below(facts: Facts) -> None:
    assert status(evaluate(facts)) == "passed"


def test_not_applicable_where_memory_is_given_back_too() -> None:
    assert status(evaluate(facts_of(6.0, 2.0, frees=2.0))) == "not_applicable"


def test_not_applicable_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"


def test_no_data_without_the_allocators_counts() -> None:
    assert status(evaluate(make_facts(100, memory_management=6.0))) == "no_data"
