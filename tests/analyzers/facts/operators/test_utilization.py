"""Utilisation: exact against the peak, and no figure where one of its terms is not known."""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.kernels import KernelFacts
from llmprof.analyzers.facts.operators.flops import FlopFacts
from llmprof.analyzers.facts.operators.utilization import utilization
from llmprof.timeline.environment import Device

H200 = Device(name="NVIDIA H200")


def flops(model: float, executed: float | None = None, number_format: str = "bf16") -> FlopFacts:
    return FlopFacts(model=model, executed=executed or model, by_format={number_format: model}, steps=1)


def kernels(**times: float) -> KernelFacts:
    return KernelFacts(count_per_step=1, mean_ns=1, short_share=0, gemm_ns_by_format=times)


def test_a_quarter_of_the_peak_is_a_quarter() -> None:
    """989 TFLOP/s for 1 ms are 0.9895 TFLOP; the model needs a quarter of it and executes 30 %."""
    found = utilization(flops(0.25 * 989e9, 0.30 * 989e9), 1e6, H200, None)
    assert (found.mfu, found.hfu) == (pytest.approx(0.25), pytest.approx(0.30))
    assert (found.number_format, found.model, found.reason) == ("bf16", "H200 SXM", None)


@pytest.mark.parametrize(("times", "number_format"), [({"tf32": 9.0, "fp32": 1.0}, "tf32"), ({"fp32": 9.0}, "fp32")])
def test_fp32_operands_count_against_what_they_ran_as(times: dict[str, float], number_format: str) -> None:
    assert utilization(flops(1e9, number_format="fp32"), 1e6, H200, kernels(**times)).number_format == number_format


def test_never_above_the_peak() -> None:
    found = utilization(flops(2 * 989e9), 1e6, H200, None)
    assert found.mfu is None and found.reason is not None and "more arithmetic" in found.reason


@pytest.mark.parametrize(
    ("facts", "device"),
    [
        (None, H200),
        (flops(1e9), Device(name="NVIDIA P4")),
        (flops(1e9), Device()),
        (flops(1e9, number_format="fp64"), H200),
        (FlopFacts(model=1e9, executed=1e9, by_format={"bf16": 1e9}, steps=1, uncounted=("convolution",)), H200),
    ],
)
def test_what_is_unknown_has_a_reason(facts: FlopFacts | None, device: Device) -> None:
    found = utilization(facts, 1e6, device, None)
    assert found.mfu is None and found.hfu is None and found.reason
