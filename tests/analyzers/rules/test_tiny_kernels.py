"""Are the gaps between launched kernels counted once, and not again where launching is the matter?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.tiny_kernels import evaluate
from llmprof.timeline.environment import Environment
from tests.analyzers.rules.facts_builder import (
    assert_consistent,
    assert_contains,
    fix,
    make_facts,
    make_kernels,
    status,
)


def test_fires_and_promises_part_of_the_gaps() -> None:
    facts = make_facts(10, host=1.0, detail={"gap": 1.0}, kernels=make_kernels(count=900, mean_us=9.9))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.cost_ms) == ("fired", pytest.approx(1.0))
    advice = fix(found, "torch-compile")
    assert_consistent(advice, facts)
    assert_contains(advice, 0.5)


@pytest.mark.parametrize(("gap_ms", "mean_us"), [(0.29, 5.0), (1.0, 10.0)], ids=["short gaps", "long kernels"])
def test_passes_just_below(gap_ms: float, mean_us: float) -> None:
    facts = make_facts(10, host=gap_ms, detail={"gap": gap_ms}, kernels=make_kernels(mean_us=mean_us))
    assert status(evaluate(facts)) == "passed"


def test_a_launch_bound_step_gets_the_advice_from_that_rule() -> None:
    facts = make_facts(10, host=6.0, detail={"gap": 1.0, "launch": 5.0}, kernels=make_kernels(mean_us=3.0))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.cost_ms) == ("fired", pytest.approx(1.0))
    assert found.recommendations == ()


def test_a_compiled_model_is_not_told_to_compile() -> None:
    environment = Environment(compiled=True)
    facts = make_facts(10, host=1.0, detail={"gap": 1.0}, kernels=make_kernels(mean_us=3.0), environment=environment)
    assert evaluate(facts).recommendations == ()


def test_not_applicable_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"


def test_no_data_without_kernels() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"
