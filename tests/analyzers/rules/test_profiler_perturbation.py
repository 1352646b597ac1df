"""Is a traced step that is longer said to be, and what stayed behind?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.rules.profiler_perturbation import evaluate
from llmprof.timeline.steps import StepPhase
from tests.analyzers.rules.facts_builder import make_facts, status
from tests.analyzers.rules.run_builder import table, with_rank


@pytest.mark.parametrize(("traced_ms", "expected"), [(109.9, "passed"), (110.1, "fired"), (90.0, "passed")])
def test_a_tenth_more_is_another_step(traced_ms: float, expected: str) -> None:
    found = evaluate(make_facts(100, traced_ms=traced_ms))
    assert (found.finding.status, found.finding.severity, found.recommendations) == (expected, "info", ())


def test_steps_that_stay_long_after_the_burst() -> None:
    phases = [StepPhase.BASELINE] * 20 + [StepPhase.AFTER] * 20
    run = table([100.0] * 20 + [112.0] * 20, phases=phases)
    level = table([100.0] * 20 + [101.0] * 20, phases=phases)
    found = evaluate(with_rank(make_facts(100, traced_ms=105), table=run))
    assert found.finding.status == "fired" and "12 % longer" in found.finding.summary
    assert status(evaluate(with_rank(make_facts(100, traced_ms=105), table=level))) == "passed"


def test_without_a_trace_or_without_a_baseline() -> None:
    assert status(evaluate(make_facts(100))) == "not_applicable"
    facts = make_facts(100, traced_ms=100)
    assert status(evaluate(replace(facts, step=replace(facts.step, basis="profiled")))) == "no_data"
