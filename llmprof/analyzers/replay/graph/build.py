"""How does a recording become a graph? The nodes of one rank with the edges of its host, streams and launches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.partition.idle import LAUNCH_GAP_NS
from llmprof.analyzers.facts.steps.inside import step_of
from llmprof.analyzers.replay.graph.calls import Points, points_of
from llmprof.analyzers.replay.graph.communicators import communicator_order
from llmprof.analyzers.replay.graph.draft import Draft
from llmprof.analyzers.replay.graph.event_waits import event_waits
from llmprof.analyzers.replay.graph.graph import NO_REF, Graph, Index, Int64, NodeKind
from llmprof.analyzers.replay.graph.launch_queue import queue_edges
from llmprof.analyzers.replay.graph.sync_rows import named_streams
from llmprof.analyzers.replay.graph.syncs import sync_edges
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable
from llmprof.timeline.timeline import RankTimeline

__all__ = ["ALL_EDGES", "Edges", "build"]

Edges = frozenset[str]
ALL_EDGES: Edges = frozenset({"events", "communicators", "syncs", "queue", "sharing"})
"""Kinds of edges that can be left out, to see what each is worth; and `sharing`, by which work slows other work."""
BLOCKED_COPY_NS = 20_000
"""An asynchronous copy call takes some 5 to 10 µs; one that lasts longer than this and until its copy is done was made
from or to pageable memory, and blocks (CUDA documentation, API synchronisation behaviour)."""
_NEVER = -(1 << 60)
"""Before any moment of a recording."""


def build(rank: RankTimeline, *, edges: Edges = ALL_EDGES) -> Graph | None:
    """The graph of the traced steps of one rank; None without events or when nothing can be placed in time."""
    events = rank.events
    points = points_of(rank, events) if events is not None else None
    if events is None or points is None:
        return None
    draft = _draft(events, points)
    begins = rank.marks.start_ns if len(rank.marks) else np.array([points.start_ns], np.int64)
    ends = rank.marks.end_ns if len(rank.marks) else np.array([points.end_ns + 1], np.int64)
    step = step_of(begins, ends, np.minimum(points.ts[draft.point], ends[-1] - 1))
    # Between two marks lies nothing but the profiler's own turn.
    step = np.maximum.accumulate(np.maximum(step, 0))
    graph = _host(rank, draft, step.astype(np.int32), int(begins.size))
    waits = event_waits(rank, draft) if "events" in edges else None
    turns, turn_lag = communicator_order(draft) if "communicators" in edges else (np.empty((0, 2), np.int64), None)
    graph = _device(graph, draft, turns if waits is None else np.concatenate([waits.pairs, turns]))
    if turn_lag is not None:
        graph = graph.with_edges(turns[:, 1], turns[:, 0], turn_lag)
    if waits is not None:
        graph = graph.with_edges(waits.pairs[:, 1], waits.pairs[:, 0], waits.lag_ns)
        graph = replace(graph, confirmed_waits=waits.confirmed)
    if "syncs" in edges:
        graph = sync_edges(graph, draft, named_streams(rank, events))
    return queue_edges(graph, draft) if "queue" in edges else graph


def _draft(events: EventTable, points: Points) -> Draft:
    """All nodes in order: each point, then the device work that it launched, then the end of what blocks."""
    count = points.ts.size
    place = np.full(len(events), NONE, dtype=np.int64)
    calls = np.flatnonzero(points.row != NONE)
    place[points.row[calls]] = calls
    work = events.rows(*DEVICE_KINDS)
    launched = np.where(events.launch[work] != NONE, place[np.maximum(events.launch[work], 0)], NONE)
    work, launched = work[launched != NONE], launched[launched != NONE]
    blocking = np.union1d(np.flatnonzero(points.blocking > 0), _blocked_by_own_copy(events, points, work, launched))
    kind = np.concatenate(
        [
            np.where(points.row == NONE, NodeKind.MARK, NodeKind.CALL),
            np.full(work.size, NodeKind.DEVICE),
            np.full(blocking.size, NodeKind.WAIT),
        ]
    )
    point = np.concatenate([np.arange(count), launched, blocking])
    row = np.concatenate([points.row, work, points.row[blocking]])
    ts = np.concatenate([points.ts, events.ts[work], points.ts[blocking]])
    end = np.concatenate([points.end, events.end[work], points.end[blocking]])
    lane = np.concatenate([np.full(count, NONE), events.lane[work], np.full(blocking.size, NONE)])
    phase = np.concatenate([np.zeros(count), np.ones(work.size), np.full(blocking.size, 2)])
    order = np.lexsort((ts, phase, point))
    return Draft(
        events=events,
        points=points,
        kind=kind[order].astype(np.uint8),
        point=point[order],
        row=row[order],
        ts=ts[order],
        end=end[order],
        lane=lane[order],
    )


def _blocked_by_own_copy(events: EventTable, points: Points, work: Index, launched: Int64) -> Int64:
    """The points that are copy calls, and end no sooner than their copy."""
    copies = events.kind[work] == DEVICE_KINDS[1]
    point = launched[copies]
    long = (points.end[point] - points.ts[point] > BLOCKED_COPY_NS) & (events.end[work[copies]] <= points.end[point])
    return np.unique(point[long])


def _host(rank: RankTimeline, draft: Draft, step: npt.NDArray[np.int32], steps: int) -> Graph:
    """The host's chain: each point follows the one before after the host's work between them."""
    n, points = draft.kind.size, draft.points
    host = np.flatnonzero(draft.kind <= NodeKind.WAIT)
    before = np.full(n, NO_REF, dtype=np.int64)
    before[host] = np.concatenate([[host[-1] - n], host[:-1]])
    waits = draft.kind == NodeKind.WAIT
    first = (draft.kind <= NodeKind.MARK).nonzero()[0]
    blocked = np.isin(np.arange(points.ts.size), draft.point[waits])
    lag, dur = np.zeros(n), np.zeros(n)
    lead_events, own_events = np.zeros(n), np.zeros(n)
    at = draft.point[first]
    lag[first], lead_events[first] = points.lead_ns[at], points.lead_events[at]
    dur[first] = np.where(blocked[at], 0, points.own_ns[at])
    own_events[first] = points.own_events[at]
    # A blocking call is its own length when nothing is to be waited for; sync_edges takes the waiting out of it.
    lag[waits] = points.own_ns[draft.point[waits]]
    return Graph(
        ranks=(rank.rank,),
        begin_ns=(rank.origin_ns + points.start_ns,),
        steps=steps,
        kind=draft.kind,
        rank=np.zeros(n, np.int32),
        row=draft.row.astype(np.int32),
        lane=draft.lane.astype(np.int32),
        step=step,
        region=points.region[draft.point],
        before=before,
        before_lag=lag,
        cause=np.full(n, NO_REF, dtype=np.int64),
        cause_lag=np.zeros(n),
        dur=dur,
        recorded_start=draft.ts,
        recorded_end=draft.end,
        lead_events=lead_events,
        own_events=own_events,
        launched=np.zeros(n),
    )


def _device(graph: Graph, draft: Draft, waited: Int64) -> Graph:
    """Launch and stream edges, with what of each wait is the launch's own latency, and what the stream's gap.

    The first of the two that allowed the start explains it. A longer wait, which neither a launch nor a gap takes, is
    kept where no event wait (`waited`, pairs of nodes) explains it, and summed up as unexplained.
    """
    work, n = draft.device(), len(graph)
    if work.size == 0:
        return graph
    owner = np.full(draft.points.ts.size, NONE, dtype=np.int64)
    hosts = np.flatnonzero(draft.kind <= NodeKind.MARK)
    owner[draft.point[hosts]] = hosts
    launch = owner[draft.point[work]]
    blocked = draft.kind[np.minimum(launch + 2, n - 1)] == NodeKind.WAIT
    launched = np.where(blocked & (graph.dur[launch] == 0), draft.ts[launch], draft.end[launch])
    before, freed = _stream_order(draft, work, n)
    lag, gap = draft.ts[work] - launched, draft.ts[work] - freed
    explained = _released(draft, work, waited) > freed
    late = (freed <= draft.ts[launch]) & ~explained
    queued = launched <= freed
    short = queued & (gap <= LAUNCH_GAP_NS)
    usual_lag = float(np.median(lag[late])) if late.any() else 0.0
    usual_gap = float(np.median(gap[short])) if short.any() else 0.0
    long = explained & (np.minimum(lag, gap) > LAUNCH_GAP_NS)
    lag_kept = np.where(queued | long, np.minimum(usual_lag, lag), lag)
    gap_kept = np.where((queued | (gap <= lag)) & ~long, gap, np.minimum(usual_gap, gap))
    lost = np.where(long, 0, np.minimum(lag, gap) - LAUNCH_GAP_NS)
    columns = {name: getattr(graph, name).copy() for name in ("before", "before_lag", "cause", "cause_lag", "dur")}
    columns["before"][work], columns["before_lag"][work] = before, gap_kept
    columns["cause"][work], columns["cause_lag"][work] = launch, lag_kept
    columns["dur"][work] = draft.end[work] - draft.ts[work]
    columns["launched"] = np.bincount(launch, minlength=n).astype(np.float64)
    first = (before < 0) & (freed > draft.points.start_ns)
    return replace(
        graph,
        **columns,
        opening_to=work[first],
        opening_ns=(freed[first] - draft.points.start_ns).astype(np.float64),
        unexplained_ns=float(np.maximum(lost, 0).sum()),
    )


def _released(draft: Draft, work: Index, waited: Int64) -> Int64:
    """When the last work of other streams that each device node waits for had ended.

    Work that its own stream freed later was not held up by that wait. A collective that has been ready for long begins
    when a kernel ends that fills the device: then the gap is kept.
    """
    ends = np.full(draft.kind.size, _NEVER, dtype=np.int64)
    if waited.size:
        np.maximum.at(ends, waited[:, 1], draft.end[waited[:, 0]])
    return ends[work]


def _stream_order(draft: Draft, work: Index, n: int) -> tuple[Int64, Int64]:
    """For each device node the reference to what its stream did before, and when the stream was free as recorded.

    Work of earlier steps, which is no node, frees the stream of the first ones.
    """
    events = draft.events
    order = work[np.lexsort((work, draft.lane[work]))]
    lanes = draft.lane[order]
    opens = np.concatenate([[True], lanes[1:] != lanes[:-1]])
    previous = np.concatenate([[0], order[:-1]])
    last = order[np.append(np.flatnonzero(opens)[1:] - 1, order.size - 1)]
    previous[opens] = last - n
    rows = events.rows(*DEVICE_KINDS)
    everything = rows[np.lexsort((rows, events.lane[rows]))]
    same = events.lane[everything[1:]] == events.lane[everything[:-1]]
    freed_by_row = np.full(len(events), _NEVER, dtype=np.int64)
    freed_by_row[everything[1:][same]] = events.end[everything[:-1][same]]
    where = np.empty(n, dtype=np.int64)
    where[order] = previous
    return where[work], freed_by_row[draft.row[work]]
