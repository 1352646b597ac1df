"""What did the unprofiled steps show of host and device? Evidence that the mean step does not hold.

A step tells its length, and that alone fits a late host as well as a late device. The recorder measures two things
beside it: whether the device had run dry when the next batch was there, and how long the host took for its phases. The
trace itself tells what the profiler usually costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llmprof.analyzers.facts.pace.between import IDLE_SHARE, idle_share
from llmprof.analyzers.replay.graph.graph import Graph, NodeKind, Region
from llmprof.analyzers.replay.unprofiled.early import PARTS, QUICK, early_costs, shrunk
from llmprof.analyzers.replay.unprofiled.event_cost import USUAL_COST_NS, usual_cost_ns
from llmprof.timeline.steps import StepPhase
from llmprof.timeline.timeline import RankTimeline

__all__ = ["Seen", "phases_of", "seen_of"]

_BUSY_SHARE = 0.1
"""Of the host's time in fetches: a device that idles for less of it still had work."""


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


def phases_of(rank: RankTimeline, phase: StepPhase, quick: float | None = None) -> list[float] | None:
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
    plain, traced = phases_of(rank, StepPhase.BASELINE, quick), phases_of(rank, StepPhase.TRACED)
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
