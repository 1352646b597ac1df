"""How full is the device? Peaks against capacity, retries, fragmentation."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.timeline.memory import AllocatorStats
from llmprof.timeline.timeline import RankTimeline

__all__ = ["MemoryFacts", "memory_facts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFacts:
    """Device memory of one rank; None where it was not recorded. A trace alone knows the capacity and nothing else."""

    capacity_bytes: int | None = None
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    inactive_split_bytes: int | None = None
    retries: int | None = None
    out_of_memory: bool | None = None
    out_of_memory_message: str | None = None

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


def memory_facts(rank: RankTimeline) -> MemoryFacts:
    """What is known about the device memory of one rank; a trace alone knows the capacity and nothing else."""
    stats = rank.memory or AllocatorStats()
    message = rank.died if rank.died is not None and "out of memory" in rank.died.lower() else None
    # Errors that the program survived count too: it caught them and tried something smaller.
    known = message is not None or stats.out_of_memory_errors is not None
    return MemoryFacts(
        capacity_bytes=stats.capacity_bytes or rank.environment.device.memory_bytes,
        peak_allocated_bytes=stats.peak_allocated_bytes,
        peak_reserved_bytes=stats.peak_reserved_bytes,
        inactive_split_bytes=stats.inactive_split_bytes,
        retries=stats.retries,
        out_of_memory=(message is not None or bool(stats.out_of_memory_errors)) if known else None,
        out_of_memory_message=message,
    )
