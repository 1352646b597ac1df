"""What is the best time of an operation? Against rates that are public."""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.devices import find_device
from llmprof.analyzers.facts.device.roofline import roofline_of
from llmprof.analyzers.facts.faster.attention_speed import fused_attention
from llmprof.timeline.environment import Device

H200 = Device(name="NVIDIA H200", sm_count=132)


def test_the_longer_of_arithmetic_and_traffic_counts() -> None:
    line = roofline_of(H200)
    assert line is not None
    assert line.best_ns(795e9, 1.0, "bf16") == pytest.approx(1e6)  # the best that was measured: 795 TFLOPS
    assert line.least_ns(989e9, 1.0, "bf16") == pytest.approx(1e6)
    assert line.best_ns(1.0, 4.8e9 * 0.8, "bf16") == pytest.approx(1e6)
    assert line.memory_limited(795e9, 4.8e9 * 0.8 * 1.01, "bf16") is True
    assert line.memory_limited(795e9, 4.8e9 * 0.8 * 0.99, "bf16") is False


def test_unknown_is_not_guessed() -> None:
    assert roofline_of(Device(name="Some GPU 9000")) is None
    line = roofline_of(H200)
    assert line is not None
    assert line.best_ns(None, None, "bf16") is None
    assert line.best_ns(1e12, None, "int3") is None
    assert line.memory_limited(1e12, None, "bf16") is None


def test_achievable_rates_stay_below_the_peak() -> None:
    for name in ("NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3", "NVIDIA H200", "NVIDIA B200", "NVIDIA L40S"):
        peaks = find_device(name, None)
        assert peaks is not None
        for number_format, peak in peaks.flops.items():
            reached = peaks.achievable(number_format)
            assert reached is not None and 0.7 * peak <= reached <= 0.9 * peak
        assert peaks.achievable_bytes_per_s < peaks.memory_bytes_per_s
        assert peaks.achievable("int3") is None


def test_fused_attention_by_length() -> None:
    """The longer the sequence the nearer to the peak; a causal mask halves the best case only."""
    peaks = find_device("NVIDIA H200", 132)
    assert peaks is not None

    def fused(queries: int, *, causal: bool = False) -> float:
        found = fused_attention(
            peaks, forward_flops=1e12, backward_flops=2e12, moved=1.0, queries=queries, number_format="bf16",
            causal=causal,
        )  # fmt: skip
        assert found is not None and found.fast_ns <= found.expected_ns <= found.slow_ns
        return found.fast_ns if causal else found.expected_ns

    assert fused(2048) == pytest.approx((1e12 + 1.25 * 2e12) / (0.5 * 989e12) * 1e9)
    assert fused(256) > fused(1024) > fused(2048) > fused(8192)
    assert fused(2048, causal=True) < fused(2048)
