"""Where in the replayed steps is garbage collected? Pauses of the host's work, and the graph without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from llmprof.analyzers.replay.graph.graph import Float64, Graph
from llmprof.timeline.events import Kind
from llmprof.timeline.intervals import EMPTY, Intervals, lengths_inside
from llmprof.timeline.timeline import RankTimeline

__all__ = ["collecting_ns", "collections_in", "without_collections"]


def collections_in(rank: RankTimeline) -> Intervals:
    """The pauses of the garbage collector that lie in a rank's trace."""
    events = rank.events
    if events is None:
        return EMPTY
    names = np.fromiter((name.startswith("llmprof.gc") for name in events.strings.names), bool)
    return events.spans(events.rows_named((Kind.ANNOTATION,), names))


def collecting_ns(traced: Graph, ranks: Sequence[RankTimeline]) -> Float64:
    """Of the host's work before each node of the graph as recorded, what was collecting garbage; ns, shape (nodes,)."""
    spent: Float64 = np.zeros(len(traced))
    for place, rank in enumerate(ranks):
        mine = traced.on_host & (traced.rank == place)
        start = traced.recorded_start[mine]
        spent[mine] = lengths_inside(collections_in(rank), start - traced.before_lag[mine].astype(np.int64), start)
    return spent


def without_collections(traced: Graph, ranks: Sequence[RankTimeline]) -> Graph:
    """The graph as recorded, in which nobody collects garbage."""
    return replace(traced, before_lag=np.maximum(traced.before_lag - collecting_ns(traced, ranks), 0.0))
