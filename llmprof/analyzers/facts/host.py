"""What does the host do? Launches, host syncs and the operators that caused them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["HostFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The launching side of one rank inside the traced windows; per step."""

    launches: float | None = None
    """Runtime calls that put work on the device."""
    graph_launches: float | None = None
    operators: float | None = None
    recorded_events: float | None = None
    """Rows that the profiler wrote for the host: what the tracing itself costs grows with it."""
    syncs: float | None = None
    sync_ns: float | None = None
    """Host time inside synchronising calls (waiting for the device is mostly not lost)."""
    syncs_by_operator: Mapping[str, float] = field(default_factory=dict)
    allocator_calls: float | None = None
    """cudaMalloc, cudaFree and their like."""
