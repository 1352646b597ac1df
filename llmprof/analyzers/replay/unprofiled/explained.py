"""What leads from the traced steps to the unprofiled one: the profiler's cost, a slower host, or a slower device?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from llmprof.analyzers.facts.communication.interference import Interference
from llmprof.analyzers.facts.loading.given_back import locked_ns
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.partition.correction import MAX_COST_NS
from llmprof.analyzers.replay.contention import contention_of, settled, told_by
from llmprof.analyzers.replay.feeds import Feed
from llmprof.analyzers.replay.graph.graph import Graph, NodeKind
from llmprof.analyzers.replay.graph.replay import FAITHFUL, replay
from llmprof.analyzers.replay.scenario import Scenario, run
from llmprof.analyzers.replay.unprofiled.distortion import (
    MOST_SLOWER,
    MOST_SLOWER_HOST,
    Distortion,
    fit,
    relieved,
    slower_device,
)
from llmprof.analyzers.replay.unprofiled.measured_host import evened, with_longer, with_optimizer
from llmprof.analyzers.replay.unprofiled.seen import Seen, seen_of
from llmprof.timeline.timeline import RankTimeline

__all__ = ["Explained", "explained", "less_crowded", "target_of"]

SHORT = 0.01
"""A replay that is shorter than the step by more than this, although its host is as slow as under the profiler, lacks
something of the device, where the device was seen to be busy."""


class Explained(NamedTuple):
    """The graph with the host's work as unprofiled steps measured it, what the rest was distorted by, and the rival.

    rival    the other explanation, where nothing decides
    """

    fed: Graph
    distortion: Distortion
    rival: Distortion | None = None


def explained(
    ranks: tuple[RankTimeline, ...],
    facts: Facts,
    fed: Graph,
    *,
    step_ns: float,
    feeds: Mapping[int, Feed],
    waited_ns: float,
) -> Explained:
    """What leads from this graph to the unprofiled step of `step_ns`.

    waited_ns    of the step, what was measured as waiting for worker processes
    """
    later = {place: ns for place, rank in enumerate(ranks) if (ns := facts.ranks[rank.rank].longer_ns) > 0}
    locked = {place: locked_ns(facts.ranks[rank.rank]) for place, rank in enumerate(ranks)}
    fed = evened(ranks, fed, _relief(fed))
    predict, target_ns = target_of(feeds, step_ns, waited_ns)
    seen = seen_of(ranks, fed, _relief(fed), MAX_COST_NS, locked)
    if later and predict(fed) < (1 - SHORT) * target_ns:
        fed = with_longer(ranks, fed, later)
    found = fit(fed, target_ns, predict, seen=seen)
    if found.fitted and seen.host_late:
        fed = with_optimizer(ranks, fed, relieved(fed, found))
        found = fit(fed, target_ns, predict, seen=seen)
    if waited_ns:
        whole = run(Scenario(graph=relieved(fed, found), feeds=feeds)).step_ns
        return Explained(fed, replace(found, error=whole / step_ns - 1))
    if (found.fitted and found.range_ns is not None) or seen.host_late:
        return Explained(fed, found)
    return _or_by_its_device(fed, found, seen, step_ns, predict)


def _or_by_its_device(
    fed: Graph, found: Distortion, seen: Seen, step_ns: float, predict: Callable[[Graph], float]
) -> Explained:
    """A slower device instead of, or beside, what the host explains: for a host that was not seen to be late."""
    # A step longer than its host and its device as recorded has no late host (without collectives it had pauses), nor
    # has one with a busy device whose host took less time than a late one would need.
    collectives = bool((fed.kind == NodeKind.MEETING).any())
    longer = collectives and not found.fitted and (found.error or 0.0) < (-SHORT if seen.device_busy else -FAITHFUL)
    early = longer or (found.fitted and seen.device_busy and found.cost_ns < (1 - FAITHFUL) * seen.surely_cost_ns)
    if not early and not (found.fitted and collectives):
        return Explained(fed, found)
    usual = max(seen.usual_cost_ns, seen.quick_cost_ns) if early else 2 * seen.usual_cost_ns
    # A device that was seen to be busy may have been slower by as much as a host is believed to have been.
    most = MOST_SLOWER_HOST if seen.device_busy else MOST_SLOWER
    other = slower_device(fed, step_ns, predict, seen, cost_ns=usual, most=most)
    if other is None and early and seen.device_busy:
        # Collectives are too short to explain it; clocks are lower where the device never rests.
        other = slower_device(fed, step_ns, predict, seen, cost_ns=usual, whole=True)
    return Explained(fed, other) if other is not None and early else Explained(fed, found, other)


def less_crowded(
    ranks: Sequence[RankTimeline],
    traced: Graph,
    explain: Callable[[Graph], Explained],
    learned: Interference,
) -> Explained:
    """What explains the unprofiled step, with the device's work as long as it takes beside what then runs beside it.

    The profiler delays ranks by different times, and the rank that comes first holds multiprocessors while it waits:
    its kernels beside a waiting collective are recorded longer than they are. A step that stays longer than the
    unprofiled one, whatever the host is believed to pay less, is explained by that where it was learned.
    """
    found = explain(traced)
    sharing = contention_of(ranks, traced, learned)
    if (found.distortion.error or 0.0) <= SHORT or sharing is None:
        return found
    now = settled(told_by(sharing, replay(traced)), replay(relieved(found.fed, found.distortion))).graph
    dur = np.where(traced.on_device, now.dur, traced.dur)
    lag = np.where(traced.on_device, now.before_lag, traced.before_lag)
    other = explain(replace(traced, dur=dur, before_lag=lag))
    return min(found, other, key=lambda one: abs(one.distortion.error or 0.0))


def target_of(feeds: Mapping[int, Feed], step_ns: float, waited_ns: float) -> tuple[Callable[[Graph], float], float]:
    """What is fitted, and to what: the step with its loaders, or the step without the wait for them."""
    if not waited_ns:
        return lambda graph: run(Scenario(graph=graph, feeds=feeds)).step_ns, step_ns
    received = sum(feed.hand_over_ns * feed.fetches for feed in feeds.values())
    return lambda graph: replay(graph).step_ns, step_ns - waited_ns + received


def _relief(graph: Graph) -> Callable[[float], Graph]:
    return lambda cost_ns: relieved(graph, Distortion(cost_ns=cost_ns))
