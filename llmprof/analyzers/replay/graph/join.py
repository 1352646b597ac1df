"""How do several ranks wait for each other? Their graphs in one, with every collective as a meeting.

A rank that arrives at a collective waits for the others; from the last arrival on it takes its transfer, and then all
leave together. What was recorded as one long kernel on the rank that came first is thereby taken apart, and is
replayed as arrival and transfer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.alignment import match_collectives, transfers_of
from llmprof.analyzers.facts.communication.clocks import clocks_of
from llmprof.analyzers.facts.communication.collective_calls import ONE_SIDED
from llmprof.analyzers.facts.communication.rank_calls import collective_rows, rank_calls
from llmprof.analyzers.replay.graph.graph import NO_REF, Float64, Graph, Int64, NodeKind
from llmprof.timeline.events import NONE
from llmprof.timeline.timeline import RankTimeline

__all__ = ["Meetings", "join", "meetings_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Meetings:
    """Collectives that all these ranks recorded: nodes of shape (meetings, ranks), with the transfer in ns."""

    nodes: Int64
    transfer_ns: Float64
    begin_ns: tuple[int, ...] = ()
    """When the traced steps of each rank began, on one clock."""


def meetings_of(ranks: Sequence[RankTimeline], graphs: Sequence[Graph]) -> Meetings | None:
    """The collectives of all of these ranks, in the order in which every rank launched them; None without any.

    None also where ranks launched them in different orders, as pipelines do: then each rank is replayed alone.
    """
    calls = [found for rank in ranks if (found := rank_calls(rank)) is not None]
    if len(calls) < max(2, len(ranks)):
        return None
    # A sender may leave before the others come, but no further than to the next collective of all, so that the step is
    # the same if it is taken to meet them. As work of its own their wait for it would never end.
    matches = [match for match in match_collectives(calls, also=ONE_SIDED) if len(match.ranks) == len(ranks)]
    transfers = transfers_of(calls, matches)
    columns, lengths = [], []
    place = [_nodes(rank, graph) for rank, graph in zip(ranks, graphs, strict=True)]
    by_rank = {rank.rank: column for rank, column in zip(ranks, place, strict=True)}
    for match in matches:
        nodes = np.stack([by_rank[number][row] for number, row in zip(match.ranks, match.calls, strict=True)], axis=1)
        order = [match.ranks.index(rank.rank) for rank in ranks]
        known = (nodes >= 0).all(axis=1)
        columns.append(nodes[known][:, order])
        lengths.append(transfers[match.ranks[0]][match.calls[0]][known])
    if not columns:
        return None
    nodes, transfer = np.concatenate(columns), np.concatenate(lengths)
    first = np.argsort(nodes[:, 0], kind="stable")
    nodes, transfer = nodes[first], transfer[first]
    if nodes.shape[0] == 0 or (np.diff(nodes, axis=0) <= 0).any():
        return None
    clocks = clocks_of(calls, matches)
    begins = [
        int(clocks[rank.rank].common(np.array(graph.begin_ns, dtype=np.int64))[0])
        for rank, graph in zip(ranks, graphs, strict=True)
    ]
    return Meetings(nodes=nodes.astype(np.int64), transfer_ns=transfer.astype(np.float64), begin_ns=tuple(begins))


def _nodes(rank: RankTimeline, graph: Graph) -> Int64:
    """The node of each of the rank's last collectives, NONE where it is none."""
    assert rank.events is not None
    place = np.full(len(rank.events), NONE, dtype=np.int64)
    device = np.flatnonzero(graph.on_device)
    place[graph.row[device]] = device
    found = rank_calls(rank)
    rows = collective_rows(rank.events)[-len(found) :] if found is not None and len(found) else place[:0]
    result: Int64 = place[rows]
    return result


def join(graphs: Sequence[Graph], meetings: Meetings) -> Graph:
    """One graph of all ranks. Its order: what each rank does up to a meeting, then the meeting, then on to the next."""
    count = meetings.nodes.shape[0]
    sizes = [len(graph) for graph in graphs]
    key = [2 * np.searchsorted(meetings.nodes[:, r], np.arange(n), side="left") for r, n in enumerate(sizes)]
    place = np.concatenate([*(np.arange(n) for n in sizes), np.zeros(count, np.int64)])
    owner = np.concatenate([*(np.full(n, r) for r, n in enumerate(sizes)), np.zeros(count, np.int64)])
    order = np.lexsort((place, owner, np.concatenate([*key, 2 * np.arange(count) + 1])))
    total = order.size
    new = np.empty(total, dtype=np.int64)
    new[order] = np.arange(total)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    own = [new[starts[r] : starts[r + 1]] for r in range(len(graphs))]
    met = new[starts[-1] :]
    joined = _columns(graphs, own, met, meetings, total)
    extra_to = np.concatenate([*(own[r][g.extra_to] for r, g in enumerate(graphs)), *_arrivals(met, own, meetings)[:1]])
    extra_from = np.concatenate(
        [
            *(_moved(g.extra_from, own[r], met, meetings.nodes[:, r], total) for r, g in enumerate(graphs)),
            *_arrivals(met, own, meetings)[1:],
        ]
    )
    extra_lag = np.concatenate([*(g.extra_lag for g in graphs), np.zeros(count * (len(graphs) - 1))])
    by_target = np.argsort(extra_to, kind="stable")
    return replace(
        joined, extra_to=extra_to[by_target], extra_from=extra_from[by_target], extra_lag=extra_lag[by_target]
    )


def _arrivals(met: Int64, own: Sequence[Int64], meetings: Meetings) -> tuple[Int64, Int64]:
    """Edges from the arrivals of all ranks but the first to the meeting."""
    others = range(1, len(own))
    to = np.concatenate([met for _ in others])
    source = np.concatenate([own[r][meetings.nodes[:, r]] for r in others])
    return to, source


def _moved(reference: Int64, own: Int64, met: Int64, nodes: Int64, total: int) -> Int64:
    """References in the joined graph; what waited for a collective waits for the meeting."""
    target = own.copy()
    target[nodes] = met
    none = reference == NO_REF
    safe = np.where(none, 0, reference)
    moved = target[safe % own.size] + (safe // own.size) * total
    result: Int64 = np.where(none, NO_REF, moved)
    return result


def _columns(graphs: Sequence[Graph], own: Sequence[Int64], met: Int64, meetings: Meetings, total: int) -> Graph:
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
        nodes = meetings.nodes[:, r]
        for name, column in values.items():
            if name in ("before", "cause"):
                column[own[r]] = _moved(getattr(graph, name), own[r], met, nodes, total)
            elif name == "rank":
                column[own[r]] = r
            elif name != "meeting":
                column[own[r]] = getattr(graph, name)
        values["dur"][own[r][nodes]] = 0
        values["meeting"][own[r][nodes]] = met
    arrival = own[0][meetings.nodes[:, 0]]
    for name in ("row", "lane", "step", "recorded_start", "recorded_end", "launched"):
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
