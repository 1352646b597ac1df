"""Why is the device idle? Every idle nanosecond gets one cause, from the launch time of the work that ended the gap."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from llmprof.analyzers.facts.partition.host_collectives import waits_for_backend
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind
from llmprof.timeline.intervals import EMPTY, Intervals

__all__ = ["LAUNCH_GAP_NS", "LOADER", "compile_spans", "idle_causes", "loader_spans"]

LAUNCH_GAP_NS = 10_000
"""Work already issued that starts within 10 µs waits for the hardware queue, not for other work."""

LOADER = re.compile(r"^enumerate\(DataLoader\)|^llmprof\.data")
_ALLOCATOR = re.compile(
    r"^(cuda|hip)(Malloc|Free|HostAlloc|HostMalloc|HostFree|MallocHost|FreeHost)|^cuMem(Alloc|Free|Map|Unmap|Create|Release)"
)
_SYNC = re.compile(
    r"^(cuda|hip)(Device|Stream|Event)Synchronize$|^cu(Ctx|Stream|Event)Synchronize$|^(cuda|hip)Memcpy(2D|3D|ToSymbol|FromSymbol)?$|^hipMemcpyWithStream$"
)
_STALLS = {
    "checkpoint": re.compile(r"^llmprof\.checkpoint"),
    "evaluation": re.compile(r"^llmprof\.evaluation"),
    "gc": re.compile(r"^llmprof\.gc"),
}
_COMPILE = re.compile(
    r"^llmprof\.compile|^(_compile\.compile_inner|entire_frame_compile|dynamo|backward\._backward_impl|compile_fx\w*|"
    r"inductor_compile)( \(dynamo_timed\))?$"
)
"""What Dynamo and Inductor write while they compile: annotations or operators, by the version of PyTorch."""


_TO_PAGEABLE = re.compile(r"(DtoH|DeviceToHost).*Pageable")
_PLANNED = re.compile(r"^aten::_?(cudnn|miopen)_")
PLAN_BUILD_NS = 5_000_000
"""A cuDNN operator normally takes the host well under 1 ms; from 5 ms on it is building a plan for a new shape
(40 to 50 ms each were seen for cuDNN attention on an H200)."""


@dataclass(frozen=True, slots=True)
class _Gaps:
    """Idle gaps [start, end), each with the end `issued` of the call that launched the work after it; shape (n,)."""

    start: np.ndarray[tuple[int], np.dtype[np.int64]]
    end: np.ndarray[tuple[int], np.dtype[np.int64]]
    issued: np.ndarray[tuple[int], np.dtype[np.int64]]
    linked: np.ndarray[tuple[int], np.dtype[np.bool_]]


def idle_causes(events: EventTable, idle: Intervals) -> Mapping[str, Intervals]:
    """Split `idle` by cause; the spans are disjoint and their union is `idle`.

    Up to the moment at which the next device work was issued, the host is late: `data` while a loader is being asked
    for a batch, `memory_management` in allocator calls, `sync` when the gap began inside a host synchronisation (the
    refill after it), `checkpoint`, `evaluation`, `gc`, `compile` under such a mark, `plan_build` while cuDNN plans an
    operator for a shape that is new to it, `communication` while it waits for a collective that a backend runs on the
    host, else `launch`. After that moment the work waits: `gap` for at most LAUNCH_GAP_NS, else `dependency`.
    `unlinked` where the launch is not recorded.
    """
    if not idle:
        return {}
    gaps = _gaps(events, idle)
    linked = gaps.linked
    issued = np.clip(gaps.issued, gaps.start, gaps.end)
    host = Intervals.of(gaps.start[linked], issued[linked])
    waiting = gaps.end - issued
    short = linked & (waiting <= LAUNCH_GAP_NS)
    refill = linked & _inside_sync(events, gaps.start)
    causes: dict[str, Intervals] = {
        "gap": Intervals.of(issued[short], gaps.end[short]),
        "dependency": Intervals.of(issued[linked & ~short], gaps.end[linked & ~short]),
        "unlinked": Intervals.of(gaps.start[~linked], gaps.end[~linked]),
    }
    marks = {
        "data": loader_spans(events),
        **{name: _spans_named(events, (Kind.ANNOTATION,), pattern) for name, pattern in _STALLS.items()},
        "compile": compile_spans(events),
        "plan_build": _spans_named(events, (Kind.CPU_OP,), _PLANNED, at_least_ns=PLAN_BUILD_NS),
        "memory_management": _spans_named(events, (Kind.RUNTIME,), _ALLOCATOR),
        "communication": waits_for_backend(events),
        "sync": Intervals.of(gaps.start[refill], issued[refill]),
    }
    for name, spans in marks.items():
        causes[name] = host & spans
        host = host - spans
    causes["launch"] = host
    return {name: spans for name, spans in causes.items() if spans}


def loader_spans(events: EventTable) -> Intervals:
    """When a host thread was inside a DataLoader's next()."""
    return _spans_named(events, (Kind.ANNOTATION,), LOADER)


def compile_spans(events: EventTable) -> Intervals:
    """When torch.compile was compiling."""
    return _spans_named(events, (Kind.ANNOTATION, Kind.CPU_OP), _COMPILE)


def _gaps(events: EventTable, idle: Intervals) -> _Gaps:
    """For each idle span the device work that ended it; of several that start together, the one issued first."""
    device = events.rows(*DEVICE_KINDS)
    launch = events.launch[device]
    linked = launch != NONE
    issued = np.where(linked, events.end[np.maximum(launch, 0)], np.iinfo(np.int64).max)
    starts = events.ts[device]
    order = np.lexsort((issued, starts))
    starts, issued, linked = starts[order], issued[order], linked[order]
    place = np.minimum(np.searchsorted(starts, idle.ends, side="left"), starts.size - 1)
    # A gap that ends where nothing starts (the end of the recording) has no launch to look at.
    known = linked[place] & (starts[place] == idle.ends)
    return _Gaps(idle.starts, idle.ends, issued[place], known)


def _inside_sync(
    events: EventTable, points: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether the host was inside a synchronising call when each gap began."""
    calls = _spans_named(events, (Kind.RUNTIME,), _SYNC) | _waiting_copies(events)
    inside: np.ndarray[tuple[int], np.dtype[np.bool_]] = calls.contains(points)
    return inside


def _waiting_copies(events: EventTable) -> Intervals:
    """Calls that copied a result to pageable memory, and so returned when it was there."""
    matching = np.fromiter((_TO_PAGEABLE.search(name) is not None for name in events.strings.names), dtype=bool)
    copies = events.rows_named((Kind.MEMCPY,), matching) if matching.any() else np.empty(0, dtype=np.intp)
    calls = events.launch[copies].astype(np.intp)
    copies, calls = copies[calls != NONE], calls[calls != NONE]
    during = (events.ts[copies] >= events.ts[calls]) & (events.end[copies] <= events.end[calls])
    return events.spans(calls[during])


def _spans_named(
    events: EventTable, kinds: tuple[Kind, ...], pattern: re.Pattern[str], *, at_least_ns: int = 0
) -> Intervals:
    matching = np.fromiter((pattern.search(name) is not None for name in events.strings.names), dtype=bool)
    if not matching.any():
        return EMPTY
    rows = events.rows_named(kinds, matching)
    return events.spans(rows[events.dur[rows] >= at_least_ns])
