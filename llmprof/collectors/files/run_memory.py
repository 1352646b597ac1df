"""What did the allocator of a recorded rank hold? Its counters, the allocation that failed, a snapshot beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from llmprof.collectors.files.kineto_arguments import integer
from llmprof.collectors.files.memory_snapshot import SUFFIXES, SnapshotFile, is_snapshot, read_snapshot
from llmprof.errors import LlmprofError
from llmprof.timeline.memory import AllocatorStats, LiveBlocks, OutOfMemory, Pool, Segments
from llmprof.timeline.steps import StepPhase, StepTimes

__all__ = ["allocator_stats", "out_of_memory", "snapshot_in", "with_snapshot"]

T = TypeVar("T")
Record = Mapping[str, Any]
MOST_READINGS = 256
MAX_GROUPS = 64
"""Groups of live blocks that are believed; the recorder writes fewer."""


def allocator_stats(
    lines: Sequence[Record], times: StepTimes | None, capacity: int | None, failure: OutOfMemory | None
) -> AllocatorStats | None:
    """Levels of the last reading, peaks of the run, and what the counters grew by over the steady steps.

    `lines` are those of allocator.jsonl, `failure` is what oom.json holds. None when there is neither.
    """
    lines = [{**line, "n": step} for line in lines if (step := integer(line.get("n"))) is not None]
    if not lines:
        return None if failure is None else _at_failure(failure, capacity)
    last = lines[-1]
    steady = _steady_readings(lines, times)

    def growth(key: str) -> int | None:
        if len(steady) < 2:
            return None
        before, after = integer(steady[0].get(key)), integer(steady[-1].get(key))
        return None if before is None or after is None else max(after - before, 0)

    def highest(key: str, other: int | None = None) -> int | None:
        values = [value for line in lines if (value := integer(line.get(key))) is not None]
        return max(values if other is None else [*values, other], default=None)

    return AllocatorStats(
        capacity_bytes=capacity,
        peak_allocated_bytes=highest("peak_allocated", failure.peak_allocated_bytes if failure else None),
        peak_reserved_bytes=highest("peak_reserved", failure.reserved_bytes if failure else None),
        allocated_bytes=integer(last.get("allocated")),
        reserved_bytes=integer(last.get("reserved")),
        inactive_split_bytes=integer(last.get("inactive_split")),
        retries=growth("retries"),
        out_of_memory_errors=growth("ooms"),
        device_allocations=growth("device_alloc"),
        device_frees=growth("device_free"),
        measured_steps=steady[-1]["n"] - steady[0]["n"] if len(steady) > 1 else None,
        readings=_readings(steady),
        out_of_memory=failure,
    )


def out_of_memory(record: Record, *, completed: int | None, ended_well: bool) -> OutOfMemory | None:
    """What oom.json says; None when it says nothing.

    completed     number of the last completed step, None when there is none
    ended_well    whether the process left with exit code 0; then the script has caught the error
    """
    requested = integer(record.get("requested"))
    if not record:
        return None
    held, step, phase = record.get("held"), integer(record.get("step")), record.get("phase")
    held = held if isinstance(held, Mapping) else {}
    stack = record.get("stack")
    went_on = completed is not None and completed >= (0 if step is None else step)
    return OutOfMemory(
        requested_bytes=requested or 0,
        free_bytes=_usable(integer(record.get("free")), record),
        limit_bytes=integer(record.get("limit")),
        step=step,
        phase=phase if isinstance(phase, str) else None,
        allocated_bytes=integer(record.get("allocated")),
        reserved_bytes=integer(record.get("reserved")),
        peak_allocated_bytes=integer(record.get("peak_allocated")),
        inactive_split_bytes=integer(record.get("inactive_split")),
        parameter_bytes=integer(held.get("parameters")),
        gradient_bytes=integer(held.get("gradients")),
        optimizer_bytes=integer(held.get("optimizer")),
        count=integer(record.get("count")) or 1,
        ended_the_run=not (went_on or ended_well),
        stack=_texts(stack),
        segments=_segments(record.get("segments")),
    )


def _usable(free: int | None, record: Record) -> int | None:
    """Of the device's free memory what the script's own limit leaves to this allocator."""
    limit, reserved = integer(record.get("limit")), integer(record.get("reserved"))
    if free is None or limit is None or reserved is None:
        return free
    return min(free, max(0, limit - reserved))


def snapshot_in(folder: Path, warnings: list[str]) -> SnapshotFile | None:
    """The newest memory snapshot directly in a folder; one that cannot be read is a warning."""
    try:
        paths = [path for path in folder.iterdir() if path.name.endswith(SUFFIXES) and path.is_file()]
        paths = sorted(filter(is_snapshot, paths), key=lambda path: (path.stat().st_mtime_ns, path.name))
    except OSError:
        return None
    for path in reversed(paths):
        try:
            return read_snapshot(path)
        except LlmprofError as error:  # noqa: PERF203 - a handful of files
            warnings.append(f"a memory snapshot is left out: {error}")
    return None


def with_snapshot(stats: AllocatorStats | None, file: SnapshotFile | None) -> AllocatorStats | None:
    """The statistics with what a snapshot adds; nothing that was counted over the run is replaced by it."""
    if file is None:
        return stats
    if stats is None:
        return file.stats()
    found = file.snapshot()
    failure = stats.out_of_memory
    if failure is not None and found.failures and not any(group.stack for group in _live(failure)):
        failure = replace(failure, segments=found.segments, stack=failure.stack or found.failures[-1].stack)
    return replace(stats, snapshot=found, out_of_memory=failure)


def _live(failure: OutOfMemory) -> tuple[LiveBlocks, ...]:
    return () if failure.segments is None else failure.segments.live


def _at_failure(failure: OutOfMemory, capacity: int | None) -> AllocatorStats:
    """All that is known of a run that ended before a reading."""
    return AllocatorStats(
        capacity_bytes=capacity,
        peak_allocated_bytes=failure.peak_allocated_bytes,
        peak_reserved_bytes=failure.reserved_bytes,
        allocated_bytes=failure.allocated_bytes,
        reserved_bytes=failure.reserved_bytes,
        inactive_split_bytes=failure.inactive_split_bytes,
        out_of_memory=failure,
    )


def _readings(lines: Sequence[Record]) -> tuple[tuple[int, int], ...]:
    """(step, bytes in use after it), evenly thinned."""
    known = [(line["n"], held) for line in lines if (held := integer(line.get("allocated"))) is not None]
    return tuple(known[:: max(1, len(known) // MOST_READINGS)])


def _steady_readings(lines: Sequence[Record], times: StepTimes | None) -> list[Record]:
    """From the first reading in the baseline to the last of the run."""
    baseline = times.number[times.select(StepPhase.BASELINE)] if times is not None else np.empty(0, np.int64)
    return [line for line in lines if line["n"] >= int(baseline[0])] if baseline.size else []


def _segments(value: Any) -> Segments | None:
    if not isinstance(value, Mapping):
        return None
    live = [one for one in _list(value.get("live")) if isinstance(one, Mapping)]
    pools = [one for one in _list(value.get("pools")) if isinstance(one, Mapping)]
    return Segments(
        **_counts(Segments, value),
        live=tuple(LiveBlocks(**_counts(LiveBlocks, one), stack=_texts(one.get("stack"))) for one in live),
        pools=tuple(Pool(name=str(one.get("name"))[:16], **_counts(Pool, one)) for one in pools),
    )


def _counts(cls: type[Any], data: Record) -> dict[str, int]:
    """The integer fields of a record; 0 where the file is damaged."""
    return {field.name: integer(data.get(field.name)) or 0 for field in fields(cls) if field.type == "int"}


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text[:200] for text in _list(value) if isinstance(text, str))


def _list(value: Any) -> list[Any]:
    return value[:MAX_GROUPS] if isinstance(value, list) else []
