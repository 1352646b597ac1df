"""How long does work take that shares the device with other work than recorded? Kernels and collectives side by side.

Each node has work w, the time it takes alone, and a factor f by which it is slower beside work of the other kind
(facts.communication.interference). Beside it, work gets done at the rate 1 / f. A duration that a schedule shows is
turned into work by the overlap in it; in another schedule, of which a replay tells the spans, the node ends when its
work is done. The gap before a node is longer beside a collective as well (replay.graph.gaps).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmprof.analyzers.facts.communication.interference import Interference
from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.facts.device.kernels import row_classes
from llmprof.analyzers.replay.graph.gaps import gap_factors
from llmprof.analyzers.replay.graph.graph import Float64, Graph, Int64, Mask, NodeKind
from llmprof.analyzers.replay.graph.replay import Replayed, replay
from llmprof.timeline.events import NONE
from llmprof.timeline.intervals import Intervals
from llmprof.timeline.timeline import RankTimeline

__all__ = ["Contention", "contention_of", "settled", "told_by"]

MOST_PASSES = 12
NODES_REPLAYED = 600_000
"""Replays with other durations, and nodes of all of them (half a second): what one collective moves comes to the next
ones pass by pass. Of larger graphs there are two at least, which correct most of it."""
FREE_PASSES = 2
"""After these a duration goes half of the way: a rank that waits in a collective is slowed by it, so that two equal
ranks would take turns in being late, pass by pass."""
TURNS = 0.9
"""Changes that shrink to no less than this from one pass to the next do take turns: then waiting slows nobody any more.
A rank that waits only loses its lead by it, and with the lead the wait, but never comes last; in a replay it would, by
what all waits of a step cost together."""
SETTLED_SHARE = 0.001
"""Of the step: durations whose changes sum up to less than this, on every rank, move nothing."""
UNMOVED = 10
"""Nor do changes of up to so many times as much, where those of the pass before moved the step by less than that."""
_COMMUNICATION = CLASSES.index("communication")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contention:
    """Who slows whom; columns have shape (nodes,).

    collective    device nodes that are collectives: arrivals, whose meeting ends them, or else the whole call
    kernel        device nodes that compute
    factor        how many times as long a node takes beside nodes of the other kind
    alone         of its duration, what it would take alone
    gap           how many times as long the gap before it is beside a collective; gap_alone: of it, what it is alone
    """

    collective: Mask
    kernel: Mask
    factor: Float64
    alone: Float64
    gap: Float64
    gap_alone: Float64

    def off_the_bus(self) -> Contention:
        """With collectives that no longer pass host memory, so that launches have PCIe to themselves."""
        return replace(self, gap=np.ones_like(self.gap))


def contention_of(ranks: Sequence[RankTimeline], graph: Graph, learned: Interference) -> Contention | None:
    """The contention of a graph of these ranks, with all durations as if alone; None where nothing was learned."""
    collective, factor = np.zeros(len(graph), bool), np.ones(len(graph))
    for place, rank in enumerate(ranks):
        assert rank.events is not None
        mine = np.flatnonzero((graph.rank == place) & graph.on_device & (graph.row != NONE))
        rows = graph.row[mine]
        collective[mine] = row_classes(rank.events)[rows] == _COMMUNICATION
        factor[mine] = learned.rows[rank.rank][rows] if rank.rank in learned.rows else 1.0
    work = graph.kind == NodeKind.DEVICE
    kernel, collective = work & ~collective, work & collective
    factor[collective] = 1.0  # the wait for other ranks is no work: only meetings, which hold none of it, get longer
    gap, ones = gap_factors(ranks, graph, collective), np.ones(len(graph))
    if not collective.any() or ((factor == 1).all() and (gap == 1).all()):
        return None
    return Contention(collective=collective, kernel=kernel, factor=factor, alone=ones, gap=gap, gap_alone=ones)


def told_by(contention: Contention, replayed: Replayed) -> Contention:
    """The contention with the work of each node as its duration in this schedule tells it."""
    graph = replayed.graph
    alone = np.ones(len(graph))
    for nodes, lost, covered in _sides(contention, replayed):
        start = replayed.start_ns[-1][nodes]
        beside = covered.until(start + graph.dur[nodes]) - covered.until(start)
        alone[nodes] = 1 - lost * beside / graph.dur[nodes]
    return replace(contention, alone=alone, gap_alone=1 / _gaps_now(contention, replayed))


def settled(contention: Contention, replayed: Replayed) -> Replayed:
    """The replay in which every duration fits the overlap that it shows, after few passes.

    A schedule that tells its own work (`told_by`) is given back as it is.
    """
    work = replayed.graph.dur * contention.alone
    lag = replayed.graph.before_lag * contention.gap_alone
    waits, last, step_ns = True, np.inf, np.inf
    for number in range(min(MOST_PASSES, max(2, NODES_REPLAYED // len(work)))):
        graph = replayed.graph
        dur = graph.dur.copy()
        for nodes, lost, covered in _sides(contention, replayed, waits=waits):
            start = replayed.start_ns[-1][nodes]
            dur[nodes] = covered.after(start, work[nodes], lost) - start
        gap = lag * _gaps_now(contention, replayed)
        changes = np.abs(dur - graph.dur) + np.abs(gap - graph.before_lag)
        change = np.bincount(graph.rank, changes, len(graph.ranks)).max() / graph.steps
        before_ns, step_ns = step_ns, replayed.step_ns
        small = max(SETTLED_SHARE * step_ns, 1.0)
        if change <= small or (abs(step_ns - before_ns) <= small and change <= UNMOVED * small):
            break
        waits, last = waits and (number <= FREE_PASSES or change < TURNS * last), change
        if number >= FREE_PASSES:
            dur, gap = (dur + graph.dur) / 2, (gap + graph.before_lag) / 2
        replayed = replay(replace(graph, dur=dur, before_lag=gap), replayed.end_ns.shape[0])
    return replayed


def _gaps_now(contention: Contention, replayed: Replayed) -> Float64:
    """How many times as long as alone the gap before each node is in this schedule."""
    graph, now = replayed.graph, np.ones(len(replayed.graph))
    for place in range(len(graph.ranks)):
        nodes = np.flatnonzero((contention.gap != 1) & (graph.rank == place))
        if nodes.size:
            covered = _Covered.by(_spans(replayed, contention.collective & (graph.rank == place)))
            start = replayed.start_ns[-1][nodes]
            beside = covered.until(start) > covered.until(start - 1.0)
            now[nodes] = np.where(beside, contention.gap[nodes], 1.0)
    return now


@dataclass(frozen=True, slots=True, eq=False)
class _Covered:
    """How much of the time up to a moment is covered by spans: `at` are their ends, ascending, `total` that time."""

    at: Float64
    total: Float64

    @classmethod
    def by(cls, spans: Intervals) -> _Covered:
        if not spans:
            return cls(np.zeros(1), np.zeros(1))
        length = np.repeat(np.cumsum(spans.ends - spans.starts), 2)
        length[::2] -= spans.ends - spans.starts
        return cls(np.stack([spans.starts, spans.ends], axis=1).ravel().astype(np.float64), length.astype(np.float64))

    def until(self, moment: Float64) -> Float64:
        """Covered ns before each moment."""
        return np.interp(moment, self.at, self.total)

    def after(self, start: Float64, work: Float64, lost: Float64) -> Float64:
        """When `work` from `start` on is done, of which the share `lost` of the covered time does nothing.

        Done is t - lost x covered(t), which rises with t, in straight lines between the ends of spans: the last end
        up to which the work is not done is found by halving, all nodes at once.
        """
        goal = start - lost * self.until(start) + work
        low, high = np.full(start.size, -1, np.int64), np.full(start.size, self.at.size, np.int64)
        while (high - low > 1).any():
            middle = (low + high) // 2
            inner = np.clip(middle, 0, self.at.size - 1)
            below = (middle >= 0) & (middle < self.at.size) & (self.at[inner] - lost * self.total[inner] <= goal)
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        inner = np.maximum(low, 0)
        rest = goal - (self.at[inner] - lost * self.total[inner])
        inside = (low >= 0) & (low % 2 == 0) & (self.at.size > 1)
        result: Float64 = self.at[inner] + np.where(inside, rest / (1 - np.where(inside, lost, 0.0)), rest)
        return result


def _sides(contention: Contention, replayed: Replayed, *, waits: bool = True) -> list[tuple[Int64, Float64, _Covered]]:
    """Nodes that others slow, the share of their time beside those that is lost, and when that is.

    waits    whether collectives slow kernels while they wait for other ranks
    """
    graph = replayed.graph
    found = []
    slowed = (contention.factor != 1) & (graph.dur > 0)
    for place in range(len(graph.ranks)):
        nodes = np.flatnonzero(slowed & contention.kernel & (graph.rank == place))
        found.append((nodes, _spans(replayed, contention.collective & (graph.rank == place), waits=waits)))
    meetings = np.flatnonzero(slowed & (graph.kind == NodeKind.MEETING))
    found.append((meetings, _spans(replayed, contention.kernel)))
    return [(nodes, 1 - 1 / contention.factor[nodes], _Covered.by(spans)) for nodes, spans in found if nodes.size]


def _spans(replayed: Replayed, chosen: Mask, *, waits: bool = True) -> Intervals:
    """When any of these device nodes is on the device, in all rounds; a collective until all ranks leave it.

    waits    with what a collective waits for other ranks, else from when the last one is there
    """
    graph = replayed.graph
    nodes = np.flatnonzero(chosen)
    leave = graph.done_by(nodes)
    # A collective that a fix has taken away lasts no time, and its arrival nobody waits for.
    nodes, leave = nodes[graph.dur[leave] > 0], leave[graph.dur[leave] > 0]
    begin, end = replayed.start_ns[:, nodes], replayed.end_ns[:, leave]
    return Intervals.of(np.rint(begin if waits else np.maximum(begin, end - graph.dur[leave])), np.rint(end))
