"""Are products with too few tiles named?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.memory import MemoryFacts
from llmprof.analyzers.rules.small_matmuls import evaluate
from llmprof.timeline.environment import Device, Environment
from tests.analyzers.rules.facts_builder import assert_consistent, fix, status
from tests.analyzers.rules.operators_builder import copied, product, with_operators

TILED = "nvjet_sm90_tst_128x128_64x6_1x2_h_bz_TNT"


def test_half_of_the_idle_time_is_expected_back() -> None:
    """64 tiles of 128 x 128 on 132 multiprocessors: 68 of them, and 51.5 % of the time, are idle."""
    facts = with_operators(product(1024, 4096, 1024, 40.0, kernel=TILED))
    advice = fix(evaluate(facts), "larger-batch")
    lost = 40.0 * (1 - 64 / 132)
    assert (advice.gain.low_ms, advice.gain.expected_ms) == (0.0, pytest.approx(lost / 2))
    assert advice.gain.high_ms == pytest.approx(lost)
    assert_consistent(advice, facts)


@pytest.mark.parametrize(("ms", "expected"), [(9.7, "passed"), (9.8, "fired")])
def test_threshold(ms: float, expected: str) -> None:
    """5 % of 100 ms, of which 51.5 % are lost."""
    assert status(evaluate(with_operators(product(1024, 4096, 1024, ms, kernel=TILED)))) == expected


def test_large_products_pass() -> None:
    assert status(evaluate(with_operators(product(16384, 4096, 4096, 80.0, kernel=TILED)))) == "passed"


def test_unknown_tiles_and_devices_are_no_data() -> None:
    assert status(evaluate(with_operators(product(1024, 4096, 1024, 40.0, kernel="ampere_gemm")))) == "no_data"
    unknown = Environment(device=Device(name="NVIDIA H200"))
    assert status(evaluate(with_operators(product(64, 64, 64, 9.0), environment=unknown))) == "no_data"


def test_no_products_no_question() -> None:
    assert status(evaluate(with_operators(copied(2**20, 40.0)))) == "not_applicable"


def test_a_larger_batch_is_not_recommended_where_it_would_not_fit() -> None:
    memory = MemoryFacts(capacity_bytes=100, peak_allocated_bytes=60)
    found = evaluate(with_operators(product(1024, 4096, 1024, 40.0, kernel=TILED), memory=memory))
    assert (found.finding.status, found.recommendations) == ("fired", ())
