"""When would everything happen? The longest path through the graph, round after round of the traced steps."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.replay.graph.chains import ends_of
from llmprof.analyzers.replay.graph.graph import Float64, Graph

__all__ = ["FAITHFUL", "ROUNDS", "Replayed", "replay"]

FAITHFUL = 0.05
"""A replay that misses the step by more than this promises nothing (the published replays claim 1 to 6 %)."""
ROUNDS = 2
"""The first fills queues and streams, the last is looked at."""


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
    end = ends_of(graph, rounds)
    return Replayed(graph=graph, start_ns=end - graph.dur, end_ns=end)
