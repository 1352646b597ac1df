"""How long is the host's work where unprofiled steps measured it? The graph with that instead of what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from llmprof.analyzers.replay.graph.graph import Graph, NodeKind, Region
from llmprof.analyzers.replay.unprofiled.distortion import LAUNCH_WEIGHT
from llmprof.analyzers.replay.unprofiled.seen import phases_of
from llmprof.timeline.steps import StepPhase
from llmprof.timeline.timeline import RankTimeline

__all__ = ["evened", "with_longer", "with_optimizer"]

_SAME_PROGRAM = 0.02
_SAME_PHASES = 0.05
"""Ranks that launch as much work or make as many calls, and whose host took as long without the profiler, run the same
program: closer than means of some tens of steps are to each other."""
MOST_OFF = 1.5
"""A phase that differs more from its recording than this was not the same phase."""
LONG_NS = 1_000_000.0
MOST_LONGER = 3.0
"""Work that takes so many times as long as recorded is not the same work: a program that shares its core with another
one runs at half its pace, and caches and clocks are shared as well (assumption)."""


def evened(ranks: Sequence[RankTimeline], graph: Graph, relieve: Callable[[float], Graph]) -> Graph:
    """The graph in which ranks that run the same program have hosts of the same length.

    A profiler does not burden all ranks alike, and all wait for the one that it burdens most. Where the unprofiled
    phases of the ranks are the same, what a host is longer than the quickest one is the profiler's.
    """
    host = graph.on_host
    phases = np.array([sum(known) for rank in ranks if (known := phases_of(rank, StepPhase.BASELINE)) is not None])
    if len(ranks) < 2 or phases.size < len(ranks):
        return graph
    work = np.bincount(graph.rank[host], (graph.before_lag + graph.dur)[host], len(ranks))
    weights = graph.lead_events + graph.own_events + (LAUNCH_WEIGHT - 1) * graph.launched
    events = np.bincount(graph.rank[host], weights[host])
    # A profiler may lose the operators of a thread on one rank, and a call may make more kernels of one rank's batches.
    recorded = (graph.lead_events + graph.own_events, graph.launched)
    counts = [np.bincount(graph.rank[host], column[host], len(ranks)) for column in recorded]
    alike = any(np.ptp(count) <= _SAME_PROGRAM * count.max() for count in counts)
    if not alike or np.ptp(phases) > _SAME_PHASES * phases.max() or events.min() <= 0:
        return graph
    lag, dur = graph.before_lag.copy(), graph.dur.copy()
    lead, own = graph.lead_events.copy(), graph.own_events.copy()
    quickest = int(work.argmin())
    for place in np.flatnonzero(work > work.min()).tolist():
        relieved = relieve(float((work[place] - work.min()) / events[place]))
        mine = host & (graph.rank == place)
        lag[mine], dur[mine] = relieved.before_lag[mine], relieved.dur[mine]
        # As long as the quickest one, it holds as much of the profiler's, whatever was recorded of it.
        share = counts[0][quickest] / counts[0][place] if counts[0][place] > 0 else 1.0
        lead[mine], own[mine] = share * lead[mine], share * own[mine]
    return replace(graph, before_lag=lag, dur=dur, lead_events=lead, own_events=own)


def with_optimizer(ranks: Sequence[RankTimeline], graph: Graph, relieved: Graph) -> Graph:
    """The graph in which the host's work in the optimizer is as long as it was without the profiler.

    For a step that waits for its host: there the phase holds no waiting. What is as measured holds nothing any more of
    the profiler's.
    """
    lag, dur = graph.before_lag.copy(), graph.dur.copy()
    events = {name: getattr(graph, name).copy() for name in ("lead_events", "own_events", "launched")}
    for place, rank in enumerate(ranks):
        nodes = graph.within(Region.OPTIMIZER) & (graph.rank == place)
        work = float((relieved.before_lag[nodes] + relieved.dur[nodes]).sum()) / graph.steps
        times = rank.times
        plain = times.mean_part_ns("optimizer", times.select(StepPhase.BASELINE)) if times is not None else None
        if plain is None or work <= 0 or (relieved.kind[nodes] == NodeKind.WAIT).any():
            continue
        factor = min(max(plain / work, 1 / MOST_OFF), MOST_OFF)
        lag[nodes], dur[nodes] = relieved.before_lag[nodes] * factor, relieved.dur[nodes] * factor
        for column in events.values():
            column[nodes] = 0
    return replace(graph, before_lag=lag, dur=dur, **events)


def with_longer(ranks: Sequence[RankTimeline], graph: Graph, longer: Mapping[int, float]) -> Graph:
    """The graph in which the host's long stretches between its phases take as much longer as was measured.

    Stretches without a call into the runtime, outside of fetches and the optimizer, of the thread that runs the loop;
    where there are none, or what they would have to grow by is more than the same work may take, nothing changes.

    longer    ns per step, by index of the rank
    """
    lag = graph.before_lag.copy()
    for place, ns in longer.items():
        events = ranks[place].events
        assert events is not None
        mine = graph.on_host & (graph.rank == place)
        marks = mine & (graph.kind == NodeKind.MARK)
        lanes = np.where(graph.row >= 0, events.lane[np.maximum(graph.row, 0)], -1)
        own = lanes[mine & (graph.region == Region.OPTIMIZER) & ~marks]
        loop = marks | (mine & (lanes == np.bincount(own).argmax()) if own.size else marks)
        long = loop & np.isin(graph.region, (Region.OTHER, Region.ZERO_GRAD)) & (lag >= LONG_NS)
        spent = float(lag[long].sum())
        wanted = ns * graph.steps
        if 0 < wanted <= (MOST_LONGER - 1) * spent:
            lag[long] *= 1 + wanted / spent
    return replace(graph, before_lag=lag)
