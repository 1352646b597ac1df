"""How do several ranks wait for each other? Their graphs in one, with every collective as a meeting.

A rank that arrives at a collective waits for the others; from the last arrival on it takes its transfer, and then all
leave together. What was recorded as one long kernel on the rank that came first is thereby taken apart, and is
replayed as arrival and transfer. So are messages: a rank leaves when those with which it exchanges them have arrived.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.replay.graph.graph import NO_REF, Graph, Int64, NodeKind
from llmprof.analyzers.replay.graph.meetings import Meetings
from llmprof.timeline.events import NONE

__all__ = ["join"]


def join(graphs: Sequence[Graph], meetings: Meetings) -> Graph:
    """One graph of all ranks. Its order: what each rank does up to a meeting, then the meeting, then on to the next."""
    count = meetings.nodes.shape[0]
    sizes = [len(graph) for graph in graphs]
    rows = [np.flatnonzero(meetings.leaving[:, r]) for r in range(len(sizes))]
    key = [
        np.append(0, 2 * mine + 2)[np.searchsorted(meetings.nodes[mine, r], np.arange(n))]
        for r, (n, mine) in enumerate(zip(sizes, rows, strict=True))
    ]
    place = np.concatenate([*(np.arange(n) for n in sizes), np.zeros(count, np.int64)])
    owner = np.concatenate([*(np.full(n, r) for r, n in enumerate(sizes)), np.zeros(count, np.int64)])
    order = np.lexsort((place, owner, np.concatenate([*key, 2 * np.arange(count) + 1])))
    total = order.size
    new = np.empty(total, dtype=np.int64)
    new[order] = np.arange(total)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    own = [new[starts[r] : starts[r + 1]] for r in range(len(graphs))]
    met = new[starts[-1] :]
    left = [nodes.copy() for nodes in own]
    for r, mine in enumerate(rows):
        left[r][meetings.nodes[mine, r]] = met[mine]
    joined = _columns(graphs, own, left, met, meetings)
    arrived_to, arrived_from = _arrivals(met, own, meetings)
    extra_to = np.concatenate([*(own[r][g.extra_to] for r, g in enumerate(graphs)), arrived_to])
    extra_from = np.concatenate([*(_moved(g.extra_from, left[r], total) for r, g in enumerate(graphs)), arrived_from])
    extra_lag = np.concatenate([*(g.extra_lag for g in graphs), np.zeros(arrived_to.size)])
    return joined.with_edges(extra_to, extra_from, extra_lag)


def _first(meetings: Meetings) -> Int64:
    """The rank that stands for each meeting: the first one whose arrival it ends."""
    found: Int64 = meetings.leaving.argmax(axis=1)
    return found


def _arrivals(met: Int64, own: Sequence[Int64], meetings: Meetings) -> tuple[Int64, Int64]:
    """Edges to each meeting from the arrivals of all ranks but the one that stands for it."""
    others = (meetings.nodes != NONE) & (np.arange(len(own)) != _first(meetings)[:, None])
    rows = [np.flatnonzero(column) for column in others.T]
    to = np.concatenate([met[mine] for mine in rows])
    return to, np.concatenate([own[r][meetings.nodes[mine, r]] for r, mine in enumerate(rows)])


def _moved(reference: Int64, left: Int64, total: int) -> Int64:
    """References in the joined graph; what waited for a collective waits for the meeting.

    left    where the work of each of the rank's nodes is done
    """
    none = reference == NO_REF
    safe = np.where(none, 0, reference)
    moved = left[safe % left.size] + (safe // left.size) * total
    result: Int64 = np.where(none, NO_REF, moved)
    return result


def _columns(
    graphs: Sequence[Graph], own: Sequence[Int64], left: Sequence[Int64], met: Int64, meetings: Meetings
) -> Graph:
    total = sum(map(len, graphs)) + met.size
    first = graphs[0]
    values: dict[str, npt.NDArray[np.generic]] = {}
    for name in (
        "kind",
        "rank",
        "row",
        "lane",
        "step",
        "region",
        "dur",
        "lead_events",
        "own_events",
        "before_lag",
        "cause_lag",
        "before",
        "cause",
        "recorded_start",
        "recorded_end",
        "launched",
    ):
        values[name] = np.zeros(total, dtype=getattr(first, name).dtype)
    values["meeting"] = np.full(total, NONE, dtype=np.int64)
    for r, graph in enumerate(graphs):
        for name, column in values.items():
            if name in ("before", "cause"):
                column[own[r]] = _moved(getattr(graph, name), left[r], total)
            elif name == "rank":
                column[own[r]] = r
            elif name != "meeting":
                column[own[r]] = getattr(graph, name)
        ended = left[r] != own[r]
        values["dur"][own[r][ended]] = 0
        values["meeting"][own[r][ended]] = left[r][ended]
    rank = _first(meetings)
    arrival = np.concatenate(own)[
        np.append(0, np.cumsum([len(graph) for graph in graphs]))[rank] + meetings.nodes[np.arange(met.size), rank]
    ]
    for name in ("rank", "row", "lane", "step", "recorded_start", "recorded_end", "launched"):
        values[name][met] = values[name][arrival]
    values["kind"][met], values["dur"][met] = NodeKind.MEETING, meetings.transfer_ns
    values["before"][met], values["cause"][met] = arrival, NO_REF
    return Graph(
        ranks=tuple(graph.ranks[0] for graph in graphs),
        begin_ns=meetings.begin_ns or tuple(graph.begin_ns[0] for graph in graphs),
        opening_to=np.concatenate([own[r][graph.opening_to] for r, graph in enumerate(graphs)]),
        opening_ns=np.concatenate([graph.opening_ns for graph in graphs]),
        steps=min(graph.steps for graph in graphs),
        unexplained_ns=max(graph.unexplained_ns for graph in graphs),
        confirmed_waits=all(graph.confirmed_waits for graph in graphs),
        **values,  # type: ignore[arg-type]
    )
