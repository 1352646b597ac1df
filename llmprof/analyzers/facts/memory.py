"""How full is the device? Peaks against capacity, retries, fragmentation."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MemoryFacts"]


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
