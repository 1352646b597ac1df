"""Is a low utilisation of a busy device named, with where the time goes?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.utilization import Utilization
from llmprof.analyzers.rules.low_mfu import evaluate
from tests.analyzers.rules.facts_builder import status
from tests.analyzers.rules.operators_builder import copied, product, put, with_operators


def facts(mfu: float | None, **parts: float) -> Facts:
    given = with_operators(product(16384, 4096, 4096, 20.0, calls=10), copied(10**9, 60.0), **parts)
    used = Utilization(mfu=mfu, hfu=mfu, number_format="bf16", model="H200 SXM", reason="no shapes")
    return put(given, utilization=used)


@pytest.mark.parametrize(("mfu", "expected"), [(0.29, "fired"), (0.30, "passed")])
def test_threshold(mfu: float, expected: str) -> None:
    found = evaluate(facts(mfu))
    assert found.finding.status == expected
    assert "attention counted in full" in found.finding.summary  # the convention is told with the figure
    assert (found.finding.severity, found.recommendations) == ("info", ())


def test_the_largest_deficit_is_named() -> None:
    """The copy is 59 ms above its best, the products 13 ms."""
    assert "Most is lost in copy: 59.0 ms" in evaluate(facts(0.1)).finding.summary


def test_an_idle_device_is_another_matter() -> None:
    assert status(evaluate(facts(0.1, host=20.0))) == "not_applicable"


def test_unknown_utilisation_is_no_data() -> None:
    found = evaluate(facts(None))
    assert status(found) == "no_data" and "no shapes" in found.finding.summary
