"""At what do several ranks meet? Collectives of all of them, and messages between some, in an order that all keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmprof.analyzers.facts.communication.alignment import match_collectives, match_messages, transfers_of
from llmprof.analyzers.facts.communication.clocks import clocks_of
from llmprof.analyzers.facts.communication.collective_calls import ONE_SIDED
from llmprof.analyzers.facts.communication.rank_calls import RankCalls, collective_rows, rank_calls
from llmprof.analyzers.replay.graph.graph import Float64, Graph, Int64, Mask
from llmprof.timeline.events import NONE
from llmprof.timeline.timeline import RankTimeline

__all__ = ["Meetings", "meetings_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Meetings:
    """What these ranks recorded together; columns have shape (meetings, ranks).

    nodes      the arrivals that are waited for, NONE of ranks that are not
    leaving    whose arrivals the meeting ends: of a collective all of them; a message, or several that begin together,
               ends one rank's, since those with which it exchanges them may wait for others too
    """

    nodes: Int64
    leaving: Mask
    transfer_ns: Float64
    """From the last arrival on; shape (meetings,)."""
    begin_ns: tuple[int, ...] = ()
    """When the traced steps of each rank began, on one clock."""

    @classmethod
    def none(cls, ranks: int) -> Meetings:
        """No meeting of so many ranks."""
        return cls(nodes=np.empty((0, ranks), np.int64), leaving=np.empty((0, ranks), bool), transfer_ns=np.empty(0))

    def and_of(self, other: Meetings) -> Meetings:
        """Those and these."""
        return Meetings(
            nodes=np.concatenate([self.nodes, other.nodes]),
            leaving=np.concatenate([self.leaving, other.leaving]),
            transfer_ns=np.concatenate([self.transfer_ns, other.transfer_ns]),
        )


def meetings_of(ranks: Sequence[RankTimeline], graphs: Sequence[Graph]) -> Meetings | None:
    """The collectives of all of these ranks and the messages between them; None without any.

    None also where no order of them is the one in which every rank launched them: then each rank is replayed alone.
    """
    calls = [found for rank in ranks if (found := rank_calls(rank)) is not None]
    if len(calls) < max(2, len(ranks)):
        return None
    # A sender may leave before the others come, but no further than to the next collective of all, so that the step is
    # the same if it is taken to meet them. As work of its own their wait for it would never end.
    matches = [match for match in match_collectives(calls, also=ONE_SIDED) if len(match.ranks) == len(ranks)]
    transfers = transfers_of(calls, matches)
    place = {rank.rank: _nodes(rank, graph) for rank, graph in zip(ranks, graphs, strict=True)}
    together = Meetings.none(len(ranks))
    for match in matches:
        by_rank = {number: place[number][row] for number, row in zip(match.ranks, match.calls, strict=True)}
        nodes = np.stack([by_rank[rank.rank] for rank in ranks], axis=1)
        known = (nodes >= 0).all(axis=1)
        lengths = transfers[match.ranks[0]][match.calls[0]][known].astype(np.float64)
        nodes = nodes[known]
        together = together.and_of(Meetings(nodes=nodes, leaving=np.ones(nodes.shape, bool), transfer_ns=lengths))
    met = _in_order(together.and_of(_of_messages(calls, place))) or _in_order(together)
    if met is None or len(met.nodes) == 0:
        return None
    clocks = clocks_of(calls, matches)
    begins = [
        int(clocks[rank.rank].common(np.array(graph.begin_ns, dtype=np.int64))[0])
        for rank, graph in zip(ranks, graphs, strict=True)
    ]
    return replace(met, begin_ns=tuple(begins))


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


def _of_messages(calls: Sequence[RankCalls], place: dict[int, Int64]) -> Meetings:
    """A meeting for each kernel that sends or receives: it is done when all with which it exchanges have arrived.

    The one that came last waits for nobody, so the shortest of them is the transfer.
    """
    column = {rank.rank: at for at, rank in enumerate(calls)}
    nodes, leaving, lengths = [], [], []
    for (rank, call), others in match_messages(calls).items():
        arrivals = np.full(len(calls), NONE, np.int64)
        for number, some in (*others, (rank, call)):
            # Of several on one rank the last one to be launched arrives last.
            arrivals[column[number]] = max(arrivals[column[number]], place[number][some])
        if arrivals[column[rank]] != NONE:
            nodes.append(arrivals)
            leaving.append(np.arange(len(calls)) == column[rank])
            lengths.append(min(int(calls[column[number]].dur_ns[some]) for number, some in (*others, (rank, call))))
    if not nodes:
        return Meetings.none(len(calls))
    return Meetings(nodes=np.stack(nodes), leaving=np.stack(leaving), transfer_ns=np.array(lengths, np.float64))


def _in_order(meetings: Meetings) -> Meetings | None:
    """The meetings in an order in which every rank comes to them; None where one waits for what it does later."""
    turns: list[list[int]] = []
    before = np.zeros(meetings.nodes.shape, np.int64)
    for rank, nodes in enumerate(meetings.nodes.T):
        own = np.flatnonzero(meetings.leaving[:, rank])
        own = own[np.argsort(nodes[own], kind="stable")]
        turns.append(own.tolist())
        # How many of its meetings a rank has left behind when it arrives at each.
        before[:, rank] = np.where(nodes == NONE, 0, np.searchsorted(nodes[own], nodes))
    needed = [[int(count) for count in row] for row in before]
    left = [0] * len(turns)
    order: dict[int, None] = {}
    moved = True
    while moved:
        moved = False
        for place, turn in enumerate(turns):
            while left[place] < len(turn) and all(map(int.__le__, needed[turn[left[place]]], left)):
                order[turn[left[place]]] = None
                left[place] += 1
                moved = True
    if left != [len(turn) for turn in turns]:
        return None
    rows = np.array(list(order), np.int64)
    return Meetings(nodes=meetings.nodes[rows], leaving=meetings.leaving[rows], transfer_ns=meetings.transfer_ns[rows])
