"""Is a step whose kernels wait for memory told from one whose kernels compute?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.bandwidth_bound import evaluate
from tests.analyzers.rules.facts_builder import status
from tests.analyzers.rules.operators_builder import copied, make_operators, product, with_operators


@pytest.mark.parametrize(("copy_ms", "expected"), [(39.0, "passed"), (41.0, "fired")])
def test_half_of_the_kernel_time_decides(copy_ms: float, expected: str) -> None:
    found = evaluate(with_operators(copied(10**9, copy_ms), product(16384, 4096, 4096, 40.0)))
    assert found.finding.status == expected
    assert (found.finding.severity, found.finding.cost_ms, found.recommendations) == ("info", None, ())


def test_an_idle_device_has_other_worries() -> None:
    assert status(evaluate(with_operators(copied(10**9, 30.0), host=60.0))) == "passed"


def test_unknown_limits_are_no_data() -> None:
    given = make_operators(copied(10**9, 30.0), device=None, memory_limited_ns=0.0)
    assert status(evaluate(with_operators(given=given))) == "no_data"
