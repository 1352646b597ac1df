"""What do the collectives cost? Count, bytes, exposed and hidden time, and which rank waits for which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["CollectiveFacts", "CollectiveGroup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveGroup:
    """Collectives of one operation and number format; per step, on one rank."""

    op: str
    dtype: str | None
    count: float
    bytes: float | None
    """Message bytes summed; None when the recording does not carry sizes."""
    ns: float
    """Summed kernel time, waiting for peers included."""
    exposed_ns: float
    bus_bytes_per_s: float | None = None
    """Bus bandwidth by nccl-tests' formulas on the shortest duration over ranks; None without sizes."""
    group_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveFacts:
    """Collectives of one rank inside the traced windows; ns per step, unions where not said otherwise."""

    count_per_step: float
    total_ns: float
    exposed_ns: float
    hidden_ns: float
    skew_ns: float | None
    """Of the exposed time, waiting for a late peer; None when the peers were not recorded."""
    summed_ns: float
    """Sum of durations: what the rank spends inside collectives, waiting included."""
    groups: tuple[CollectiveGroup, ...] = ()
    median_bytes: float | None = None
    waits_for: int | None = None
    """The rank that is last to arrive most often at the collectives in which this one waits."""
    wait_by_rank_ns: Mapping[int, float] = field(default_factory=dict)
