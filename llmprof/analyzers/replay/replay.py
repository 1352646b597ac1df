"""When would everything happen? The longest path through the graph, round after round of the traced steps.

The nodes stand in topological order, so one walk over them suffices. It is a plain loop over lists: about a third of a
microsecond a node, which no array operation can do, since each end depends on the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from llmprof.analyzers.replay.graph import NO_REF, Float64, Graph, Int64

__all__ = ["ROUNDS", "Replayed", "replay"]

ROUNDS = 2
"""The first fills queues and streams, the last is looked at."""
_LAST = (-1, 0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replayed:
    """Start and end of each node in each round, shape (rounds, nodes), float ns."""

    graph: Graph
    start_ns: Float64
    end_ns: Float64

    @property
    def step_ns(self) -> float:
        """Mean step of the last round: the distance of the last work of two rounds, over the steps of a round."""
        last = self._last()
        return float(last[-1] - last[-2]) / self.graph.steps

    def _last(self) -> Float64:
        device = self.graph.on_device
        # The device's work ends a step; of a run without any, its host.
        ends = self.end_ns[:, device] if device.any() else self.end_ns
        result: Float64 = ends.max(axis=1)
        return result


def replay(graph: Graph, rounds: int = ROUNDS) -> Replayed:
    """Replay `rounds` rounds of the traced steps, starting with an idle device; a step is told from 2 rounds on."""
    n = len(graph)
    ends = [0.0]
    lengths = _Lengths(*(column.tolist() for column in (graph.before_lag, graph.cause_lag, graph.dur, graph.extra_lag)))
    for number in range(rounds):
        _round(graph, lengths, ends, 1 + number * n)
    end = np.array(ends[1:], dtype=np.float64).reshape(rounds, n)
    return Replayed(graph=graph, start_ns=end - graph.dur, end_ns=end)


class _Lengths(NamedTuple):
    """The times of all nodes and edges, which are the same in every round."""

    before: list[float]
    cause: list[float]
    dur: list[float]
    extra: list[float]


def _round(graph: Graph, lengths: _Lengths, ends: list[float], base: int) -> None:
    """Append the end of every node of one round; `base` is the place of its first node."""
    columns = (
        _places(graph.before, base),
        lengths.before,
        _places(graph.cause, base),
        lengths.cause,
        lengths.dur,
    )
    further = zip(graph.extra_to.tolist(), _places(graph.extra_from, base), lengths.extra, strict=True)
    to, source, lag = next(further, _LAST)
    add = ends.append
    for node, (before, before_lag, cause, cause_lag, dur) in enumerate(zip(*columns, strict=True)):
        start = ends[before] + before_lag
        other = ends[cause] + cause_lag
        if other > start:
            start = other
        while node == to:
            other = ends[source] + lag
            if other > start:
                start = other
            to, source, lag = next(further, _LAST)
        add(start + dur)


def _places(reference: Int64, base: int) -> list[int]:
    """Places in the list of ends; what lies before the first round, and nothing, is place 0: the begin, at 0."""
    places = np.where(reference == NO_REF, 0, np.maximum(reference, -base) + base)
    result: list[int] = np.maximum(places, 0).tolist()
    return result
