"""How much of the GPU's arithmetic does the step use? Model and hardware FLOP utilisation against the dense peak."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.facts.device.devices import find_device
from llmprof.analyzers.facts.device.kernels import KernelFacts
from llmprof.analyzers.facts.operators.flops import FlopFacts
from llmprof.timeline.environment import Device

__all__ = ["Utilization", "utilization"]

MOSTLY = 0.5
"""A format that has this share of the fp32 products' kernel time is the one they ran in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utilization:
    """Shares of the dense peak of the format in which most of the arithmetic is done."""

    mfu: float | None = None
    """What the model needs (attention in full, nothing counted twice) over what the peak would do in a step."""
    hfu: float | None = None
    """What was executed: what is computed a second time (attention scores, checkpointed blocks) counts too."""
    number_format: str | None = None
    model: str | None = None
    """The GPU whose peak it is."""
    reason: str | None = None
    """Why there is no figure."""

    @property
    def basis(self) -> str | None:
        """What the figures refer to, or why there are none."""
        if self.mfu is None:
            return self.reason
        return f"of the {self.number_format} peak of {self.model}, attention counted in full"


def utilization(flops: FlopFacts | None, step_ns: float, device: Device, kernels: KernelFacts | None) -> Utilization:
    """Utilisation of one rank over a step of `step_ns`; without a figure where anything of it is unknown."""
    if flops is None:
        return Utilization(reason="no input shapes were recorded, so that FLOPs cannot be counted")
    if flops.uncounted:
        return Utilization(reason=f"the arithmetic of {', '.join(flops.uncounted)} is not known from input shapes")
    peaks = find_device(device.name, device.sm_count)
    if peaks is None:
        return Utilization(reason=f"the peak rate of {device.name or 'this device'} is not known")
    number_format = _dominant(flops, kernels)
    peak = peaks.flops.get(number_format)
    if peak is None or step_ns <= 0:
        return Utilization(reason=f"the peak rate of {peaks.name} for {number_format} is not known")
    at_peak_ns = flops.executed / peak * 1e9
    if at_peak_ns > step_ns:
        return Utilization(
            reason="more arithmetic was counted than the device can do in a step; shapes or format are wrong"
        )
    return Utilization(
        mfu=flops.model / peak * 1e9 / step_ns,
        hfu=at_peak_ns / step_ns,
        number_format=number_format,
        model=peaks.name,
    )


def _dominant(flops: FlopFacts, kernels: KernelFacts | None) -> str:
    """The format with most FLOPs; products of fp32 operands that ran as TF32 are TF32."""
    number_format = max(flops.by_format, key=lambda name: flops.by_format[name])
    if number_format == "fp32" and kernels is not None:
        times = kernels.gemm_ns_by_format
        if times.get("tf32", 0.0) > MOSTLY * (times.get("tf32", 0.0) + times.get("fp32", 0.0)):
            return "tf32"
    return number_format
