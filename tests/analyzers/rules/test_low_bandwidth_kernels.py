"""Are large tensors that move slowly named, and small or computing ones left alone?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.low_bandwidth_kernels import evaluate
from llmprof.timeline.environment import Device, Environment
from tests.analyzers.rules.facts_builder import status
from tests.analyzers.rules.operators_builder import copied, product, with_operators

ELEMENTS = 10**9
AT_PEAK_MS = 4 * ELEMENTS / 4.8e12 * 1e3


def test_the_cost_is_the_difference_to_a_good_kernel() -> None:
    """4 GB at a quarter of 4.8 TB/s; a good kernel reaches 80 %."""
    found = evaluate(with_operators(copied(ELEMENTS, 4 * AT_PEAK_MS)))
    assert (found.finding.status, found.finding.severity) == ("fired", "info")
    assert found.finding.cost_ms == pytest.approx(AT_PEAK_MS * (4 - 1 / 0.8))
    assert not found.recommendations


@pytest.mark.parametrize(("factor", "expected"), [(1.9, "passed"), (4.0, "fired")])
def test_threshold(factor: float, expected: str) -> None:
    """Half of the bandwidth."""
    assert status(evaluate(with_operators(copied(ELEMENTS, factor * AT_PEAK_MS)))) == expected


def test_small_tensors_and_products_do_not_count() -> None:
    small, gemm = copied(2**18, 10.0), product(64, 64, 64, 30.0)
    assert status(evaluate(with_operators(small, gemm))) == "passed"


def test_an_unknown_bandwidth_is_no_data() -> None:
    device = Device(name="Some GPU 9000")
    given = with_operators(copied(ELEMENTS, 9.0, device=device), environment=Environment(device=device))
    from dataclasses import replace

    from tests.analyzers.rules.operators_builder import put

    assert given.critical.operators is not None
    unknown = put(given, operators=replace(given.critical.operators, device=None))
    assert status(evaluate(unknown)) == "no_data"
