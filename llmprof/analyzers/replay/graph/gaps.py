"""How much longer does a stream take from one piece of work to the next beside a collective than alone?

The device fetches launches over PCIe, and over PCIe goes a collective that passes host memory: then the next kernel
begins later, and after a copy much later. How much is read off neighbours of the same names that followed each other
beside a collective and alone, while the stream had work waiting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from llmprof.analyzers.replay.graph.graph import Float64, Graph, Int64, Mask, NodeKind
from llmprof.timeline.events import NONE, Kind
from llmprof.timeline.intervals import Intervals
from llmprof.timeline.timeline import RankTimeline

__all__ = ["gap_factors"]

AHEAD_NS = 20_000
"""A kernel whose launch had ended so long before the stream was free was there already: what it waited for is the
device (a launch reaches it within some 5 to 10 µs)."""
MOST_NS = 50_000
"""Longer gaps are waits for something."""
LEAST_CALLS = 3
"""Of the same neighbours, on either side: of fewer the mean is one call."""
LEAST_GAPS = 30
ERRORS = 2.0
"""Standard errors by which gaps have to be longer (95 %)."""


def gap_factors(ranks: Sequence[RankTimeline], graph: Graph, collective: Mask) -> Float64:
    """How many times as long the gap before each node is beside a collective; 1 where nothing shows it to be longer.

    Copies, and what follows them, are told apart from kernels that follow kernels. Shape (nodes,).

    collective    which nodes are collectives
    """
    factors = np.ones(len(graph))
    for copies in (False, True):
        some = [found for place, rank in enumerate(ranks) if (found := _gaps(rank, graph, place, collective, copies))]
        if not some:
            continue
        beside, alone, variance, count = np.sum([_compared(*one[1:]) for one in some], axis=0)
        if count < LEAST_GAPS or beside - ERRORS * np.sqrt(variance) <= alone:
            continue
        for nodes, *_ in some:
            factors[nodes] = beside / alone
    return factors


def _gaps(
    rank: RankTimeline, graph: Graph, place: int, collective: Mask, copies: bool
) -> tuple[Int64, Float64, Int64, Mask] | None:
    """Nodes with their gaps, the names on both sides of it as one number, and whether that was beside a collective."""
    assert rank.events is not None
    known = (graph.kind == NodeKind.DEVICE) & (graph.rank == place) & (graph.row != NONE) & ~collective
    nodes = np.flatnonzero(known & (graph.before >= 0))
    nodes = nodes[known[graph.before[nodes]] & (graph.cause[nodes] >= 0)]
    before, row = graph.before[nodes], graph.row
    kernel = rank.events.kind == Kind.KERNEL
    plain = kernel[row[nodes]] & kernel[row[before]]
    freed = graph.recorded_end[before]
    gap = graph.recorded_start[nodes] - freed
    waiting = graph.recorded_end[graph.cause[nodes]] < freed - AHEAD_NS
    chosen = (plain != copies) & waiting & (gap >= 0) & (gap < MOST_NS)
    if not chosen.any():
        return None
    nodes, gap, freed = nodes[chosen], gap[chosen].astype(np.float64), freed[chosen]
    names = rank.events.name
    pair = names[row[before[chosen]]].astype(np.int64) * len(rank.events.strings) + names[row[nodes]]
    mine = np.flatnonzero(collective & (graph.rank == place) & (graph.row != NONE))
    spans = Intervals.of(graph.recorded_start[mine], graph.recorded_end[mine])
    beside = spans.contains(freed) & spans.contains(graph.recorded_start[nodes])
    return nodes, gap, pair, beside


def _compared(gap: Float64, pair: Int64, beside: Mask) -> tuple[float, float, float, float]:
    """Sums over the gaps beside a collective whose neighbours are also found alone.

    As they are, as long as those alone, the variance of the difference, and how many there are.
    """
    _, which = np.unique(pair, return_inverse=True)
    count, total, squared = (
        np.array([np.bincount(which[side], weights, which.max() + 1) for side, weights in _sides(gap, beside, power)])
        for power in (0, 1, 2)
    )
    enough = (count >= LEAST_CALLS).all(axis=0)
    count, total, squared = count[:, enough], total[:, enough], squared[:, enough]
    mean = total / count
    variance = np.maximum(squared / count - mean**2, 0.0) / count
    weight = count[0]
    return (
        float((weight * mean[0]).sum()),
        float((weight * mean[1]).sum()),
        float((weight**2 * variance.sum(axis=0)).sum()),
        float(weight.sum()),
    )


def _sides(gap: Float64, beside: Mask, power: int) -> Iterator[tuple[Mask, Float64]]:
    for side in (beside, ~beside):
        yield side, gap[side] ** power
