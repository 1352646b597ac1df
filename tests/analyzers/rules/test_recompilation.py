"""Is compiling during the traced steps seen?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.recompilation import evaluate
from llmprof.timeline.environment import Environment
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.causes_builder import with_rank
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def facts_of(compile_ms: float, *, compiled: bool | None = True) -> Facts:
    facts = make_facts(100, stalls=compile_ms, environment=Environment(compiled=compiled))
    partition = facts.critical.partition
    assert partition is not None
    partition = replace(partition, stall_classes={"compile": compile_ms * NS_PER_MS})
    return with_rank(facts, partition=partition, traced=partition)


def test_fires_and_promises_the_stall() -> None:
    facts = facts_of(25.0)
    found = evaluate(facts)
    assert (found.finding.status, found.finding.cost_ms) == ("fired", pytest.approx(25.0))
    advice = fix(found, "static-shapes")
    assert_consistent(advice, facts)
    assert_contains(advice, 25.0)


def test_passes_just_below_one_percent() -> None:
    assert status(evaluate(facts_of(0.9))) == "passed"


def test_not_applicable_without_compilation() -> None:
    assert status(evaluate(facts_of(0.0, compiled=False))) == "not_applicable"


def test_no_data_without_traced_steps() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"
