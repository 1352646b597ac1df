"""What do slow workers of a pipeline cost? The slowdown against workers that are all alike, and who causes it.

Every operation is given the time that it takes on average (of communication: the median of its transfers), and the
step is replayed; S is what the recorded operations take over that. S of a group of operations is the same with only
those as they were recorded. Two shares of the loss tell what repairing a group would bring: `removed` of the recorded
step, and `added` to the ideal one; they differ where causes overlap ("Understanding Stragglers in Large Model Training
Using What-if Analysis", OSDI 2025, equations 1 to 5).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.pipeline.pipeline_graph import (
    BETWEEN_STAGES,
    COMPUTE,
    PipelineGraph,
    Times,
    graph_of,
    replay,
    rows_of,
    starts_of,
)
from llmprof.errors import InputError
from llmprof.timeline.operations import OperationTable

__all__ = ["TRANSFERRED", "Blame", "StragglerFacts", "straggler_facts", "work_of"]

MOST_RANKS = 8
"""Of so many of the worst ranks it is told what repairing each one alone would bring."""
WORST_SHARE = 0.03
"""The share of workers that M_W repairs (the same publication, equation 5); at least one."""
CLOCK_ERROR_NS = 10_000_000
"""A transfer or a delay that is this far below 0 comes from clocks that disagree, and counts as 0."""
TRANSFERRED = (
    *BETWEEN_STAGES,
    "params-all-gather",
    "grads-reduce-scatter",
    "separate-grads-all-reduce",
    "layernorm-grads-all-reduce",
    "embedding-grads-all-reduce",
    "optimizer-clip-main-grad",
)
"""Kinds that are communication: their ideal is the median, which waiting does not move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """What one group of operations has to do with the loss, as shares of it; they may exceed 1 or be below 0."""

    removed: float | None
    """Of the loss, what goes when these operations were as in the ideal step; None without a loss."""
    added: float | None
    """Of the loss, what comes when only these were as recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StragglerFacts:
    """Mean step times in ns over the recorded steps, and slowdowns as factors."""

    recorded_ns: float
    replayed_ns: float
    """Of the replay without delays between operations."""
    ideal_ns: float
    slowdown: float
    """S: replayed over ideal."""
    replay_error: float
    """Recorded over replayed, minus 1: what delays that the table does not explain add."""
    by_kind: Mapping[str, float] = field(default_factory=dict)
    """S with only this kind of operation as recorded; sends and receives together by direction."""
    by_replica: Mapping[int, float] = field(default_factory=dict)
    by_stage: Mapping[int, float] = field(default_factory=dict)
    by_rank: Mapping[int, float] = field(default_factory=dict)
    """The smaller one of its replica's and its stage's."""
    places: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """(replica, stage) of each rank, counted from 0."""
    blame_by_kind: Mapping[str, Blame] = field(default_factory=dict)
    blame_by_stage: Mapping[int, Blame] = field(default_factory=dict)
    blame_by_rank: Mapping[int, Blame] = field(default_factory=dict)
    """Of the MOST_RANKS worst."""
    balanced_ns: float | None = None
    """The step in which every stage computes for as long as the mean stage does; None with one stage."""
    even_ns: float | None = None
    """The step in which every pass of a worker takes what its passes take on average; None where passes do not pair."""
    pass_correlation: float | None = None
    """How far forward and backward passes of a micro-batch are long together: Pearson's, of what exceeds their worker's
    usual; None where all passes are equally long."""
    worst_ranks: tuple[int, ...] = ()
    worst: Blame = field(default_factory=lambda: Blame(removed=None, added=None))
    """M_W is its `removed`."""
    last_stage: Blame = field(default_factory=lambda: Blame(removed=None, added=None))
    """M_S is its `removed`."""


def straggler_facts(table: OperationTable) -> StragglerFacts:
    """What slow workers cost in a table of whole steps.

    Raises InputError when the table is no pipeline of whole steps, or its schedule is interleaved.
    """
    nodes, rows = rows_of(table)
    graph = graph_of(table, nodes, rows)
    start, end = starts_of(table, rows)
    what_if = _WhatIf(graph, work_of(graph, start, end))
    if what_if.ideal_ns <= 0:
        raise InputError("no operation of the table takes any time; give the recorded durations.")
    kinds = np.array([_direction(kind) for kind, _, _ in nodes])
    stages = np.array([stage for _, _, stage in nodes])
    of_stage = {int(one): (stages == one)[:, None, None] for one in np.unique(stages)}
    of_kind = {str(one): (kinds == one)[:, None, None] for one in np.unique(kinds)}
    by_replica = {one: what_if.slowdown(np.arange(rows.shape[1])[:, None] == one) for one in range(rows.shape[1])}
    by_stage = {one: what_if.slowdown(group) for one, group in of_stage.items()}
    ranks = table.rank[rows[:, :, 0]]
    places = {int(ranks[node, replica]): (replica, int(stages[node])) for node, replica in np.ndindex(ranks.shape)}
    by_rank = {rank: min(by_replica[replica], by_stage[stage]) for rank, (replica, stage) in places.items()}
    order = sorted(by_rank, key=lambda rank: (-by_rank[rank], rank))
    worst = order[: math.ceil(len(by_rank) * WORST_SHARE)]
    recorded = float((end.max(axis=(0, 1)) - start.min(axis=(0, 1))).mean())
    return StragglerFacts(
        recorded_ns=recorded,
        replayed_ns=what_if.replayed_ns,
        ideal_ns=what_if.ideal_ns,
        slowdown=what_if.replayed_ns / what_if.ideal_ns,
        replay_error=recorded / what_if.replayed_ns - 1,
        by_kind={one: what_if.slowdown(group) for one, group in of_kind.items()},
        by_replica=by_replica,
        by_stage=by_stage,
        by_rank=by_rank,
        places=places,
        blame_by_kind={one: what_if.blame(group) for one, group in of_kind.items()},
        blame_by_stage={one: what_if.blame(group) for one, group in of_stage.items()},
        blame_by_rank={one: what_if.blame((ranks == one)[:, :, None]) for one in order[:MOST_RANKS]},
        balanced_ns=what_if.balanced_ns(stages) if len(of_stage) > 1 else None,
        even_ns=what_if.even_ns(),
        pass_correlation=what_if.pass_correlation(),
        worst_ranks=tuple(worst),
        worst=what_if.blame(np.isin(ranks, worst)[:, :, None]),
        last_stage=what_if.blame(of_stage[int(stages.max())]),
    )


class _WhatIf:
    """Replays of a step with some operations as recorded and the others as in the ideal step."""

    def __init__(self, graph: PipelineGraph, work: Times) -> None:
        self._graph, self._work, self._ideal = graph, work, _ideal(graph, work)
        self.replayed_ns = self._mean(work)
        self.ideal_ns = self._mean(self._ideal)

    def slowdown(self, recorded: npt.NDArray[np.bool_]) -> float:
        """S when only the operations in the mask (broadcast to nodes, replicas, steps) are as recorded."""
        return self._mean(np.where(recorded, self._work, self._ideal)) / self.ideal_ns

    def blame(self, group: npt.NDArray[np.bool_]) -> Blame:
        """What the operations in the mask have to do with the loss."""
        loss = self.replayed_ns - self.ideal_ns
        if loss <= 0:
            return Blame(removed=None, added=None)
        removed = self.replayed_ns - self._mean(np.where(group, self._ideal, self._work))
        return Blame(removed=removed / loss, added=(self.slowdown(group) - 1) * self.ideal_ns / loss)

    def balanced_ns(self, stages: npt.NDArray[np.int64]) -> float:
        """The step when layers are moved until all stages compute equally long: what they have is spread, none goes.

        What a stage takes is what its median worker takes, of two the faster one: a slow worker is no heavy stage.
        """
        work = self._work.copy()
        kinds = np.array([kind for kind, _, _ in self._graph.nodes])
        for kind in COMPUTE:
            groups = [one for stage in np.unique(stages) if (one := (kinds == kind) & (stages == stage)).any()]
            own = [statistics.median_low(work[group].mean(axis=(0, 2)).tolist()) for group in groups]
            for group, usual in zip(groups, own, strict=True):
                work[group] *= statistics.fmean(own) / usual if usual > 0 else 1.0
        return self._mean(work)

    def even_ns(self) -> float:
        """The step when the micro-batches of a worker are equally large."""
        work = self._work.copy()
        for group in self._passes():
            work[group] = work[group].mean(axis=(0, 2), keepdims=True)
        return self._mean(work)

    def pass_correlation(self) -> float | None:
        """Pearson's correlation of forward and backward passes of the same micro-batch, over all workers and steps."""
        passes: dict[str, list[Times]] = {kind: [] for kind in COMPUTE}
        for group in self._passes():
            own = self._work[group]  # in order of the micro-batches, as the nodes are sorted
            usual = own.mean(axis=(0, 2), keepdims=True)
            passes[self._graph.nodes[group[0]][0]].append(own / np.where(usual > 0, usual, 1.0) - 1)
        forward, backward = (np.concatenate([one.ravel() for one in some] or [np.empty(0)]) for some in passes.values())
        if forward.size != backward.size or forward.size < 2 or min(forward.std(), backward.std()) == 0:
            return None
        return float(np.corrcoef(forward, backward)[0, 1])

    def _passes(self) -> list[npt.NDArray[np.intp]]:
        """The nodes of each compute kind of each stage, in the order of their micro-batches."""
        places: dict[tuple[str, int], list[int]] = {}
        for place in sorted(range(len(self._graph.nodes)), key=lambda at: self._graph.nodes[at][1]):
            kind, _, stage = self._graph.nodes[place]
            if kind in COMPUTE:
                places.setdefault((kind, stage), []).append(place)
        return [np.array(some) for _, some in sorted(places.items())]

    def _mean(self, work: Times) -> float:
        """Mean step in ns."""
        return float(replay(self._graph, work).max(axis=(0, 1)).mean())


def work_of(graph: PipelineGraph, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> Times:
    """What each operation takes by itself: its duration, of communication from the moment the last member arrived."""
    begin = start.copy()
    for meeting in graph.meetings:
        members = list(meeting)
        if not graph.transfer[members[0]]:
            continue
        common = start[members].max(axis=0)
        begin[members] = common.max(axis=0) if graph.across[members[0]] else common
    work = (end - begin).astype(np.float64)
    work[graph.transfer] = np.where(work[graph.transfer] <= -CLOCK_ERROR_NS, 0.0, work[graph.transfer])
    return work


def _ideal(graph: PipelineGraph, work: Times) -> Times:
    """Every operation as long as its kind takes on average; of communication, in the median."""
    ideal = np.empty_like(work)
    kinds = np.array([kind for kind, _, _ in graph.nodes])
    for kind in np.unique(kinds).tolist():
        chosen = kinds == kind
        values = work[chosen]
        ideal[chosen] = np.median(values) if kind in TRANSFERRED else values.mean()
    return ideal


def _direction(kind: str) -> str:
    return kind.split("-")[0] + "-pp-comm" if kind in BETWEEN_STAGES else kind
