"""Is what new shapes cost counted where shapes do change, or plans prove it?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.host.host_causes import AllocatorCalls
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.variable_shapes import evaluate
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.causes_builder import waits, with_causes, with_rank
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def facts_of(
    *,
    planned_ms: float = 0.0,
    compile_ms: float = 0.0,
    malloc_ms: float = 0.0,
    tokens: int | None = 7,
) -> Facts:
    facts = make_facts(100, stalls=planned_ms + compile_ms, memory_management=malloc_ms)
    partition = facts.critical.partition
    assert partition is not None
    stalls = {"plan_build": planned_ms * NS_PER_MS, "compile": compile_ms * NS_PER_MS}
    facts = with_rank(
        facts, partition=replace(partition, stall_classes=stalls), traced=make_facts(100).critical.partition
    )
    calls = AllocatorCalls(allocations=1.0, frees=0.0, retries=0.0)
    facts = with_causes(facts, blocking=waits("allocator", malloc_ms), allocator=calls, token_counts=tokens)
    return with_rank(facts, traced=facts.critical.partition)


def test_fires_and_promises_the_stalls() -> None:
    facts = facts_of(planned_ms=20.0, compile_ms=5.0)
    found = evaluate(facts)
    assert (found.finding.status, found.finding.cost_ms) == ("fired", pytest.approx(25.0))
    assert "7 different numbers of tokens" in found.finding.summary
    advice = fix(found, "bucket-lengths")
    assert_consistent(advice, facts)
    assert_contains(advice, 25.0)


def test_plans_prove_new_shapes_without_a_count_of_tokens() -> None:
    assert evaluate(facts_of(planned_ms=20.0, tokens=None)).finding.cost_ms == pytest.approx(20.0)


def test_compiling_with_one_shape_has_another_cause() -> None:
    assert status(evaluate(facts_of(compile_ms=20.0, tokens=None))) == "passed"


def test_passes_just_below_one_percent() -> None:
    assert status(evaluate(facts_of(planned_ms=0.9))) == "passed"


def test_not_applicable_where_shapes_repeat() -> None:
    assert status(evaluate(facts_of(tokens=1))) == "not_applicable"


def test_no_data_without_traced_steps() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"
