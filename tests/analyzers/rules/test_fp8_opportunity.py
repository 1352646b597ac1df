"""Is fp8 mentioned only where linear layers dominate and run well, and never promised?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.rules.fp8_opportunity import evaluate
from llmprof.timeline.environment import Device, Environment
from tests.analyzers.rules.facts_builder import fix, status
from tests.analyzers.rules.operators_builder import product, with_operators

CALLS = 73  # of 16384 x 4096 x 4096, 0.556 ms each at the peak


def linear(ms: float, **fields: object) -> OperatorWork:
    return product(16384, 4096, 4096, ms, calls=CALLS, **fields)


def test_a_healthy_step_is_told_of_fp8_and_promised_nothing() -> None:
    """40.6 ms at the peak in 55 ms; at 1.6 times the speed 20.6 ms could go."""
    found = evaluate(with_operators(linear(55.0)))
    gain = fix(found, "fp8").gain
    assert (found.finding.severity, gain.basis) == ("info", "prior")
    assert (gain.low_ms, gain.expected_ms, gain.high_ms) == (0.0, 0.0, pytest.approx(55 * (1 - 1 / 1.6)))


@pytest.mark.parametrize(("ms", "expected"), [(49.0, "passed"), (51.0, "fired"), (69.0, "passed")])
def test_thresholds(ms: float, expected: str) -> None:
    """Half of the step, and 60 % of the peak."""
    assert status(evaluate(with_operators(linear(ms)))) == expected


def test_older_gpus_have_no_fp8() -> None:
    device = Device(name="NVIDIA A100-SXM4-80GB", sm_count=108, capability=(8, 0))
    assert status(evaluate(with_operators(linear(60.0), environment=Environment(device=device)))) == "not_applicable"
    assert status(evaluate(with_operators(linear(60.0), environment=Environment()))) == "no_data"


def test_fp32_products_come_first() -> None:
    assert status(evaluate(with_operators(linear(60.0, number_format="tf32")))) == "passed"
