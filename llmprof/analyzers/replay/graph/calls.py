"""Which calls of the host matter for the replay? Points on the host's time line: launches, syncs, marks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.host.updates import update_spans
from llmprof.analyzers.facts.partition.idle import LOADER
from llmprof.analyzers.replay.graph.graph import Region
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind
from llmprof.timeline.intervals import Int64, Intervals, union
from llmprof.timeline.timeline import RankTimeline

__all__ = ["ALLOCATOR", "SYNC_DEVICE", "Points", "host_lanes", "named", "points_of"]

SYNC_DEVICE = re.compile(r"^(cuda|hip)(DeviceSynchronize|Free(Host)?)$|^cuCtxSynchronize$|^hipHostFree$")
"""Calls that wait until the whole device is done (CUDA documentation: cudaFree synchronises implicitly)."""
_SYNC = re.compile(
    r"^(cuda|hip)(Stream|Event)Synchronize(_ptsz|_ptds)?$|^cu(Stream|Event)Synchronize$|"
    r"^(cuda|hip)Memcpy(2D|3D|ToSymbol|FromSymbol)?(_ptds)?$|^hipMemcpyWithStream$"
)
ALLOCATOR = re.compile(
    r"^(cuda|hip)(Malloc|Free|HostAlloc|HostFree|MallocHost|FreeHost)|^cuMem(Alloc|Free|Map|Unmap|Create|Release)"
)
"""Calls of the driver's allocator, which PyTorch's makes when its cache has nothing that fits."""
_REGIONS = {
    Region.ZERO_GRAD: re.compile(r"^Optimizer\.zero_grad#"),
    Region.FETCH: LOADER,
}
"""Annotations whose begin and end become points, as those of updates do: the host's work in them can be told apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """The host of one rank as one sequence; columns have shape (points,), ascending by time.

    Training threads take turns (the main thread waits while the autograd thread works), so their calls stand in one
    line; where two overlap, the time of both counts once.

    row        the runtime call, NONE for a mark
    ts, end    when; ns
    lead_ns    the host's work since the point before; own_ns: the part of the call that is its own
    lead_events, own_events    host events that the profiler recorded meanwhile
    blocking   0 no, 1 waits for a stream, 2 waits for the device
    region     a Region
    """

    row: npt.NDArray[np.int32]
    ts: Int64
    end: Int64
    lead_ns: Int64
    own_ns: Int64
    lead_events: Int64
    own_events: Int64
    blocking: npt.NDArray[np.uint8]
    region: npt.NDArray[np.uint8]
    start_ns: int
    end_ns: int


def points_of(rank: RankTimeline, events: EventTable) -> Points | None:
    """The points of the traced steps of a rank; None when nothing is marked and nothing was launched."""
    lanes = host_lanes(rank, events)
    begin, finish = _range(rank, events)
    if finish <= begin:
        return None
    mine = np.isin(events.lane, lanes) & (events.ts >= begin) & (events.ts < finish)
    calls = np.flatnonzero(mine & (events.kind == Kind.RUNTIME))
    calls = calls[events.end[calls] <= finish]
    launching = np.isin(calls, np.unique(events.launch[events.launch != NONE]))
    blocking = np.where(named(events, calls, SYNC_DEVICE), 2, np.where(named(events, calls, _SYNC), 1, 0))
    kept = launching | (blocking > 0) | named(events, calls, ALLOCATOR)
    calls, blocking = calls[kept], blocking[kept]
    regions = _regions(events, mine, lanes)
    edges = _edges(rank, regions, begin, finish)
    row = np.concatenate([np.full(edges.size, NONE, np.int64), calls])
    ts = np.concatenate([edges, events.ts[calls]])
    end = np.concatenate([edges, events.end[calls]])
    order = np.lexsort((row >= 0, ts))
    row, ts, end = row[order], ts[order], end[order]
    blocking = np.concatenate([np.zeros(edges.size, np.int64), blocking])[order]
    reached = np.maximum.accumulate(np.concatenate([[begin], end]))
    host = np.sort(events.ts[mine & np.isin(events.kind, (Kind.CPU_OP, Kind.RUNTIME, Kind.ANNOTATION))])
    since, until, done = (np.searchsorted(host, at) for at in (reached[:-1], np.maximum(ts, reached[:-1]), reached[1:]))
    return Points(
        row=row.astype(np.int32),
        ts=ts,
        end=np.maximum(end, reached[:-1]),
        lead_ns=np.maximum(ts - reached[:-1], 0),
        own_ns=np.maximum(end - np.maximum(ts, reached[:-1]), 0),
        lead_events=until - since,
        own_events=done - until,
        blocking=blocking.astype(np.uint8),
        region=_region(regions, ts - (np.maximum(ts - reached[:-1], 0) + 1) // 2),
        start_ns=begin,
        end_ns=finish,
    )


def named(events: EventTable, rows: npt.NDArray[np.intp], pattern: re.Pattern[str]) -> npt.NDArray[np.bool_]:
    """Whether the name of each row matches; every distinct name is looked at once."""
    names, where = np.unique(events.name[rows], return_inverse=True)
    matching = np.fromiter((pattern.search(events.strings[int(n)]) is not None for n in names), bool, names.size)
    return matching[where] if rows.size else np.empty(0, bool)


def host_lanes(rank: RankTimeline, events: EventTable) -> npt.NDArray[np.int64]:
    """The training threads: those that launch device work, and the one that marks the steps."""
    launches = events.launch[events.rows(*DEVICE_KINDS)]
    lanes = events.lane[launches[launches != NONE]]
    marks = events.rows(Kind.ANNOTATION)
    marked = marks[np.isin(events.ts[marks], rank.marks.start_ns)] if len(rank.marks) else marks[:0]
    if lanes.size == 0 and marked.size == 0:
        # A run on the CPU without its own mark rows: the thread with most operators trains.
        operators = events.lane[events.rows(Kind.CPU_OP)]
        return np.array([np.bincount(operators).argmax()] if operators.size else [], dtype=np.int64)
    return np.unique(np.concatenate([lanes, events.lane[marked]])).astype(np.int64)


def _range(rank: RankTimeline, events: EventTable) -> tuple[int, int]:
    if len(rank.marks):
        return int(rank.marks.start_ns[0]), int(rank.marks.end_ns[-1])
    launches = events.launch[events.launch != NONE]
    if launches.size == 0:
        return 0, 0
    # What came before the first launch was preparation, and the sync that ends a recording belongs to no step.
    return int(events.ts[launches].min()), int(events.end[launches].max())


def _marks(events: EventTable, mine: npt.NDArray[np.bool_], pattern: re.Pattern[str]) -> npt.NDArray[np.intp]:
    """Annotations of the training threads; the operator of that name where a recording has no annotation."""
    rows = np.flatnonzero(mine & np.isin(events.kind, (Kind.ANNOTATION, Kind.CPU_OP)))
    return rows[named(events, rows, pattern)]


def _regions(
    events: EventTable, mine: npt.NDArray[np.bool_], lanes: npt.NDArray[np.int64]
) -> Mapping[Region, Intervals]:
    """When the training threads were in each region; the later one holds where they overlap."""
    marked = {kind: events.spans(_marks(events, mine, pattern)) for kind, pattern in _REGIONS.items()}
    updates = union(spans for lane, spans in update_spans(events).items() if lane in lanes)
    return {Region.OPTIMIZER: updates, **marked}


def _edges(rank: RankTimeline, regions: Mapping[Region, Intervals], begin: int, finish: int) -> Int64:
    ends = [edge for spans in regions.values() for edge in (spans.starts, spans.ends)]
    inner = np.concatenate([rank.marks.start_ns, *ends])
    return np.unique(np.concatenate([[begin, finish], inner[(inner > begin) & (inner < finish)]])).astype(np.int64)


def _region(regions: Mapping[Region, Intervals], at: Int64) -> npt.NDArray[np.uint8]:
    """The region of each moment."""
    region = np.zeros(at.size, dtype=np.uint8)
    for kind, spans in regions.items():
        region[spans.contains(at)] = kind
    return region
