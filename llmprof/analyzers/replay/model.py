"""Can the run be replayed, and how well? The scenario of the unprofiled step, with its fidelity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.steps import Windows
from llmprof.analyzers.replay.build import ALL_EDGES, Edges, build
from llmprof.analyzers.replay.distortion import Distortion, fit, relieved
from llmprof.analyzers.replay.graph import Graph
from llmprof.analyzers.replay.join import join, meetings_of
from llmprof.analyzers.replay.replay import Replayed, replay
from llmprof.analyzers.replay.scenario import Feed, Outcome, Scenario, feed_of, run, without_waits
from llmprof.timeline.timeline import RankTimeline, Timeline
from llmprof.units import format_count

__all__ = ["FAITHFUL", "MOST_RANKS", "Model", "model_of"]

FAITHFUL = 0.05
"""A replay that misses the step by more than this promises nothing (the published replays claim 1 to 6 %)."""
MOST_RANKS = 7
MOST_NODES = 300_000
"""Ranks, and nodes of all of them, that are replayed together; beyond, the critical rank is replayed alone. A graph of
this size takes a third of a second a replay, and a diagnosis makes some thirty of them."""
WAITED_SHARE = 0.05
"""A loader for which the device waits this share of the step sets its pace (TensorBoard's and XProf's mark for
input-limited runs)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A run that can be replayed.

    traced            the graph as recorded, profiler and waiting for batches included
    fed               the same without waiting for workers, which make their batches outside of it
    scenario          the unprofiled step; outcome: its replay
    identity_error    replay of the traced graph against the traced steps, a share of these
    step_ns           the measured mean step; stalls_ns of it are checkpoints and evaluations, which no traced step has
    """

    ranks: tuple[RankTimeline, ...]
    traced: Graph
    fed: Graph
    scenario: Scenario
    outcome: Outcome
    distortion: Distortion
    identity_error: float
    step_ns: float
    stalls_ns: float = 0.0

    @property
    def error(self) -> float:
        """The larger of the errors against the traced and against the unprofiled step, as a share, without sign."""
        return max(abs(self.identity_error), abs(self.distortion.error or 0.0))

    @property
    def faithful(self) -> bool:
        """Whether gains may be read off this model."""
        return self.error <= FAITHFUL


def model_of(
    timeline: Timeline,
    facts: Facts,
    *,
    edges: Edges = ALL_EDGES,
    undistort: bool = True,
    most_nodes: int = MOST_NODES,
) -> Model | str:
    """The model of a run, or the reason why it cannot be replayed.

    edges, undistort    what to leave out, to see what it is worth
    most_nodes          larger graphs are not replayed
    """
    ranks = tuple(rank for rank in timeline.ranks if rank.events is not None and rank.rank in facts.ranks)
    critical = facts.critical
    if critical.traced is None or critical.windows is None:
        return "no step of the critical rank was traced"
    if critical.traced.cpu_only:
        return "training runs on the CPU, where nothing overlaps that a replay could move"
    if len(facts.ranks) > MOST_RANKS:
        ranks = tuple(rank for rank in ranks if rank.rank == critical.rank)
    built = {rank.rank: graph for rank in ranks if (graph := build(rank, edges=edges)) is not None}
    if critical.rank not in built:
        return "the recording holds no launches that lead from the host to the device"
    ranks, traced = _graph(tuple(rank for rank in ranks if rank.rank in built), built, critical.rank, most_nodes)
    if len(traced) > most_nodes:
        return f"the traced steps hold {format_count(len(traced))} calls and kernels; `llmprof what-if` replays them"
    if not traced.on_device.any():
        return "no work on the device can be linked to its launch"
    index = traced.ranks.index(critical.rank)
    identity = _identity(replay(traced.opened(), rounds=1), critical.windows, index)
    feeds = {
        place: feed
        for place, number in enumerate(traced.ranks)
        if (feed := feed_of(facts.ranks[number].loader, traced, place)) is not None
    }
    stalls_ns = _stalls(critical)
    step_ns = facts.step.mean_ns - stalls_ns
    feeds = {place: _paced(feed, facts.ranks[traced.ranks[place]], step_ns) for place, feed in feeds.items()}
    fed = without_waits(traced, feeds)
    distortion = Distortion(error=run(Scenario(graph=fed, feeds=feeds)).step_ns / step_ns - 1)
    if undistort and facts.step.basis == "unprofiled":
        distortion = fit(fed, step_ns, lambda graph: run(Scenario(graph=graph, feeds=feeds)).step_ns)
    scenario = Scenario(graph=relieved(fed, distortion), feeds=feeds)
    return Model(
        ranks=ranks,
        traced=traced,
        fed=fed,
        scenario=scenario,
        outcome=run(scenario),
        distortion=distortion,
        identity_error=identity,
        step_ns=facts.step.mean_ns,
        stalls_ns=stalls_ns,
    )


def _stalls(rank: RankFacts) -> float:
    """Ns per step of the stalls that were measured around the counted steps and are not in the traced ones."""
    if rank.partition is None or rank.traced is None:
        return 0.0
    between = ("checkpoint", "evaluation")
    return sum(rank.partition.stall_classes.get(n, 0.0) - rank.traced.stall_classes.get(n, 0.0) for n in between)


def _graph(
    ranks: tuple[RankTimeline, ...], built: Mapping[int, Graph], critical: int, most_nodes: int
) -> tuple[tuple[RankTimeline, ...], Graph]:
    """All ranks with their meetings; the critical rank alone where these cannot be told or are too many."""
    alone = tuple(rank for rank in ranks if rank.rank == critical), built[critical]
    if len(ranks) < 2 or sum(map(len, built.values())) > most_nodes:
        return alone
    graphs = [built[rank.rank] for rank in ranks]
    if len({graph.steps for graph in graphs}) > 1:
        return alone
    meetings = meetings_of(ranks, graphs)
    return alone if meetings is None else (ranks, join(graphs, meetings))


def _identity(replayed: Replayed, windows: Windows, rank: int) -> float:
    """The replayed against the recorded time from the first step to the last end of a step on the device."""
    graph = replayed.graph
    mine = graph.on_device & (graph.rank == rank)
    ends = np.zeros(graph.steps)
    np.maximum.at(ends, graph.step[mine], replayed.end_ns[-1][mine])
    if len(windows) == graph.steps and graph.steps > 1 and (ends > 0).all():
        return float(ends[-1] - ends[0]) / float(windows.end_ns[-1] - windows.end_ns[0]) - 1
    first = int(graph.recorded_start[graph.on_host & (graph.rank == rank)].min())
    late = graph.begin_ns[rank] - min(graph.begin_ns)
    return float(ends.max() - late) / float(windows.end_ns[-1] - first) - 1


def _paced(feed: Feed, rank: RankFacts, step_ns: float) -> Feed:
    """A loader without measured load times for which the device had to wait: it allows just this step."""
    if feed.loads_ns and feed.workers:
        return feed
    exposed = rank.partition.detail.get("wait", 0.0) if rank.partition is not None else 0.0
    return replace(feed, limit_ns=step_ns) if exposed > WAITED_SHARE * step_ns else feed
