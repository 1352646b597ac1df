"""Is the power limit information under full load, and advice only where somebody has lowered it?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.rules.power_cap import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, fix, make_facts, status
from tests.analyzers.rules.run_builder import with_rank


def gpu(capped: float, limit: float = 700.0, default: float = 700.0) -> HardwareFacts:
    return HardwareFacts(
        samples=50,
        reasons={"software-power-cap": capped},
        slowed_share=0.0,
        power_limit_w=limit,
        power_default_w=default,
        power_w=limit,
        sm_mhz=1500.0,
        sm_mhz_max=2000,
    )


@pytest.mark.parametrize(("capped", "expected"), [(0.04, "passed"), (0.06, "fired"), (1.0, "fired")])
def test_a_full_gpu_at_its_own_limit_is_told_and_nothing_advised(capped: float, expected: str) -> None:
    found = evaluate(with_rank(make_facts(100), hardware=gpu(capped)))
    assert (found.finding.status, found.finding.severity, found.recommendations) == (expected, "info", ())


def test_a_lowered_limit_is_advised_back_without_a_promise() -> None:
    """500 of 700 W: at most 28.6 % more power, at most 25 % more clock, so 25 ms of 100 at the very best."""
    facts = with_rank(make_facts(100), hardware=gpu(1.0, limit=500.0))
    found = evaluate(facts)
    advice = fix(found, "fix-throttling")
    assert found.finding.severity == "warning" and "nvidia-smi -pl 700" in advice.how
    assert (advice.gain.low_ms, advice.gain.expected_ms, advice.gain.high_ms) == pytest.approx((0.0, 0.0, 25.0))
    assert_consistent(advice, facts)


def test_unknown_and_not_applicable() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"
    assert status(evaluate(with_rank(make_facts(100), hardware=HardwareFacts(power_default_w=700.0)))) == "no_data"
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"
