"""Is a utilisation of 100 % with little behind it called that, and never advised on?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.rules.hollow_utilization import evaluate
from tests.analyzers.rules.facts_builder import make_facts, status
from tests.analyzers.rules.run_builder import with_rank


def gpu(utilization: float | None, active: float | None = None, power: float | None = None) -> HardwareFacts:
    return HardwareFacts(
        samples=9,
        utilization=utilization,
        activity={} if active is None else {"sm_active": active},
        power_w=power,
        power_limit_w=700.0,
    )


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        (gpu(1.0, active=0.49), "fired"),
        (gpu(1.0, active=0.51), "passed"),
        (gpu(1.0, active=0.9, power=100), "passed"),  # limited by memory: little power, all multiprocessors
        (gpu(1.0, power=340), "fired"),
        (gpu(1.0, power=360), "passed"),
        (gpu(0.94, active=0.1), "not_applicable"),
        (gpu(1.0), "no_data"),
        (gpu(None), "no_data"),
        (None, "no_data"),
    ],
)
def test_activity_decides_and_power_where_it_is_unknown(hardware: HardwareFacts | None, expected: str) -> None:
    found = evaluate(with_rank(make_facts(100), hardware=hardware))
    assert (found.finding.status, found.finding.severity, found.recommendations) == (expected, "info", ())


def test_not_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"
