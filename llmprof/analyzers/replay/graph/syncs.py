"""How long does the host wait for the device? The edges of blocking calls, whose recorded length is never replayed.

A blocking call ends when the work that it waits for is done. Which work that is follows from the order of the launches
alone: for a device the last one of every stream before the call, for a stream the last one of that stream. The stream
is the one that a CUDA sync event names, else the one that the same thread used last. A call that returns earlier
waited for an event: for the work that ended when it returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from llmprof.analyzers.replay.graph.draft import SLACK_NS, Draft
from llmprof.analyzers.replay.graph.graph import Graph, Index, NodeKind

__all__ = ["sync_edges"]

_USUAL_NS = 5_000.0
"""A sync that finds nothing to wait for takes a few microseconds; used where the recording holds none."""


def sync_edges(graph: Graph, draft: Draft, named: Mapping[int, int]) -> Graph:
    """The graph with the ends of blocking calls bound to the work that they wait for.

    named    the lane of the stream that a call waits for, by its row, where the recording tells
    """
    waits = np.flatnonzero(graph.kind == NodeKind.WAIT)
    work = draft.device()
    if waits.size == 0 or work.size == 0:
        return graph
    streams = {int(lane): work[draft.lane[work] == lane] for lane in np.unique(draft.lane[work])}
    own = _shortest(draft, waits)
    ended = draft.events.end[draft.earlier()]
    lag, targets, wakes = graph.before_lag.copy(), {}, {}
    for node in waits.tolist():
        point = int(draft.point[node])
        begin, end = int(draft.points.ts[point]), int(draft.points.end[point])
        found = _targets(draft, node, streams, work, named, len(graph))
        targets[node] = [t for t in found if t < 0 or draft.end[t] <= end + SLACK_NS]
        if not targets[node] and found:
            targets[node] = _released_by(draft, work[: np.searchsorted(work, node)], begin, end)
        done = [int(draft.end[t]) for t in targets[node] if t >= 0 and draft.end[t] > begin]
        if any(t < 0 for t in found) and ended.size:
            done += ended[(ended > begin) & (ended <= end + SLACK_NS)].tolist()
        if done:
            # It was blocked: what is left of it is its own length, and the time to wake up afterwards.
            lag[node] = min(own, end - begin)
            wakes[node] = max(0.0, min(float(end - max(done)), 4 * own))
    return _bound(replace(graph, before_lag=lag), targets, wakes)


def _released_by(draft: Draft, launched: Index, begin: int, end: int) -> list[int]:
    """The work that ended last while a call was blocked that returned before the last launched work was done.

    It waits for an event that was recorded some launches before, as DistributedDataParallel does for its statistics.
    """
    inside = launched[(draft.end[launched] > begin) & (draft.end[launched] <= end + SLACK_NS)]
    return [int(inside[np.argmax(draft.end[inside])])] if inside.size else []


def _bound(graph: Graph, targets: Mapping[int, list[int]], wakes: Mapping[int, float]) -> Graph:
    """The graph with an edge from each target; calls that were not blocked as recorded wake up as the others do."""
    usual = float(np.median(list(wakes.values()))) if wakes else 0.0
    cause, cause_lag = graph.cause.copy(), graph.cause_lag.copy()
    to: list[int] = []
    source: list[int] = []
    lags: list[float] = []
    for node, found in targets.items():
        after = wakes.get(node, usual)
        if found:
            cause[node], cause_lag[node] = found[0], after
        to += [node] * len(found[1:])
        source += found[1:]
        lags += [after] * len(found[1:])
    further = np.array(to, np.int64), np.array(source, np.int64), np.array(lags, np.float64)
    return replace(graph, cause=cause, cause_lag=cause_lag).with_edges(*further)


def _shortest(draft: Draft, waits: Index) -> float:
    lengths = draft.end[waits] - draft.ts[waits]
    return float(min(_USUAL_NS, lengths.min())) if lengths.size else _USUAL_NS


def _targets(
    draft: Draft,
    node: int,
    streams: dict[int, Index],
    work: Index,
    named: Mapping[int, int],
    count: int,
) -> list[int]:
    """The device nodes before a blocking call whose end it waits for; in the round before where this one has none."""
    row = int(draft.row[node])
    lanes = list(streams)
    if draft.points.blocking[draft.point[node]] < 2:
        latest = int(np.searchsorted(work, node)) - 1
        lanes = [named[row] if named.get(row) in streams else int(draft.lane[work[latest]])]
    found = []
    for lane in lanes:
        place = int(np.searchsorted(streams[lane], node)) - 1
        found.append(int(streams[lane][place]) - (count if place < 0 else 0))
    return found
