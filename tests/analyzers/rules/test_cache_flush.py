"""Are frees that the script asked for told from those of a full device, and is their cost the bubble behind them?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.host.host_causes import AllocatorCalls
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.cache_flush import evaluate
from llmprof.timeline.environment import Environment
from tests.analyzers.rules.causes_builder import waits, with_causes
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def facts_of(cost_ms: float, calls: AllocatorCalls, **variables: str) -> Facts:
    facts = make_facts(100, memory_management=cost_ms, environment=Environment(variables=variables))
    return with_causes(facts, blocking=waits("allocator", cost_ms, operator="cudaFree"), allocator=calls)


FLUSHED = AllocatorCalls(allocations=12.0, frees=12.0, retries=0.0, steps=100)


def test_fires_and_promises_the_bubble() -> None:
    facts = facts_of(9.0, FLUSHED)
    found = evaluate(facts)
    assert (found.finding.status, found.finding.cost_ms) == ("fired", pytest.approx(9.0))
    advice = fix(found, "stop-cache-flush")
    assert_consistent(advice, facts)
    assert_contains(advice, 9.0)


def test_passes_just_below_one_percent() -> None:
    assert status(evaluate(facts_of(0.9, FLUSHED))) == "passed"


def test_frees_of_a_full_device_are_no_flush() -> None:
    full = AllocatorCalls(allocations=12.0, frees=12.0, retries=0.5, steps=100)
    assert status(evaluate(facts_of(9.0, full))) == "passed"


def test_frees_by_a_threshold_are_no_flush() -> None:
    settings = {"PYTORCH_CUDA_ALLOC_CONF": "garbage_collection_threshold:0.8"}
    assert status(evaluate(facts_of(9.0, FLUSHED, **settings))) == "passed"


def test_a_single_free_is_no_habit() -> None:
    assert status(evaluate(facts_of(9.0, AllocatorCalls(allocations=0.05, frees=0.05, retries=0.0)))) == "passed"


def test_not_applicable_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"


def test_no_data_from_a_trace_alone() -> None:
    facts = with_causes(make_facts(100, memory_management=9.0), blocking=waits("allocator", 9.0))
    assert status(evaluate(facts)) == "no_data"
