"""In which order can a graph be replayed in long stretches? Threads and streams, cut where they wait for each other.

Along a thread or a stream each node follows the one before it, and most of what else they wait for lies on others: a
kernel waits for its launch. A node's level is the number of times that one has to change from one of them to another
to come to it. So all nodes of one thread or stream and one level stand together, wait for nothing but lower levels and
each other, and their ends come from a few array operations:

    end - c = running maximum of (end[cause] + cause_lag + dur - c),    c = running sum of (before_lag + dur)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from llmprof.analyzers.replay.graph.graph import NO_REF, Float64, Graph, Int64, Mask, Order

__all__ = ["ends_of"]

FEW = 20
"""Nodes of a stretch below which one after the other takes no longer than array operations do."""
_MOST_KEPT = 3
"""Orders beside the first one, which is that of most fixes; some have nodes wait for others."""
_LAST = (-1, 0, 0.0, 0.0)


def ends_of(graph: Graph, rounds: int) -> Float64:
    """The end of each node in each round, shape (rounds, nodes)."""
    n, order = len(graph), _order_of(graph)
    walk, ends = _Walk.of(order, graph), np.zeros(1 + rounds * n)
    for number in range(rounds):
        walk.round(ends, 1 + number * n)
    result = np.empty((rounds, n))
    result[:, order.nodes] = ends[1:].reshape(rounds, n)
    return result


def _order_of(graph: Graph) -> Order:
    """The order of this graph's replay: one that it had before, where that is one still."""
    for known in graph.orders:
        if _fits(known, graph):
            return known
    found = _found(graph)
    graph.orders.append(found)
    del graph.orders[1:-_MOST_KEPT]
    return found


def _fits(order: Order, graph: Graph) -> bool:
    """Whether this is an order of that graph too: one of the same nodes that wait for others than they did."""
    if not np.array_equal(graph.before, order.before):
        return False
    level, source, to = order.level, graph.extra_from, graph.extra_to
    later = (graph.cause >= 0) & (level[np.maximum(graph.cause, 0)] >= level)
    return not (later.any() or ((source >= 0) & (level[np.maximum(source, 0)] >= level[to])).any())


def _found(graph: Graph) -> Order:
    n = len(graph)
    follows = np.flatnonzero(graph.before >= 0)
    linked = np.zeros(n, bool)
    linked[follows[np.unique(graph.before[follows], return_index=True)[1]]] = True
    level, chain = _levels(graph, linked)
    nodes = np.lexsort((chain, level))
    place = np.empty(n, np.int64)
    place[nodes] = np.arange(n)
    new = (np.diff(level[nodes], prepend=-1) != 0) | (np.diff(chain[nodes], prepend=-1) != 0)
    return Order(before=graph.before, level=level, nodes=nodes, place=place, begins=np.flatnonzero(new))


def _levels(graph: Graph, linked: Mask) -> tuple[Int64, Int64]:
    """The level of each node, and which thread or stream it is on: the first node of it.

    linked    nodes that follow the one before them on their thread or stream, as the first to do so
    """
    levels: list[int] = []
    chains: list[int] = []
    further = zip(graph.extra_to.tolist(), graph.extra_from.tolist(), strict=True)
    to, source = next(further, (-1, 0))
    columns = (graph.before.tolist(), linked.tolist(), graph.cause.tolist())
    for node, (before, same, cause) in enumerate(zip(*columns, strict=True)):
        level = 0
        if before >= 0:
            level = levels[before] if same else levels[before] + 1
        if cause >= 0 and levels[cause] >= level:
            level = levels[cause] + 1
        while node == to:
            if source >= 0 and levels[source] >= level:
                level = levels[source] + 1
            to, source = next(further, (-1, 0))
        levels.append(level)
        chains.append(chains[before] if same else node)
    return np.array(levels, np.int64), np.array(chains, np.int64)


