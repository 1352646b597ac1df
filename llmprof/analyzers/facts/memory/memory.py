"""How full is the device, and of what? Peaks against capacity, retries, fragmentation, live blocks, failures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmprof.analyzers.facts.memory.composition import Composition, composition_of
from llmprof.analyzers.facts.steps.trend import Trend, trend_of
from llmprof.timeline.memory import AllocatorStats, LiveBlocks, MemorySnapshot, OutOfMemory, Segments
from llmprof.timeline.timeline import RankTimeline

__all__ = ["MemoryFacts", "memory_facts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFacts:
    """Device memory of one rank; None where it was not recorded. A trace alone knows the capacity and nothing else."""

    capacity_bytes: int | None = None
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    reserved_bytes: int | None = None
    allocated_bytes: int | None = None
    inactive_split_bytes: int | None = None
    retries: int | None = None
    measured_steps: int | None = None
    """Steps that the retries were counted over."""
    out_of_memory: bool | None = None
    failure: OutOfMemory | None = None
    """The last allocation that failed, where it was recorded."""
    segments: Segments | None = None
    """What the allocator held: when an allocation failed, else when a snapshot was taken."""
    snapshot: MemorySnapshot | None = None
    composition: Composition | None = None
    """What tensors used at the peak, by what it is; None where it is not known."""
    growth: Trend | None = None
    """Of the bytes that are in use between two steps, where neither activations nor gradients of a step are counted
    anew: what grows there is never given back."""
    free_steps: float | None = None
    """Steps until the device is full if it goes on like this; None when nothing grows."""

    @property
    def reserved_share(self) -> float | None:
        """Peak reserved over capacity."""
        if self.peak_reserved_bytes is None or not self.capacity_bytes:
            return None
        return self.peak_reserved_bytes / self.capacity_bytes

    @property
    def allocated_share(self) -> float | None:
        """Peak allocated over capacity."""
        if self.peak_allocated_bytes is None or not self.capacity_bytes:
            return None
        return self.peak_allocated_bytes / self.capacity_bytes

    @property
    def live(self) -> tuple[LiveBlocks, ...]:
        """The biggest live blocks, where they were recorded."""
        return () if self.segments is None else self.segments.live

    @property
    def unusable_bytes(self) -> int | None:
        """Held by the allocator, in no tensor, and not to be given back: the pieces between blocks in use.

        Its own count, else reserved minus allocated peak.
        """
        if self.failure is not None and self.failure.inactive_split_bytes is not None:
            return self.failure.inactive_split_bytes
        if self.inactive_split_bytes is not None:
            return self.inactive_split_bytes
        if self.peak_reserved_bytes is None or self.peak_allocated_bytes is None:
            return None
        return max(0, self.peak_reserved_bytes - self.peak_allocated_bytes)

    @property
    def elsewhere_bytes(self) -> int | None:
        """In use on the device but not by this allocator when it failed: contexts, NCCL, other processes."""
        failed = self.failure
        if failed is None or failed.free_bytes is None or failed.reserved_bytes is None or not self.capacity_bytes:
            return None
        return max(0, self.capacity_bytes - failed.free_bytes - failed.reserved_bytes)


def memory_facts(rank: RankTimeline) -> MemoryFacts:
    """What is known about the device memory of one rank; a trace alone knows the capacity and nothing else."""
    stats = rank.memory or AllocatorStats()
    failure, snapshot = stats.out_of_memory, stats.snapshot
    told = rank.died is not None and "out of memory" in rank.died.lower()
    died = told or (failure is not None and failure.ended_the_run)
    # Errors that the program survived count too, in the measured steps: it caught them and tried something smaller.
    known = died or stats.out_of_memory_errors is not None
    recorded = failure.segments if failure is not None and failure.segments is not None else None
    capacity = stats.capacity_bytes or rank.environment.device.memory_bytes
    growth = _growth(stats)
    return MemoryFacts(
        capacity_bytes=capacity,
        peak_allocated_bytes=stats.peak_allocated_bytes,
        peak_reserved_bytes=stats.peak_reserved_bytes,
        reserved_bytes=stats.reserved_bytes,
        allocated_bytes=stats.allocated_bytes,
        inactive_split_bytes=stats.inactive_split_bytes,
        retries=stats.retries,
        measured_steps=stats.measured_steps,
        out_of_memory=(died or bool(stats.out_of_memory_errors)) if known else None,
        failure=failure,
        segments=recorded or (snapshot.segments if snapshot is not None else None),
        snapshot=snapshot,
        composition=composition_of(failure, stats.peak_allocated_bytes, rank.environment),
        growth=growth,
        free_steps=_free_steps(growth, capacity, stats),
    )


def _growth(stats: AllocatorStats) -> Trend | None:
    if not stats.readings:
        return None
    steps, in_use = zip(*stats.readings, strict=True)
    return trend_of(np.array(steps, dtype=np.int64), np.array(in_use, dtype=np.float64))


def _free_steps(growth: Trend | None, capacity: int | None, stats: AllocatorStats) -> float | None:
    if growth is None or growth.slope <= 0 or capacity is None or stats.peak_allocated_bytes is None:
        return None
    return max(0.0, capacity - stats.peak_allocated_bytes) / growth.slope
