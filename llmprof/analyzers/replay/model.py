"""Can the run be replayed, and how well? The scenario of the unprofiled step, with its fidelity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from llmprof.analyzers.facts.loading.given_back import locked_ns
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.pace.steady import steady
from llmprof.analyzers.facts.partition.correction import MAX_COST_NS
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.analyzers.replay.contention import contention_of, settled, told_by
from llmprof.analyzers.replay.graph.build import ALL_EDGES, Edges, build
from llmprof.analyzers.replay.graph.graph import Graph, NodeKind
from llmprof.analyzers.replay.graph.join import join, meetings_of
from llmprof.analyzers.replay.graph.replay import Replayed, replay
from llmprof.analyzers.replay.scenario import Feed, Outcome, Scenario, contended, feed_of, run, without_waits
from llmprof.analyzers.replay.unprofiled.beside import collections_ns_of, epochs_ns_of, given_back_ns, stalls_ns_of
from llmprof.analyzers.replay.unprofiled.distortion import (
    MOST_SLOWER,
    MOST_SLOWER_HOST,
    Distortion,
    fit,
    relieved,
    slower_device,
)
from llmprof.analyzers.replay.unprofiled.first_step import without_first_pauses
from llmprof.analyzers.replay.unprofiled.garbage import without_collections
from llmprof.analyzers.replay.unprofiled.rare_syncs import without_rare_syncs
from llmprof.analyzers.replay.unprofiled.seen import evened, seen_of, with_longer, with_optimizer
from llmprof.timeline.timeline import RankTimeline, Timeline
from llmprof.units import format_count

__all__ = ["FAITHFUL", "MOST_RANKS", "Model", "model_of", "sharing_of"]

FAITHFUL = 0.05
"""A replay that misses the step by more than this promises nothing (the published replays claim 1 to 6 %)."""
MOST_RANKS = 7
MOST_NODES = 300_000
"""Ranks, and nodes of all of them, that are replayed together; beyond, the critical rank is replayed alone. A graph of
this size takes a third of a second a replay, and a diagnosis makes some thirty of them."""
FAST_BYTES_PER_S = 64e9
"""What PCIe 5.0 moves in one direction with 16 lanes (PCI-SIG): a faster link is NVLink."""
WAITED_SHARE = 0.05
"""A loader for which the device waits this share of the step sets its pace (TensorBoard's and XProf's mark for
input-limited runs)."""
SHORT = 0.01
"""A replay that is shorter than the step by more than this, although its host is as slow as under the profiler, lacks
something of the device, where the device was seen to be busy."""


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
        predict, target_ns = _target(self.scenario.feeds, self.step_ns - self.stalls_ns, self.waited_ns)
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
    ranks = tuple(steady(rank) for rank in timeline.ranks if rank.events is not None and rank.rank in facts.ranks)
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
    learned, *others = _interference(ranks, critical) if "sharing" in edges else [Interference()]
    ranks, traced = _graph(tuple(rank for rank in ranks if rank.rank in built), built, critical.rank, most_nodes)
    if len(traced) > most_nodes:
        return f"the traced steps hold {format_count(len(traced))} calls and kernels; `llmprof what-if` replays them"
    if not traced.on_device.any():
        return "no work on the device can be linked to its launch"
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
        explain = partial(_explained, ranks, facts, step_ns=step_ns, feeds=feeds, waited_ns=waited_ns)
        fed, distortion, rival = _less_crowded(ranks, fed, explain, learned)
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


def _explained(
    ranks: tuple[RankTimeline, ...],
    facts: Facts,
    fed: Graph,
    step_ns: float,
    feeds: Mapping[int, Feed],
    waited_ns: float,
) -> tuple[Graph, Distortion, Distortion | None]:
    """What leads from the traced to the unprofiled step, from which graph, and the other explanation, if any."""
    later = _later(ranks, facts)
    locked = {place: locked_ns(facts.ranks[rank.rank]) for place, rank in enumerate(ranks)}
    fed = evened(ranks, fed, _relief(fed))
    predict, target_ns = _target(feeds, step_ns, waited_ns)
    seen = seen_of(ranks, fed, _relief(fed), MAX_COST_NS, locked)
    if later and predict(fed) < (1 - SHORT) * target_ns:
        fed = with_longer(ranks, fed, later)
    found = fit(fed, target_ns, predict, seen=seen)
    if found.fitted and seen.host_late:
        fed = with_optimizer(ranks, fed, relieved(fed, found))
        found = fit(fed, target_ns, predict, seen=seen)
    if waited_ns:
        whole = run(Scenario(graph=relieved(fed, found), feeds=feeds)).step_ns
        return fed, replace(found, error=whole / step_ns - 1), None
    if (found.fitted and found.range_ns is not None) or seen.host_late:
        return fed, found, None
    # A step longer than its host and its device as recorded has no late host (without collectives it had pauses), nor
    # has one with a busy device whose host took less time than a late one would need.
    collectives = bool((fed.kind == NodeKind.MEETING).any())
    longer = collectives and not found.fitted and (found.error or 0.0) < (-SHORT if seen.device_busy else -FAITHFUL)
    early = longer or (found.fitted and seen.device_busy and found.cost_ns < (1 - FAITHFUL) * seen.surely_cost_ns)
    if early or (found.fitted and collectives):
        usual = max(seen.usual_cost_ns, seen.quick_cost_ns) if early else 2 * seen.usual_cost_ns
        # A device that was seen to be busy may have been slower by as much as a host is believed to have been.
        most = MOST_SLOWER_HOST if seen.device_busy else MOST_SLOWER
        other = slower_device(fed, step_ns, predict, seen, cost_ns=usual, most=most)
        if other is None and early and seen.device_busy:
            # Collectives are too short to explain it; clocks are lower where the device never rests.
            other = slower_device(fed, step_ns, predict, seen, cost_ns=usual, whole=True)
        return (fed, other, None) if other is not None and early else (fed, found, other)
    return fed, found, None


def _less_crowded(
    ranks: tuple[RankTimeline, ...],
    traced: Graph,
    explain: Callable[[Graph], tuple[Graph, Distortion, Distortion | None]],
    learned: Interference,
) -> tuple[Graph, Distortion, Distortion | None]:
    """What explains the unprofiled step, with the device's work as long as it takes beside what then runs beside it.

    The profiler delays ranks by different times, and the rank that comes first holds multiprocessors while it waits:
    its kernels beside a waiting collective are recorded longer than they are. A step that stays longer than the
    unprofiled one, whatever the host is believed to pay less, is explained by that where it was learned.
    """
    found = explain(traced)
    sharing = contention_of(ranks, traced, learned)
    if (found[1].error or 0.0) <= SHORT or sharing is None:
        return found
    now = settled(told_by(sharing, replay(traced)), replay(relieved(found[0], found[1]))).graph
    dur = np.where(traced.on_device, now.dur, traced.dur)
    lag = np.where(traced.on_device, now.before_lag, traced.before_lag)
    other = explain(replace(traced, dur=dur, before_lag=lag))
    return min(found, other, key=lambda one: abs(one[1].error or 0.0))


def _later(ranks: Sequence[RankTimeline], facts: Facts) -> dict[int, float]:
    """By index of the rank, ns per step that its host was seen to take longer between its phases."""
    return {place: ns for place, rank in enumerate(ranks) if (ns := facts.ranks[rank.rank].longer_ns) > 0}


def _target(feeds: Mapping[int, Feed], step_ns: float, waited_ns: float) -> tuple[Callable[[Graph], float], float]:
    """What is fitted, and to what: the step with its loaders, or the step without the wait for them."""
    if not waited_ns:
        return lambda graph: run(Scenario(graph=graph, feeds=feeds)).step_ns, step_ns
    received = sum(feed.hand_over_ns * feed.fetches for feed in feeds.values())
    return lambda graph: replay(graph).step_ns, step_ns - waited_ns + received


def _waited(rank: RankFacts, step_ns: float) -> float:
    waited = rank.partition.detail.get("wait", 0.0) - epochs_ns_of(rank) if rank.partition is not None else 0.0
    return waited if waited > WAITED_SHARE * step_ns else 0.0


def _relief(graph: Graph) -> Callable[[float], Graph]:
    return lambda cost_ns: relieved(graph, Distortion(cost_ns=cost_ns))


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
    if feed.loads_ns and feed.workers:
        return feed
    return replace(feed, limit_ns=step_ns) if _waited(rank, step_ns) else feed
