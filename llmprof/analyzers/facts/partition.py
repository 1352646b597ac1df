"""Where does each nanosecond of a step go? The exclusive partition of the traced windows of one rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmprof.timeline.intervals import EMPTY, Intervals

__all__ = ["Partition"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Nanoseconds per step of each class of `diagnosis.PARTS`, summing to `step_ns`.

    `compute_classes` splits compute, `detail` splits host (`launch`, `gap`), data (`wait`, `input_copy`) and memcpy
    (`peer`, `to_host`, `other`). `spans` says when, on the rank's own clock.
    """

    step_ns: float
    parts: Mapping[str, float]
    compute_classes: Mapping[str, float] = field(default_factory=dict)
    stall_classes: Mapping[str, float] = field(default_factory=dict)
    detail: Mapping[str, float] = field(default_factory=dict)
    spans: Mapping[str, Intervals] = field(default_factory=dict)
    unlinked_idle_ns: float = 0.0
    cpu_only: bool = False
    """True when there is no device work: operators stand for kernels."""
    spread: Mapping[str, float] = field(default_factory=dict)
    """Standard deviation of each class over the traced steps, ns."""

    def idle(self) -> Intervals:
        """Every span during which the device did nothing."""
        result = EMPTY
        for name in ("data", "host", "sync", "memory_management", "stalls", "other"):
            result = result | self.spans.get(name, EMPTY)
        return result
