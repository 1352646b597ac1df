"""Can the run be replayed, and how well? The scenario of the unprofiled step, with its fidelity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from llmprof.analyzers.diagnosis import Sharing
from llmprof.analyzers.facts.communication.interference import (
    UNSEEN,
    UNSEEN_SLOW,
    Interference,
    assumed,
    interference_of,
)
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.pace.steady import steady
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.analyzers.replay.feeds import Feed, feed_of, without_waits
from llmprof.analyzers.replay.graph.build import ALL_EDGES, Edges, build
from llmprof.analyzers.replay.graph.graph import Graph
from llmprof.analyzers.replay.graph.join import join
from llmprof.analyzers.replay.graph.meetings import meetings_of
from llmprof.analyzers.replay.graph.replay import FAITHFUL, Replayed, replay
from llmprof.analyzers.replay.scenario import Outcome, Scenario, contended, run
from llmprof.analyzers.replay.unprofiled.beside import collections_ns_of, epochs_ns_of, given_back_ns, stalls_ns_of
from llmprof.analyzers.replay.unprofiled.distortion import Distortion, fit, relieved
from llmprof.analyzers.replay.unprofiled.explained import explained, less_crowded, target_of
from llmprof.analyzers.replay.unprofiled.first_step import without_first_pauses
from llmprof.analyzers.replay.unprofiled.garbage import without_collections
from llmprof.analyzers.replay.unprofiled.rare_syncs import without_rare_syncs
from llmprof.timeline.timeline import RankTimeline, Timeline
from llmprof.units import format_count

__all__ = ["MOST_RANKS", "Model", "model_of", "sharing_of"]

MOST_RANKS = 7
MOST_NODES = 300_000
"""Ranks, and nodes of all of them, that are replayed together; beyond, the critical rank is replayed alone. A graph of
this size takes a third of a second a replay, and a diagnosis makes some thirty of them."""
FAST_BYTES_PER_S = 64e9
"""What PCIe 5.0 moves in one direction with 16 lanes (PCI-SIG): a faster link is NVLink."""
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
    rival             the other way to explain the unprofiled step, when what was seen of it does not decide:
                      collectives that are slower than recorded instead of a host that is late
    waited_ns         of the unprofiled step, what was measured as waiting for worker processes: the graph, which holds
                      none of it, has to come to the rest; 0 where that is little, or several ranks are replayed
    step_ns           the measured mean step; stalls_ns of it are checkpoints, evaluations, garbage collections and (of
                      it again: epochs_ns) starts of epochs that no traced step has
    interference      what work costs beside other work, learned from all ranks that were recorded; where nothing shows
                      it, it is assumed, and may be the other one
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
    epochs_ns: float = 0.0
    waited_ns: float = 0.0
    rival: Scenario | None = None
    interference: Interference = field(default_factory=Interference)
    other_interference: tuple[Interference, ...] = ()

    @property
    def usual(self) -> Scenario | None:
        """The step with the loads of the whole run; None where the measured wait is not that of a few by chance.

        What a fix brings is read off this one: in it slow batches are as rare as they are.
        """
        feeds = {place: feed.usual for place, feed in self.scenario.feeds.items()}
        return None if feeds == self.scenario.feeds else replace(self.scenario, feeds=feeds)

    def believing(self, distortion: Distortion) -> Scenario:
        """The unprofiled step if the profiler cost this."""
        found = Scenario(graph=relieved(self.fed, distortion), feeds=self.scenario.feeds)
        return contended(found, self.ranks, self.interference)

    def sharing_otherwise(self) -> list[Scenario]:
        """The unprofiled step with what work may cost beside other work instead."""
        alone = replace(self.scenario, contention=None)
        return [contended(alone, self.ranks, other) for other in self.other_interference]

    def refit(self, launch_weight: float) -> Distortion:
        """What the profiler cost if a launch counts as so many events, and the host was slowed by nothing else."""
        predict, target_ns = target_of(self.scenario.feeds, self.step_ns - self.stalls_ns, self.waited_ns)
        return fit(self.fed, target_ns, predict, launch_weight, by_events=True)

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
    critical = facts.critical
    if critical.traced is None or critical.windows is None:
        return "no step of the critical rank was traced"
    if critical.traced.cpu_only:
        return "training runs on the CPU, where nothing overlaps that a replay could move"
    recorded = _recorded(timeline, facts, edges, most_nodes)
    if isinstance(recorded, str):
        return recorded
    ranks, traced, (learned, *others) = recorded
    identity = _identity(replay(traced.opened(), rounds=1), critical.windows, traced.ranks.index(critical.rank))
    epochs_ns = epochs_ns_of(critical)
    even, stalls_ns = _apart(traced, ranks, facts)
    step_ns = facts.step.mean_ns - stalls_ns
    feeds = _feeds(traced, facts, step_ns)
    fed = without_waits(without_rare_syncs(without_first_pauses(even), ranks, facts), feeds)
    given_back = given_back_ns(fed, feeds, step_ns, stalls_ns - epochs_ns)
    stalls_ns, step_ns = stalls_ns - given_back, step_ns + given_back
    distortion, rival = Distortion(error=run(Scenario(graph=fed, feeds=feeds)).step_ns / step_ns - 1), None
    waited_ns = _waited(critical, step_ns) if feeds and len(ranks) == 1 else 0.0
    if undistort and facts.step.basis == "unprofiled":
        explain = partial(explained, ranks, facts, step_ns=step_ns, feeds=feeds, waited_ns=waited_ns)
        fed, distortion, rival = less_crowded(ranks, fed, explain, learned)
    scenario = contended(Scenario(graph=relieved(fed, distortion), feeds=feeds), ranks, learned)
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
        epochs_ns=epochs_ns,
        waited_ns=waited_ns,
        rival=None if rival is None else contended(Scenario(graph=relieved(fed, rival), feeds=feeds), ranks, learned),
        interference=learned,
        other_interference=tuple(others),
    )


def _recorded(
    timeline: Timeline, facts: Facts, edges: Edges, most_nodes: int
) -> tuple[tuple[RankTimeline, ...], Graph, list[Interference]] | str:
    """The ranks that are replayed, their traced steps, and what sharing the device costs; or why there is no replay."""
    ranks = tuple(steady(rank) for rank in timeline.ranks if rank.events is not None and rank.rank in facts.ranks)
    critical = facts.critical
    if len(facts.ranks) > MOST_RANKS:
        ranks = tuple(rank for rank in ranks if rank.rank == critical.rank)
    built = {rank.rank: graph for rank in ranks if (graph := build(rank, edges=edges)) is not None}
    if critical.rank not in built:
        return "the recording holds no launches that lead from the host to the device"
    learned = _interference(ranks, critical) if "sharing" in edges else [Interference()]
    ranks, traced = _graph(tuple(rank for rank in ranks if rank.rank in built), built, critical.rank, most_nodes)
    if len(traced) > most_nodes:
        return f"the traced steps hold {format_count(len(traced))} calls and kernels; `llmprof what-if` replays them"
    if not traced.on_device.any():
        return "no work on the device can be linked to its launch"
    return ranks, traced, learned


def _apart(traced: Graph, ranks: Sequence[RankTimeline], facts: Facts) -> tuple[Graph, float]:
    """The graph without what is told from the step times instead, and ns per step of all that lies beside it."""
    critical = facts.critical
    stalls_ns = stalls_ns_of(critical) + epochs_ns_of(critical)
    if critical.traced is None or collections_ns_of(facts) <= 0:
        return traced, stalls_ns
    return without_collections(traced, ranks), stalls_ns + critical.traced.stall_classes.get("gc", 0.0)


def _interference(ranks: Sequence[RankTimeline], critical: RankFacts) -> list[Interference]:
    """What work costs beside other work, and what it may cost instead where nothing shows it."""
    learned = interference_of(ranks)
    collectives = critical.collectives
    rates = [] if collectives is None else [one.best_bus_bytes_per_s or 0.0 for one in collectives.groups]
    if not learned.unseen:
        return [learned]
    factors = UNSEEN if max(rates, default=0.0) >= FAST_BYTES_PER_S else UNSEEN_SLOW
    least, usual, most = (assumed(learned, ranks, factor) for factor in factors)
    return [usual, least, most]


def sharing_of(model: Model) -> Sharing | None:
    """What the model knows of the cost of sharing the device, for a reader; None where it knows nothing."""
    kernels, collectives = model.interference.kernels, model.interference.collectives
    if kernels is None and collectives is None:
        return None
    return Sharing(
        kernels=None if kernels is None else kernels.factor,
        kernel_pairs=0 if kernels is None else kernels.pairs,
        collectives=None if collectives is None else collectives.factor,
        collective_pairs=0 if collectives is None else collectives.pairs,
    )


def _waited(rank: RankFacts, step_ns: float) -> float:
    waited = rank.partition.detail.get("wait", 0.0) - epochs_ns_of(rank) if rank.partition is not None else 0.0
    return waited if waited > WAITED_SHARE * step_ns else 0.0


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


def _feeds(traced: Graph, facts: Facts, step_ns: float) -> dict[int, Feed]:
    """The loaders with workers, by index of the rank."""
    return {
        place: _paced(feed, facts.ranks[number], step_ns)
        for place, number in enumerate(traced.ranks)
        if (feed := feed_of(facts.ranks[number].loader, traced, place)) is not None
    }


def _paced(feed: Feed, rank: RankFacts, step_ns: float) -> Feed:
    """A loader without measured load times for which the device had to wait: it allows just this step."""
    return replace(feed, limit_ns=step_ns) if not feed.measured and _waited(rank, step_ns) else feed
