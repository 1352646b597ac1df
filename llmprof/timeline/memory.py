"""What the caching allocator held: peaks, counters, live blocks, and the moment in which it ran out of memory."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AllocatorStats", "Curve", "LiveBlocks", "MemorySnapshot", "OutOfMemory", "Pool", "Segments"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBlocks:
    """Blocks in use that belong together: allocated at the same place, or of one size where no place was recorded."""

    bytes: int
    blocks: int
    stack: tuple[str, ...] = ()
    """`file.py:12 function`, the innermost first; empty when the allocation's history was not recorded."""

    @property
    def place(self) -> str:
        """Where they were allocated, in a few words."""
        if self.stack:
            return self.stack[0]
        return f"{self.blocks} blocks of one size" if self.blocks > 1 else "one block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The segments of one size class: `small` holds blocks up to 1 MiB, `large` the others."""

    name: str
    segments: int
    reserved_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """What the allocator's segments of one device were filled with at one moment; bytes."""

    device: int
    reserved_bytes: int
    allocated_bytes: int
    """In blocks that tensors use, rounded up as the allocator does."""
    requested_bytes: int
    """The same as it was asked for."""
    awaiting_free_bytes: int
    """In blocks that were freed while another stream still uses them."""
    free_bytes: int
    inactive_split_bytes: int
    """Free, but in segments that also hold blocks in use: cannot be given back to the device."""
    largest_free_bytes: int
    blocks: int
    """Blocks in use."""
    live: tuple[LiveBlocks, ...] = ()
    """The biggest first; not all of them."""
    pools: tuple[Pool, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfMemory:
    """One allocation that failed; None where it was not recorded."""

    requested_bytes: int
    free_bytes: int | None = None
    """Free to this allocator on the device, after it had given back what it could."""
    limit_bytes: int | None = None
    """What the allocator may use: the device, or the fraction that the script has set."""
    step: int | None = None
    phase: str | None = None
    """What the step did: data, forward, backward, optimizer, evaluation, or between steps."""
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    peak_allocated_bytes: int | None = None
    inactive_split_bytes: int | None = None
    parameter_bytes: int | None = None
    gradient_bytes: int | None = None
    optimizer_bytes: int | None = None
    count: int = 1
    """How many allocations of this process had failed by then."""
    ended_the_run: bool = True
    """False when steps were completed after it: the script caught the error."""
    stack: tuple[str, ...] = ()
    """Where it was asked for, the innermost first."""
    segments: Segments | None = None

    @property
    def state_bytes(self) -> int | None:
        """Weights, gradients and optimizer states together: what does not depend on the batch."""
        parts = [self.parameter_bytes, self.gradient_bytes, self.optimizer_bytes]
        known = [part for part in parts if part is not None]
        return sum(known) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Bytes in use over time, from the history in a snapshot; in bytes as they were asked for."""

    t_ns: tuple[int, ...]
    """Unix ns, thinned to a few hundred points that keep every peak between them."""
    bytes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySnapshot:
    """What a memory snapshot of one process says about one device."""

    path: str
    segments: Segments
    events: int = 0
    """Entries of the recorded history; 0 when only the state was recorded."""
    peak_bytes: int | None = None
    """The most in use within the history, as it was asked for; None without a history."""
    curve: Curve | None = None
    failures: tuple[OutOfMemory, ...] = ()
    """Allocations that failed within the history."""
    notes: tuple[str, ...] = ()


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
    readings: tuple[tuple[int, int], ...] = ()
    """(step, bytes in use after it) from the first measured step on, thinned to a few hundred."""
    out_of_memory: OutOfMemory | None = None
    """The last allocation that failed."""
    snapshot: MemorySnapshot | None = None
