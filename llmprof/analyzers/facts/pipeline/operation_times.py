"""How does each worker of a pipeline spend its step? The parts of the step, rank by rank, from a table of operations.

Where operations of a worker overlap, one is charged: passes and the optimizer before garbage collection before
transfers before waiting. A transfer begins when its last member has arrived; before that a worker waits: for the other
stages of its replica, whose turn came later (other), then for replicas that are late (skew).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.pipeline.pipeline_graph import graph_of, rows_of, starts_of
from llmprof.analyzers.facts.pipeline.stragglers import TRANSFERRED, work_of
from llmprof.timeline.intervals import Intervals
from llmprof.timeline.operations import OperationTable

__all__ = ["parts_by_rank", "step_lengths"]


def step_lengths(table: OperationTable) -> npt.NDArray[np.float64]:
    """Ns from the first begin to the last end of each step, in their order; shape (steps,)."""
    steps, place = np.unique(table.step, return_inverse=True)
    begin = np.full(steps.size, np.iinfo(np.int64).max)
    end = np.full(steps.size, np.iinfo(np.int64).min)
    np.minimum.at(begin, place, table.start_ns)
    np.maximum.at(end, place, table.start_ns + table.dur_ns)
    result: npt.NDArray[np.float64] = (end - begin).astype(np.float64)
    return result


def parts_by_rank(table: OperationTable) -> Mapping[int, Mapping[str, float]]:
    """Ns per step of compute, stalls, communication, skew and other on each rank, which sum to the mean step.

    Raises InputError as straggler_facts.
    """
    nodes, rows = rows_of(table)
    graph = graph_of(table, nodes, rows)
    start, end = starts_of(table, rows)
    lengths = step_lengths(table)
    # Steps one behind the other, whatever the clock did between them.
    offset = np.cumsum(np.concatenate([[0], lengths[:-1]])).astype(np.int64)
    begin, over = start + offset, end + offset
    arrived = np.clip(np.rint(over - work_of(graph, start, end)).astype(np.int64), begin, over)
    kinds = [kind for kind, _, _ in nodes]
    moved = np.isin(kinds, TRANSFERRED)
    complete = begin.copy()  # when all members of the own replica have arrived
    for meeting in graph.meetings:
        members = list(meeting)
        complete[members] = begin[members].max(axis=0)
    pauses = np.array(kinds) == "gc"
    mean, count = float(lengths.mean()), rows.shape[2]
    ranks = table.rank[rows[:, :, 0]]
    found = {}
    for rank in np.unique(ranks).tolist():
        node, replica = np.nonzero(ranks == rank)

        def spans(of: npt.NDArray[np.bool_], first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> Intervals:
            chosen = of[node]  # noqa: B023 - called in this turn of the loop
            place = (node[chosen], replica[chosen])  # noqa: B023
            return Intervals.of(first[place].ravel(), last[place].ravel())

        free = Intervals.span(0, int(lengths.sum()))
        parts = {}
        for name, span in (
            ("compute", spans(~moved & ~pauses, begin, over)),
            ("stalls", spans(pauses, begin, over)),
            ("communication", spans(moved, arrived, over)),
            ("skew", spans(graph.across, complete, arrived)),
        ):
            parts[name] = (free & span).length / count
            free = free - span
        found[rank] = {**parts, "other": max(mean - sum(parts.values()), 0.0)}
    return found
