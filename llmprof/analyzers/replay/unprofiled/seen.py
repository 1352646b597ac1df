"""What did the unprofiled steps show of host and device? Evidence that the mean step does not hold.

A step tells its length, and that alone fits a late host as well as a late device. The recorder measures two things
beside it: whether the device had run dry when the next batch was there, and how long the host took for its phases. The
trace itself tells what the profiler usually costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmprof.analyzers.facts.pace.between import IDLE_SHARE, idle_share
from llmprof.analyzers.replay.graph.graph import Graph, NodeKind, Region
from llmprof.analyzers.replay.unprofiled.early import PARTS, QUICK, early_costs, shrunk
from llmprof.analyzers.replay.unprofiled.event_cost import USUAL_COST_NS, usual_cost_ns
from llmprof.timeline.steps import StepPhase
from llmprof.timeline.timeline import RankTimeline

__all__ = ["Seen", "evened", "seen_of", "with_longer", "with_optimizer"]

_BUSY_SHARE = 0.1
_SAME_PROGRAM = 0.02
_SAME_PHASES = 0.05
"""Ranks that launch as much work or make as many calls, and whose host took as long without the profiler, run the same
program: closer than means of some tens of steps are to each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the unprofiled steps showed.

    usual_cost_ns    what the profiler costs an event by the trace alone
    idle_share       of the host's time in fetches, how much the device was idle; None where it was not measured
    least_cost_ns    what the profiler cost an event at least, as far as the length of the host's phases tells
    quick_cost_ns    the same by the quickest quarter of the phases: where the device is busy, the others wait for it
    early_cost_ns    least, usual and most if the host is as quick as in the steps in which it got ahead of the device,
                     where that is busy; None where it never did
    """

    usual_cost_ns: float = USUAL_COST_NS
    idle_share: float | None = None
    least_cost_ns: float = 0.0
    quick_cost_ns: float = 0.0
    early_cost_ns: tuple[float, float, float] | None = None

    @property
    def surely_cost_ns(self) -> float:
        """What an event cost at least, by everything that was seen."""
        return max(self.least_cost_ns, 0.0 if self.early_cost_ns is None else self.early_cost_ns[0])

    @property
    def host_late(self) -> bool:
        """Whether the device ran dry, so that the step waits for its host."""
        return self.idle_share is not None and self.idle_share > IDLE_SHARE

    @property
    def device_busy(self) -> bool:
        """Whether the device still had work when the next step began."""
        return self.idle_share is not None and self.idle_share < _BUSY_SHARE


def seen_of(
    ranks: Sequence[RankTimeline],
    graph: Graph,
    relieve: Callable[[float], Graph],
    most_cost_ns: float,
    locked: Mapping[int, float] | None = None,
) -> Seen:
    """Look at the unprofiled steps of these ranks; the one that is least sure counts.

    relieve    the graph without so many ns a recorded event
    locked     by index of the rank, ns per step that another thread holds Python's lock for
    """
    shares, costs, quick, early = [], [], [], []
    for place, rank in enumerate(ranks):
        share = idle_share(rank.times)
        if share is not None:
            shares.append(share)
        costs.append(_least_cost(rank, graph, place, relieve, most_cost_ns))
        quick.append(_least_cost(rank, graph, place, relieve, most_cost_ns, QUICK))
        early.append(early_costs(rank, graph, place, relieve, most_cost_ns, (locked or {}).get(place, 0.0)))
    least, quickest = min(costs, default=0.0), min(quick, default=0.0)
    events = [rank.events for rank in ranks if rank.events is not None]
    ahead = max(shares, default=1.0) < _BUSY_SHARE
    return Seen(
        usual_cost_ns=min(map(usual_cost_ns, events), default=USUAL_COST_NS),
        idle_share=max(shares, default=None),
        least_cost_ns=least,
        quick_cost_ns=quickest,
        early_cost_ns=_slowest(early) if ahead else None,
    )


def _slowest(some: Sequence[tuple[float, float, float] | None]) -> tuple[float, float, float] | None:
    """The rank whose host is the last one; None where one was not seen."""
    known = [one for one in some if one is not None]
    return min(known, key=lambda costs: costs[1]) if known and len(known) == len(some) else None


def evened(ranks: Sequence[RankTimeline], graph: Graph, relieve: Callable[[float], Graph]) -> Graph:
    """The graph in which ranks that run the same program have hosts of the same length.

    A profiler does not burden all ranks alike, and all wait for the one that it burdens most. Where the unprofiled
    phases of the ranks are the same, what a host is longer than the quickest one is the profiler's.
    """
    host = graph.on_host
    phases = np.array([sum(known) for rank in ranks if (known := _phases(rank, StepPhase.BASELINE)) is not None])
    if len(ranks) < 2 or phases.size < len(ranks):
        return graph
    work = np.bincount(graph.rank[host], (graph.before_lag + graph.dur)[host], len(ranks))
    events = np.bincount(graph.rank[host], (graph.lead_events + graph.own_events + 3 * graph.launched)[host])
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


MOST_OFF = 1.5
"""A phase that differs more from its recording than this was not the same phase."""


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


LONG_NS = 1_000_000.0
MOST_LONGER = 3.0
"""Work that takes so many times as long as recorded is not the same work: a program that shares its core with another
one runs at half its pace, and caches and clocks are shared as well (assumption)."""


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


def _phases(rank: RankTimeline, phase: StepPhase, quick: float | None = None) -> list[float] | None:
    """Mean host time of forward, backward and optimizer in the steps of a phase; None where one was not measured.

    quick    not the mean, but what so large a share of the steps needs at most
    """
    if rank.times is None:
        return None
    rows = rank.times.select(phase)
    if quick is not None:
        columns = [rank.times.parts[name][rows] for name in PARTS if name in rank.times.parts]
        quickest = [float(np.quantile(column[column > 0], quick)) for column in columns if (column > 0).any()]
        return quickest if len(quickest) == len(PARTS) else None
    known = [part for name in PARTS if (part := rank.times.mean_part_ns(name, rows))]
    return known if len(known) == len(PARTS) else None


def _least_cost(
    rank: RankTimeline,
    graph: Graph,
    place: int,
    relieve: Callable[[float], Graph],
    most_cost_ns: float,
    quick: float | None = None,
) -> float:
    """The cost with which the host's work shrinks as its phases did without the profiler: forward, backward, and all.

    A phase that waits for a full queue is longer than the host's work: the true cost may be higher, never lower.
    """
    mine = graph.on_host & (graph.rank == place)
    calls = np.flatnonzero(mine & (graph.kind == NodeKind.CALL))
    plain, traced = _phases(rank, StepPhase.BASELINE, quick), _phases(rank, StepPhase.TRACED)
    if rank.events is None or not calls.size or plain is None or traced is None:
        return 0.0
    lanes, region = rank.events.lane[graph.row[calls]], graph.region[calls]
    optimizing = lanes[region == Region.OPTIMIZER]
    found = [shrunk(np.flatnonzero(mine), sum(plain) / sum(traced), relieve, most_cost_ns)]
    if optimizing.size:
        forward = calls[(lanes == np.bincount(optimizing).argmax()) & (region == Region.OTHER)]
        found.append(shrunk(forward, plain[0] / traced[0], relieve, most_cost_ns))
        backward = calls[lanes != np.bincount(optimizing).argmax()]
        found.append(shrunk(backward, plain[1] / traced[1], relieve, most_cost_ns))
    return max(found)
