"""How long does an operation take at best? The larger of its arithmetic and its traffic, at the device's rates."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.facts.device.devices import DevicePeaks, find_device
from llmprof.timeline.environment import Device

__all__ = ["IMPOSSIBLE", "Roofline", "roofline_of"]

IMPOSSIBLE = 1.05
"""A kernel that is this much faster than the device's peak was counted wrongly (or read its data from the cache)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """The rates of a known device."""

    peaks: DevicePeaks

    @property
    def bytes_per_s(self) -> float:
        """Memory bandwidth that a good kernel reaches."""
        return self.peaks.achievable_bytes_per_s

    def best_ns(self, flops: float | None, moved: float | None, number_format: str | None) -> float | None:
        """Ns at achievable rates: max(FLOPs / rate of the format, bytes / bandwidth); None where both are unknown."""
        rate = self.peaks.achievable(number_format or "")
        return _longer(flops, rate, moved, self.bytes_per_s)

    def least_ns(self, flops: float | None, moved: float | None, number_format: str | None) -> float | None:
        """The same at the peak rates of the datasheet, below which nothing can run."""
        return _longer(flops, self.peaks.flops.get(number_format or ""), moved, self.peaks.memory_bytes_per_s)

    def memory_limited(self, flops: float | None, moved: float | None, number_format: str | None) -> bool | None:
        """Whether traffic takes longer than arithmetic; None where the traffic is not known."""
        if moved is None:
            return None
        rate = self.peaks.achievable(number_format or "")
        return not flops or rate is None or moved / self.bytes_per_s >= flops / rate


def roofline_of(device: Device) -> Roofline | None:
    """The roofline of a device; None when its rates are not known, because a guess would promise wrong gains."""
    peaks = find_device(device.name, device.sm_count)
    return None if peaks is None else Roofline(peaks=peaks)


def _longer(flops: float | None, rate: float | None, moved: float | None, bandwidth: float) -> float | None:
    times = []
    if flops and rate:
        times.append(flops / rate)
    if moved:
        times.append(moved / bandwidth)
    return max(times) * 1e9 if times else None
