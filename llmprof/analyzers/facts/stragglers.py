"""What do slow workers of a pipeline cost? The slowdown against workers that are all alike, and who causes it.

Every operation is given the time that it takes on average (of communication: the median of its transfers), and the
step is replayed; S is what the recorded operations take over that. S of a group of operations is the same with only
those as they were recorded. Two shares of the loss tell what repairing a group would bring: `removed` of the recorded
step, and `added` to the ideal one; they differ where causes overlap ("Understanding Stragglers in Large Model Training
Using What-if Analysis", OSDI 2025, equations 1 to 5).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.pipeline_graph import (
    BETWEEN_STAGES,
    PipelineGraph,
    Times,
    graph_of,
    replay,
    rows_of,
    starts_of,
)
from llmprof.timeline.operations import OperationTable

__all__ = ["Blame", "StragglerFacts", "straggler_facts"]

WORST_SHARE = 0.03
"""The share of workers that M_W repairs (the same publication, equation 5); at least one."""
CLOCK_ERROR_NS = 10_000_000
"""A transfer or a delay that is this far below 0 comes from clocks that disagree, and counts as 0."""
_TRANSFERRED = (
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
    what_if = _WhatIf(graph, _work(graph, start, end))
    kinds = np.array([_direction(kind) for kind, _, _ in nodes])
    stages = np.array([stage for _, _, stage in nodes])
    by_replica = {one: what_if.slowdown(np.arange(rows.shape[1])[:, None] == one) for one in range(rows.shape[1])}
    by_stage = {int(one): what_if.slowdown((stages == one)[:, None, None]) for one in np.unique(stages)}
    ranks = table.rank[rows[:, :, 0]]
    by_rank = {
        int(ranks[node, replica]): min(by_replica[replica], by_stage[int(stages[node])])
        for node, replica in np.ndindex(ranks.shape)
    }
    worst = sorted(by_rank, key=lambda rank: (-by_rank[rank], rank))[: math.ceil(len(by_rank) * WORST_SHARE)]
    recorded = float((end.max(axis=(0, 1)) - start.min(axis=(0, 1))).mean())
    return StragglerFacts(
        recorded_ns=recorded,
        replayed_ns=what_if.replayed_ns,
        ideal_ns=what_if.ideal_ns,
        slowdown=what_if.replayed_ns / what_if.ideal_ns,
        replay_error=recorded / what_if.replayed_ns - 1,
        by_kind={str(one): what_if.slowdown((kinds == one)[:, None, None]) for one in np.unique(kinds)},
        by_replica=by_replica,
        by_stage=by_stage,
        by_rank=by_rank,
        worst_ranks=tuple(worst),
        worst=what_if.blame(np.isin(ranks, worst)[:, :, None]),
        last_stage=what_if.blame((stages == stages.max())[:, None, None]),
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

    def _mean(self, work: Times) -> float:
        """Mean step in ns."""
        return float(replay(self._graph, work).max(axis=(0, 1)).mean())


def _work(graph: PipelineGraph, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> Times:
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
        ideal[chosen] = np.median(values) if kind in _TRANSFERRED else values.mean()
    return ideal


def _direction(kind: str) -> str:
    return kind.split("-")[0] + "-pp-comm" if kind in BETWEEN_STAGES else kind
