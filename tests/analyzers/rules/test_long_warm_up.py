"""Is a long start noted, and a very long one a warning?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.long_warm_up import evaluate
from llmprof.timeline.steps import StepPhase
from tests.analyzers.rules.facts_builder import make_facts, status
from tests.analyzers.rules.run_builder import table, with_rank

PHASES = [StepPhase.WARMUP] * 2 + [StepPhase.BASELINE] * 20


@pytest.mark.parametrize(
    ("first_s", "expected", "severity"),
    [(59, "passed", "info"), (61, "fired", "info"), (1199, "fired", "info"), (1201, "fired", "warning")],
)
def test_a_minute_is_noted_and_twenty_are_a_warning(first_s: float, expected: str, severity: str) -> None:
    finding = evaluate(
        with_rank(make_facts(40), table=table([first_s * 1000.0, 40.0] + [40.0] * 20, phases=PHASES))
    ).finding
    assert (finding.status, finding.severity) == (expected, severity)


def test_no_warm_up_and_no_steps() -> None:
    assert status(evaluate(with_rank(make_facts(40), table=table([40.0] * 30)))) == "not_applicable"
    assert status(evaluate(make_facts(40))) == "no_data"
