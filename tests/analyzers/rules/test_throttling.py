"""Is a GPU that is held back found on whichever rank it is, and no more promised than its clocks cost?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.rules.throttling import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, fix, make_facts, status
from tests.analyzers.rules.run_builder import with_rank, with_ranks


def gpu(slowed: float | None, counted: float | None = None, **more: object) -> HardwareFacts:
    reasons = {"software-thermal": slowed} if slowed else {}
    return HardwareFacts(samples=50, reasons=reasons, slowed_share=slowed, thermal_held_share=counted, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        (gpu(0.5), "fired"),
        (gpu(0.02), "fired"),
        (gpu(0.0099), "passed"),
        (gpu(0.0, counted=0.3), "fired"),
        (gpu(None, counted=0.0), "passed"),
        (gpu(None), "no_data"),
        (None, "no_data"),
    ],
)
def test_a_hundredth_of_the_time(hardware: HardwareFacts | None, expected: str) -> None:
    assert status(evaluate(with_rank(make_facts(100), hardware=hardware))) == expected


def test_the_gain_is_the_time_that_the_lower_clock_costs() -> None:
    """Held back for half of 100 ms of kernels, at 1200 instead of 1600 MHz: a quarter of the half, 12.5 ms at most."""
    facts = with_rank(make_facts(100), hardware=gpu(0.5, slowed_mhz=1200.0, free_mhz=1600.0))
    found = evaluate(facts)
    advice = fix(found, "fix-throttling")
    assert found.finding.cost_ms == pytest.approx(12.5)
    assert (advice.gain.low_ms, advice.gain.expected_ms, advice.gain.high_ms) == pytest.approx((0.0, 6.25, 12.5))
    assert "1200 instead of 1600 MHz" in found.finding.summary
    assert_consistent(advice, facts)


def test_the_power_limit_alone_is_not_meant() -> None:
    capped = HardwareFacts(samples=50, reasons={"software-power-cap": 1.0}, slowed_share=0.0, power_held_share=0.9)
    assert status(evaluate(with_rank(make_facts(100), hardware=capped))) == "passed"


def test_the_rank_with_the_slow_gpu_is_named() -> None:
    found = evaluate(with_ranks(make_facts(100), hardware=[gpu(0.0), gpu(0.4), gpu(0.02)]))
    assert found.finding.ranks == (1, 2)
    assert "the GPU of rank 1" in found.finding.summary


def test_not_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"
