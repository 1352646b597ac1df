"""Does what a compiled model still launches follow from its matrix products?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.host.compiled_launches import launches_left
from tests.analyzers.rules.facts_builder import make_kernels


def left(**counts: float) -> tuple[float, float, float] | None:
    return launches_left(replace(make_kernels(), count_by_class=counts))


def test_each_product_stays_with_some_generated_kernels_beside_it() -> None:
    """1200 kernels of which 100 are products: 200 launches stay at best, 300 dearer ones are expected."""
    found = left(gemm=100, elementwise=800, reduction=300, optimizer=500)
    assert found == pytest.approx((800 / 1200, 450 / 1200, 0.25))


def test_collectives_are_not_launched_by_the_compiled_code() -> None:
    assert left(gemm=100, elementwise=800, reduction=300, communication=150) == left(
        gemm=100, elementwise=800, reduction=300
    )


def test_a_model_of_products_alone_gains_nothing() -> None:
    assert left(gemm=90, attention=10, elementwise=100) == (1.0, 1.0, 1.0)


def test_without_classes_or_products_nothing_is_said() -> None:
    assert left() is None
    assert left(elementwise=100) is None
    assert launches_left(None) is None


def test_casts_of_fp32_weights_are_launched_beside_their_products() -> None:
    """Two for each three products: 367 launches instead of 300 are expected, each dearer; at best nothing is cast."""
    found = launches_left(replace(make_kernels(), count_by_class={"gemm": 100, "elementwise": 1100}), cast=True)
    assert found == pytest.approx((1000 / 1200, 550 / 1200, 0.25))
