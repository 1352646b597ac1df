"""How quick is a host that waits for nothing? What unprofiled steps show of it where the device sets the pace.

A host that runs ahead of its device is stopped by the full launch queue, so that its phases are as long as the
device's work. After the queue has run empty (for a logged loss, at the end of a recording) it gets ahead once more, and
for a step or two takes no longer than its own work. What a thread that pins batches takes of the host's time, a lock
that is held once a step in the one phase or the other, the quickest phases of several steps do not hold.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from llmprof.analyzers.facts.loading.given_back import exposed_ns
from llmprof.analyzers.replay.graph.graph import Graph, Index, Int64, NodeKind, Region
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline

__all__ = ["PARTS", "QUICK", "early_costs", "shrunk"]

PARTS = ("forward", "backward", "optimizer")
_UPDATE = "optimizer"
QUICK = 0.25
"""The share of the steps in which a phase waited for nothing, at least: a host that runs ahead of its device is stopped
by a full queue once in a while, and then in one phase of a step. A smaller share is a matter of chance."""
_ALIKE = 0.1
"""Blocks of half a second of a step that waits for its host differ by so much: phases longer than the quickest by no
more were as free as that one."""
_EARLY = 0.8
"""A host whose quickest phases take less than this share of the usual ones waits in the usual ones."""
_HELD_NS = 100_000
"""A sync that takes longer holds the host up; one that does so in every step does so in the quickest as well."""
_TYPICAL = (1.4, 1.15, 0.95)
"""A host over many steps against its quickest phases of a few: most, usual, least. In 41 recordings of llmprof's own
benchmark that wait for their host, its mean was 1.16 times what any six steps show as quickest, in nine of ten of them
1.05 to 1.43 times."""
_HALVINGS = 12


def early_costs(
    rank: RankTimeline,
    graph: Graph,
    place: int,
    relieve: Callable[[float], Graph],
    most_cost_ns: float,
    locked_ns: float = 0.0,
) -> tuple[float, float, float] | None:
    """What the profiler cost an event if the host is as quick as it was seen: least, usual, most.

    None where it was not seen to get ahead of the device, or the device holds it up in every step.

    relieve      the graph without so many ns a recorded event
    locked_ns    ns per step that another thread holds Python's lock for
    """
    mine = graph.on_host & (graph.rank == place)
    held = mine & (graph.kind == NodeKind.WAIT) & (graph.recorded_end - graph.recorded_start > _HELD_NS)
    nodes = np.flatnonzero(mine & (graph.region != Region.FETCH))
    now = float((graph.before_lag + graph.dur)[nodes].sum()) / graph.steps
    free = _free_ns(rank.times)
    if free is None or now <= 0 or int(held.sum()) >= graph.steps:
        return None
    held_up = (locked_ns, exposed_ns(locked_ns, *free), 0.0)
    works = [many * sum(free) + more for many, more in zip(_TYPICAL, held_up, strict=True)]
    least, usual, most = (shrunk(nodes, work / now, relieve, most_cost_ns, most_cost_ns) for work in works)
    return least, usual, most


def _free_ns(times: StepTimes | None) -> tuple[float, float] | None:
    """Host time of a step that waits for nothing, without its fetches: beside and in its backward pass.

    None where no step shows it.
    """
    if times is None or not set(PARTS) <= times.parts.keys():
        return None
    plain, unprofiled, begun = _alike(times)
    free, usual, spent = dict.fromkeys(PARTS, 0.0), 0.0, np.zeros(len(times))
    for name in PARTS:
        column = times.parts[name]
        # A gradient scaler skips the first updates until its scale fits; forward and backward leave nothing out.
        quick, known = np.sort(column[unprofiled if name == _UPDATE else begun]), column[plain]
        quick, known = quick[quick > 0], known[known > 0]
        if not known.size:
            return None
        free[name] = float(quick[quick <= (1 + _ALIKE) * quick[0]].mean())
        usual += float(np.median(known))
        spent += np.maximum(column, 0)
    if sum(free.values()) > _EARLY * usual:
        return None
    if "data_wait" in times.parts:
        spent += np.maximum(times.parts["data_wait"], 0)
    # What stands between the phases waits for the device now and then: a logged loss does.
    between = float(np.quantile((times.wall_ns - spent)[plain], QUICK))
    backward = free.pop("backward")
    return sum(free.values()) + max(between, 0.0), backward


def _alike(times: StepTimes) -> tuple[Index, Index, Index]:
    """The steady steps, all unprofiled ones, and these with the first ones of the run, of as many micro-batches.

    The last step of an epoch has fewer micro-batches. What the first steps do beside the others makes them longer, and
    while it lasts the queue runs empty: their quickest phases are as free as any. The very first one is not counted.
    """
    plain = times.select(StepPhase.BASELINE)
    unprofiled = times.select(StepPhase.BASELINE, StepPhase.UNSTEADY, StepPhase.AFTER)
    begun = np.union1d(times.select(StepPhase.WARMUP)[1:], unprofiled)
    micro = times.microbatches
    if micro is None or not plain.size:
        return plain, unprofiled, begun
    usual = np.bincount(np.maximum(micro[plain], 0)).argmax()
    plain, unprofiled, begun = (rows[micro[rows] == usual] for rows in (plain, unprofiled, begun))
    return plain, unprofiled, begun


def shrunk(
    nodes: Int64,
    share: float,
    relieve: Callable[[float], Graph],
    most_cost_ns: float,
    beyond: float = 0.0,
) -> float:
    """The cost an event with which the work of `nodes` shrinks to `share`; 0 where that is no less than now.

    beyond    what is returned where no cost up to `most_cost_ns` does
    """

    def work(cost_ns: float) -> float:
        relieved = relieve(cost_ns)
        return float((relieved.before_lag[nodes] + relieved.dur[nodes]).sum())

    target = work(0.0) * share
    if share >= 1:
        return 0.0
    if work(most_cost_ns) > target:
        return beyond
    low, high = 0.0, most_cost_ns
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if work(middle) > target else (low, middle)
    return low
