"""Which device time does each marked range stand for? The shadows of host ranges on the device.

As NVIDIA's `nvtx_gpu_proj_trace` defines it: the device work whose API call lies inside the range on the same thread,
from the first start to the last end. A range that encloses no such call has no shadow: the work of a `backward` range
is launched by autograd's own threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind, Lane
from llmprof.timeline.intervals import Int64

__all__ = ["SHADOW", "Projection", "project", "with_shadows"]

SHADOW = "range projection"
"""The label of the lanes on which shadows lie."""

_T = TypeVar("_T", bound=np.integer[Any])
_MOST = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Ranges with a shadow; all shapes (n,)."""

    rows: npt.NDArray[np.intp]
    """The annotation."""
    start_ns: Int64
    end_ns: Int64
    operations: Int64
    """Device operations under it."""
    device: Int64


def project(events: EventTable, lanes: Sequence[Lane], kinds: tuple[Kind, ...] = (Kind.ANNOTATION,)) -> Projection:
    """The shadows of all ranges of these kinds, in the order of the ranges."""
    ranges = events.rows(*kinds)
    ranges = ranges[events.dur[ranges] > 0]
    threads = np.array([_thread(lanes, index) for index in range(len(lanes))], dtype=np.int64)
    per_call = _work_of_calls(events, np.array([lane.device for lane in lanes], dtype=np.int64))
    parts = []
    for thread in np.unique(threads[events.lane[ranges]]).tolist():
        mine = ranges[threads[events.lane[ranges]] == thread]
        calls = per_call.rows[threads[events.lane[per_call.rows]] == thread]
        if calls.size:
            parts.append(_on_thread(events, mine, calls, per_call))
    if not parts:
        empty = np.empty(0, dtype=np.int64)
        return Projection(np.empty(0, dtype=np.intp), empty, empty, empty, empty)
    joined = [np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Projection)]
    order = np.argsort(joined[0], kind="stable")
    return Projection(*(column[order] for column in joined))


def with_shadows(events: EventTable, lanes: Sequence[Lane]) -> tuple[EventTable, tuple[Lane, ...]]:
    """The table with a GPU_ANNOTATION row for each shadow, in its place by start, and the lanes with theirs."""
    shadows = project(events, lanes)
    if shadows.rows.size == 0:
        return events, tuple(lanes)
    devices = np.unique(shadows.device)
    owner = next(lane for lane in lanes if lane.on_device)
    more = [replace(owner, device=int(device), thread=NONE, label=SHADOW) for device in devices]
    lane = (len(lanes) + np.searchsorted(devices, shadows.device)).astype(np.int32)
    order = np.argsort(shadows.start_ns, kind="stable")
    place = np.searchsorted(events.ts, shadows.start_ns[order], side="right")
    moved = np.arange(len(events), dtype=np.int64)
    moved += np.searchsorted(place, moved, side="right")
    none = np.full(order.size, NONE, dtype=np.int64)

    def joined(old: npt.NDArray[_T], new: npt.NDArray[np.int64] | npt.NDArray[np.int32]) -> npt.NDArray[_T]:
        return np.insert(old, place, new.astype(old.dtype, copy=False))

    launch = np.where(events.launch == NONE, NONE, moved[np.maximum(events.launch, 0)]).astype(np.int32)
    table = replace(
        events,
        ts=joined(events.ts, shadows.start_ns[order]),
        dur=joined(events.dur, (shadows.end_ns - shadows.start_ns)[order]),
        kind=joined(events.kind, np.full(order.size, int(Kind.GPU_ANNOTATION), dtype=np.int64)),
        lane=joined(events.lane, lane[order]),
        name=joined(events.name, events.name[shadows.rows][order]),
        correlation=joined(events.correlation, none),
        launch=joined(launch, none),
        external=joined(events.external, none),
        collectives={int(moved[row]): call for row, call in events.collectives.items()},
        copied_bytes={int(moved[row]): size for row, size in events.copied_bytes.items()},
        streams={int(moved[row]): stream for row, stream in events.streams.items()},
    )
    return table, (*lanes, *more)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What the calls that launched something launched; by row of the call, all shapes (n,)."""

    rows: npt.NDArray[np.intp]
    start: Int64
    end: Int64
    count: Int64
    device: Int64


def _thread(lanes: Sequence[Lane], index: int) -> int:
    """A number of the thread of a lane, whatever its label; NONE for streams."""
    lane = lanes[index]
    return NONE if lane.on_device or lane.thread == NONE else lane.process << 24 | lane.thread


def _work_of_calls(events: EventTable, device_of_lane: Int64) -> _Work:
    """Start, end, number and device of the operations of each call."""
    work = events.rows(*DEVICE_KINDS)
    work = work[events.launch[work] != NONE]
    rows, where = np.unique(events.launch[work], return_inverse=True)
    start = np.full(rows.size, _MOST, dtype=np.int64)
    end = np.full(rows.size, -_MOST, dtype=np.int64)
    np.minimum.at(start, where, events.ts[work])
    np.maximum.at(end, where, events.end[work])
    device = np.zeros(rows.size, dtype=np.int64)
    device[where] = device_of_lane[events.lane[work]]
    return _Work(rows.astype(np.intp), start, end, np.bincount(where, minlength=rows.size).astype(np.int64), device)


def _on_thread(
    events: EventTable, ranges: npt.NDArray[np.intp], calls: npt.NDArray[np.intp], work: _Work
) -> Projection:
    """The shadows of one thread's ranges; `calls` ascending, so those inside a range lie next to each other."""
    place = np.searchsorted(work.rows, calls)
    start, end, count, device = work.start[place], work.end[place], work.count[place], work.device[place]
    low = np.searchsorted(events.ts[calls], events.ts[ranges], side="left")
    high = np.searchsorted(events.ts[calls], events.end[ranges], side="left")
    some = high > low
    low, high, ranges = low[some], high[some], ranges[some]
    edges = np.stack([low, high], axis=1).ravel()
    total = np.concatenate([[0], np.cumsum(count)])
    return Projection(
        ranges,
        np.minimum.reduceat(np.append(start, _MOST), edges)[::2] if ranges.size else start[:0],
        np.maximum.reduceat(np.append(end, -_MOST), edges)[::2] if ranges.size else end[:0],
        total[high] - total[low],
        device[low],
    )
