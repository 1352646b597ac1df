"""What the caching allocator held: peaks and counters of one rank."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AllocatorStats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocatorStats:
    """The allocator at the end of the measured steps; bytes and counts, None where it was not read.

    Peaks are over the whole run. Counters are differences over the measured steps, so growth during warm-up is not in
    them.
    """

    capacity_bytes: int | None = None
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    inactive_split_bytes: int | None = None
    retries: int | None = None
    out_of_memory_errors: int | None = None
    device_allocations: int | None = None
    """cudaMalloc calls during the measured steps."""
    device_frees: int | None = None
    measured_steps: int | None = None
