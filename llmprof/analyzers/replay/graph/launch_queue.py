"""How far can the host run ahead of the device? The bound of the launch queue.

The driver keeps about a thousand launches in its queue (HolisticTraceAnalysis counts on 1024); a call that finds it
full blocks until the device takes one out. A recording in which that happens shows how many it really are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.replay.graph.draft import Draft
from llmprof.analyzers.replay.graph.graph import Graph, NodeKind

__all__ = ["DEPTH", "queue_edges"]

DEPTH = 1024
_FULL_SHARE = 0.5
"""A call counts as blocked by a full queue only where at least this share of DEPTH was outstanding."""
_BLOCKED_NS = 100_000
"""No launch takes that long by itself; one that does while the queue is full, waits."""
_NEARLY_FULL = 0.98
_WAITED = 2.0
"""Where calls were blocked, the next ones find the queue as full, and each waits until one more kernel has begun, long
or short: those do that take more than so many times the usual call."""


def queue_edges(graph: Graph, draft: Draft) -> Graph:
    """The graph with each launch bound to the launch DEPTH before it, and without the time of blocked calls."""
    work, n = draft.device(), len(graph)
    if work.size == 0:
        return graph
    calls = np.unique(graph.cause[work])
    events = draft.events
    earlier = draft.earlier()
    begun = np.sort(np.concatenate([events.ts[earlier], draft.ts[work]]))
    # Launched before the recording and not yet begun counts as outstanding too.
    launched = np.searchsorted(work, calls) + earlier.size
    outstanding = launched - np.searchsorted(begun, draft.ts[calls], side="right")
    full = (outstanding >= _FULL_SHARE * DEPTH) & (graph.dur[calls] > _BLOCKED_NS)
    depth = DEPTH if not full.any() else int(np.median(outstanding[full]))
    dur = graph.dur.copy()
    usual = float(np.median(dur[calls])) if not full.all() else 0.0
    if full.any():
        full |= (outstanding >= _NEARLY_FULL * depth) & (dur[calls] > _WAITED * usual)
    dur[calls[full]] = usual
    first = np.searchsorted(work, calls)
    # The queue has room again when that work begins, which is when the work before it has ended.
    place = first - depth - 1
    kept = graph.kind[calls] == NodeKind.CALL
    cause = graph.cause.copy()
    cause[calls[kept]] = (work[place % work.size] + (place // work.size) * n)[kept]
    # What the queue held when the recording began, by the order in which it left.
    before = np.flatnonzero(kept & (place < 0))
    old = np.sort(events.end[earlier])
    before = before[place[before] + old.size >= 0]
    done = old[place[before] + old.size] - draft.points.start_ns
    return replace(
        graph,
        dur=dur,
        cause=cause,
        opening_to=np.concatenate([graph.opening_to, calls[before]]),
        opening_ns=np.concatenate([graph.opening_ns, done.astype(np.float64)]),
    )