class _Stretch(NamedTuple):
    """Nodes from `begin` to `end` of the order, with the number of further edges that lead to them.

    singly    whether they are taken one after the other; several short stretches are then one
    head      what the first of them follows on its thread or stream, and head_ns: its before_lag + dur
    """

    begin: int
    end: int
    edges: int
    singly: bool
    head: int
    head_ns: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Walk:
    """What is the same in every round; columns in the order of the replay, references as places against its begin.

    sums     running sum of before_lag + dur within each stretch
    after    cause_lag + dur, less that sum
    singly   nodes that are taken one after the other: before, before_lag, cause, cause_lag, dur
    edges    further edges: to, from, lag, and lag + dur less that sum
    """

    stretches: list[_Stretch]
    cause: Int64
    sums: Float64
    after: Float64
    singly: tuple[Int64, Float64, Int64, Float64, Float64]
    edges: tuple[Int64, Int64, Float64, Float64]

    @classmethod
    def of(cls, order: Order, graph: Graph) -> _Walk:
        nodes, begins, place = order.nodes, order.begins, order.place
        before, cause = (_relative(place, column[nodes]) for column in (graph.before, graph.cause))
        lag, cause_lag, dur = graph.before_lag[nodes], graph.cause_lag[nodes], graph.dur[nodes]
        lengths = np.diff(begins, append=nodes.size)
        own = lag + dur
        own[begins] = 0.0
        total = np.cumsum(own)
        sums = total - np.repeat(total[begins], lengths)
        by = np.argsort(place[graph.extra_to], kind="stable")
        to, extra_lag = place[graph.extra_to[by]], graph.extra_lag[by]
        short = lengths < FEW
        # Short stretches in a row are one.
        kept = ~(short & np.concatenate([[False], short[:-1]]))
        cuts = np.append(begins[kept], nodes.size)
        first = np.searchsorted(to, cuts)
        head = begins[kept]
        bounds = (cuts[:-1], cuts[1:], np.diff(first), short[kept], before[head], lag[head] + dur[head])
        one = np.repeat(short, lengths)
        return cls(
            stretches=[_Stretch(*one) for one in zip(*(column.tolist() for column in bounds), strict=True)],
            cause=cause,
            sums=sums,
            after=cause_lag + dur - sums,
            singly=(before[one], lag[one], cause[one], cause_lag[one], dur[one]),
            edges=(to, _relative(place, graph.extra_from[by]), extra_lag, extra_lag + dur[to] - sums[to]),
        )

    def round(self, ends: Float64, first: int) -> None:
        """Fill in the ends of one round: those from place `first` on, in the order of the replay."""
        before, lag, cause, cause_lag, dur = self.singly
        columns = (np.maximum(before + first, 0), lag, np.maximum(cause + first, 0), cause_lag, dur)
        nodes = zip(*(column.tolist() for column in columns), strict=True)
        to, source, extra_lag, extra_ns = self.edges
        further = zip(
            *((to + first).tolist(), np.maximum(source + first, 0).tolist(), extra_lag.tolist(), extra_ns.tolist()),
            strict=True,
        )
        cause = np.maximum(self.cause + first, 0)
        view = ends.data.cast("B").cast("d")
        for begin, end, count, singly, head, head_ns in self.stretches:
            edges, at = islice(further, count), first + begin
            if singly:
                _singly(view, at, islice(nodes, end - begin), edges)
                continue
            found = ends.take(cause[begin:end])
            found += self.after[begin:end]
            start = view[max(head + first, 0)] + head_ns
            if start > found[0]:
                found[0] = start
            for place, other, _, ns in edges:
                start = view[other] + ns
                if start > found[place - at]:
                    found[place - at] = start
            np.maximum.accumulate(found, out=found)
            np.add(found, self.sums[begin:end], out=ends[at : first + end])


def _relative(place: Int64, reference: Int64) -> Int64:
    """References as places in the order, less the nodes of the rounds that they reach back; far below 0 for nothing.

    With the place at which a round begins added, what is not above 0 lies before the first round.
    """
    n = place.size
    inside = reference >= 0
    found = np.where(inside, place[np.where(inside, reference, 0)], NO_REF // 2)
    earlier = np.flatnonzero(~inside & (reference != NO_REF))
    found[earlier] = place[reference[earlier] % n] + reference[earlier] // n * n
    return found


def _singly(
    ends: memoryview[float],
    first: int,
    nodes: Iterator[tuple[int, float, int, float, float]],
    further: Iterator[tuple[int, int, float, float]],
) -> None:
    """Fill in the ends of these nodes from place `first` on, one after the other."""
    to, source, extra_lag, _ = next(further, _LAST)
    for place, (before, before_lag, cause, cause_lag, dur) in enumerate(nodes, first):
        start = ends[before] + before_lag
        other = ends[cause] + cause_lag
        if other > start:
            start = other
        while place == to:
            other = ends[source] + extra_lag
            if other > start:
                start = other
            to, source, extra_lag, _ = next(further, _LAST)
        ends[place] = start + dur
