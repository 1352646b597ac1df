"""How long is a step in which all this holds? A graph with the loaders that feed its ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from llmprof.analyzers.facts.communication.interference import Interference
from llmprof.analyzers.replay.contention import Contention, contention_of, settled, told_by
from llmprof.analyzers.replay.feeds import Feed
from llmprof.analyzers.replay.graph.graph import Float64, Graph
from llmprof.analyzers.replay.graph.replay import Replayed, replay
from llmprof.timeline.timeline import RankTimeline

__all__ = ["Outcome", "Scenario", "contended", "run"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenario:
    """A graph and, by index of the rank, the loaders with workers that feed it."""

    graph: Graph
    feeds: Mapping[int, Feed] = field(default_factory=dict)
    samples: float = 1.0
    """Samples in a step, against now: the step is told for as many samples as now."""
    contention: Contention | None = None
    """What sharing the device costs, where it was learned; the graph's durations hold what it cost before any fix."""
    spared_ns: float = 0.0
    """Of the stalls that lie beside the graph, what fixes take away."""

    @property
    def work_ns(self) -> Float64:
        """What each node takes with the device to itself."""
        return self.graph.dur if self.contention is None else self.graph.dur * self.contention.alone


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What a scenario comes to: its replay, and the step with the waiting for batches that the graph does not hold."""

    replayed: Replayed
    step_ns: float
    samples: float = 1.0
    spared_ns: float = 0.0

    @property
    def input_wait_ns(self) -> float:
        """What of the step is waiting for worker processes."""
        return self.step_ns - self.replayed.step_ns / self.samples


def run(scenario: Scenario) -> Outcome:
    """Replay a scenario."""
    found = replay(scenario.graph)
    if scenario.contention is not None:
        found = settled(scenario.contention, found)
    own = found.step_ns
    # The loaders of all ranks work at the same time: the slowest of them sets the pace.
    step = max([own, *(feed.step_ns(own) for feed in scenario.feeds.values())])
    step_ns = step / scenario.samples
    return Outcome(replayed=found, step_ns=step_ns, samples=scenario.samples, spared_ns=scenario.spared_ns)


def contended(scenario: Scenario, ranks: Sequence[RankTimeline], learned: Interference) -> Scenario:
    """The scenario in which work that comes to share the device, or no longer does, gets longer or shorter.

    Its own step stays as it is.
    """
    found = contention_of(ranks, scenario.graph, learned)
    return scenario if found is None else replace(scenario, contention=told_by(found, replay(scenario.graph)))
