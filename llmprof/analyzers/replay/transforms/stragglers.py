"""A slow rank repaired does the work of its peers in their time; one with too much work shares it with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.steps.step_times import device_spread_ns
from llmprof.analyzers.replay.feeds import Feed
from llmprof.analyzers.replay.graph.graph import Float64, Int64, Mask, NodeKind, Region
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject
from llmprof.timeline.events import NONE

__all__ = ["FIXES", "apply", "chance_ns"]

FIXES = ("repair-straggler", "balance-batches")

CLOSURE = (0.75, 1.0, 1.0)
"""The share of the difference to the median rank that is taken away (75 to 100 %, as TraceLens closes gaps)."""

UNEVEN = 0.01
"""Ranks whose work differs by less than this share do the same."""

HEAVIER = 1.1
"""Load times of a few batches differ by some percent among ranks whose samples are alike (assumption)."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario in which no rank is slower than the median of its peers, on the device and at the loader.

    Work that is divided anew does not go away: then no rank computes longer than all do on average. Ranks that come
    late in turn, each with as much work as the others over all steps, get equal work in each step.
    Only at best on the host too: a profiler slows the hosts of equal ranks unequally. Durations become those of the
    peers, and the steps are replayed, as Lin et al. do it (Understanding Stragglers in Large Model Training Using
    What-if Analysis, OSDI 2025); here kernel by kernel, since work that only one rank has stands in one place.
    """
    count = len(subject.ranks)
    if count < 2:
        return "only one rank can be replayed, so there is no peer to compare with"
    graph = scenario.graph
    closure = level.pick(*CLOSURE)
    dur, lag = graph.dur.copy(), graph.before_lag.copy()
    own = graph.kind != NodeKind.MEETING
    changed = False
    host = graph.on_host if level is Level.HIGH else graph.within(Region.FETCH)
    names = _names(subject)
    compute = subject.device & own & ~subject.kind("communication")
    shared = fix == "balance-batches"
    levelled = _levelled(scenario, compute, closure) if shared else None
    if levelled is not None:
        dur, changed = levelled, True
    for nodes in (compute, host) if levelled is None else (host,):
        # A rank that waits at collectives computes beside them, which its peers that come late do not.
        spent = np.where(graph.on_host, dur + lag, scenario.work_ns)
        totals = np.array([spent[nodes & (graph.rank == r)].sum() for r in range(count)])
        # Of two ranks the faster one is the peer.
        usual = float(np.median(totals)) if count > 2 else float(totals.min())
        if shared and nodes is compute:
            usual = _shared(totals, level)
        by_name = np.stack([_sums(names, spent, nodes & (graph.rank == r)) for r in range(count)])
        peers = np.median(by_name, axis=0) if count > 2 else by_name[int(totals.argmin())]
        for place in np.flatnonzero(totals > usual * (1 + UNEVEN)).tolist():
            mine = nodes & (graph.rank == place)
            factor = 1 - closure * (1 - _left(by_name[place], peers, usual)[names[mine]])
            dur[mine] *= factor
            lag[mine] *= np.where(graph.on_host[mine], factor, 1.0)
            changed = True
    feeds = _fed(scenario.feeds, count, closure, shared=shared)
    if not changed and feeds == scenario.feeds:
        return "no rank is slower than its peers"
    return replace(scenario, graph=replace(graph, dur=dur, before_lag=lag), feeds=feeds)


def chance_ns(fix: str, subject: Subject) -> float:
    """How far the few traced steps may be off all steps: in the wait for other ranks, or in the device's usual pace.

    A device that was slow in these steps alone, as readings of the other ones tell, needs no repair.
    """
    if fix == "balance-batches":
        facts = [subject.of(place).traced for place in range(len(subject.ranks))]
        spreads = [one.spread.get("skew", 0.0) for one in facts if one is not None]
    else:
        spreads = [spread for rank in subject.ranks if (spread := device_spread_ns(rank.times)) is not None]
    return min(spreads, default=0.0) / math.sqrt(subject.graph.steps)


def _fed(feeds: Mapping[int, Feed], count: int, closure: float, *, shared: bool) -> dict[int, Feed]:
    """The loaders with which no rank is slower than its peers; heavier samples, known by their loads, are shared."""
    found = dict(feeds)
    limits = [feeds[p].limit_ns or 0.0 if p in feeds else 0.0 for p in range(count)]
    usual = float(np.median(limits)) if count > 2 else min(limits)
    for place, limit in enumerate(limits):
        if limit > usual:
            found[place] = replace(found[place], limit_ns=limit - closure * (limit - usual))
    loads = {place: float(np.mean(feed.loads_ns)) for place, feed in feeds.items() if feed.loads_ns}
    if not shared or len(loads) < count:
        return found
    mean = float(np.mean(list(loads.values())))
    for place in (place for place, load in loads.items() if load > HEAVIER * mean):
        found[place] = _lighter(found[place], 1 - closure * (1 - mean / loads[place]))
    return found


def _lighter(feed: Feed, left: float) -> Feed:
    """A loader whose samples take so much of their time."""
    loads, of_run = (tuple(left * load for load in some) for some in (feed.loads_ns, feed.run_ns))
    return replace(feed, loads_ns=loads, run_ns=of_run, cpu_ns=left * feed.cpu_ns)


def _shared(totals: Float64, level: Level) -> float:
    """What each rank computes when all have as much to do: the mean.

    At best what is too much grew with the square of its length, as attention does: then two halves cost less than one
    long and one short text.
    """
    return float(np.sqrt(totals).mean() ** 2) if level is Level.HIGH else float(totals.mean())


def _levelled(scenario: Scenario, compute: Mask, closure: float) -> Float64 | None:
    """The durations with which every rank computes in each step as long as the ranks do on average.

    None where ranks do not come late in turn: where no more is lost by a rank that is slower now and then than by one
    that is slower over all steps. What a batch is too large on one rank, it is too small on another: no work goes.
    """
    graph, count = scenario.graph, len(scenario.graph.ranks)
    place = graph.rank * graph.steps + graph.step
    spent = np.bincount(place[compute], scenario.work_ns[compute], count * graph.steps).reshape(count, graph.steps)
    if not (spent > 0).all():
        return None
    mean, total = spent.mean(axis=0), spent.sum(axis=1)
    in_turn = float(spent.max(axis=0).sum() - total.max())
    if in_turn <= max(UNEVEN * float(mean.sum()), float(total.max() - total.min())):
        return None
    factor = 1 - closure * (1 - mean / spent)
    return np.where(compute, graph.dur * factor.ravel()[place], graph.dur)


def _names(subject: Subject) -> Int64:
    """What each node is, by its name: the same number for the same name on all ranks; 0 for nodes without one."""
    graph, numbers = subject.graph, dict[str, int]()
    found = np.zeros(len(graph), np.int64)
    for place in range(len(subject.ranks)):
        events = subject.events(place)
        mine = np.flatnonzero((graph.rank == place) & (graph.row != NONE))
        own, index = np.unique(events.name[graph.row[mine]], return_inverse=True)
        names = [events.strings[int(name)] for name in own]
        found[mine] = np.array([numbers.setdefault(name, len(numbers) + 1) for name in names], np.int64)[index]
    return found


def _sums(names: Int64, ns: Float64, nodes: Mask) -> Float64:
    return np.bincount(names[nodes], ns[nodes], int(names.max()) + 1).astype(np.float64)


def _left(own: Float64, peers: Float64, total: float) -> Float64:
    """By name the share that is left of a rank's time, so that all of it comes to `total`.

    What a rank does longer than its peers goes where it does it: work that they do not do goes as a whole. Where they
    have other kernels instead, as for smaller shapes, what goes is scaled back to the total.
    """
    kept = np.minimum(own, peers)
    gone = own - kept
    back = max(total - float(kept.sum()), 0.0) / float(gone.sum()) if gone.any() else 0.0
    left: Float64 = np.divide(kept + min(back, 1.0) * gone, own, out=np.ones_like(own), where=own > 0)
    return left
