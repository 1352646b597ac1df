"""How much of the step goes when one rank, or one kind of work, is as that of the other ranks? From replays of all.

Every rank's nodes of one kind (kernels, fetching batches, host work) get the time of the median rank in the same step,
of two ranks that of the faster one; transfers get the median of their place in the step. What comes out is S and who
causes it (facts.communication.attribution).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.communication.attribution import HOST, Attribution, Effect, effect_of
from llmprof.analyzers.replay.feeds import Feed
from llmprof.analyzers.replay.graph.graph import Float64, Graph, Mask, NodeKind, Region
from llmprof.analyzers.replay.model import Model
from llmprof.analyzers.replay.scenario import run
from llmprof.analyzers.replay.what_if import WhatIf

__all__ = ["attribution_of"]

MOST_NODES = 1_500_000
"""Nodes of a graph, times its replays: about a second."""
SETTLING = 8
"""Where work shares the device, its replay is repeated until lengths and overlaps agree: so many times the time."""
ALIKE_SHARE = 0.01
"""Ranks that lose less than this against ranks that are alike are not told apart: replays are not that exact."""


def attribution_of(what_if: WhatIf, *, host_compared: bool = True) -> Attribution | None:
    """S of the replayed ranks, and who causes it; None with fewer than two of them.

    host_compared    whether what hosts take longer than others counts as lost
    """
    model = what_if.model
    graph = model.scenario.graph
    if len(graph.ranks) < 2:
        return None
    masks = _masks(what_if, host_compared=host_compared)
    alike = _Alike(what_if, masks)
    ideal_ns = alike.step_ns(np.ones(len(graph), bool), range(len(graph.ranks)))
    if ideal_ns <= 0:
        return None
    found = Attribution(
        basis="replay",
        step_ns=model.step_ns,
        ideal_ns=ideal_ns,
        slowdown=model.step_ns / ideal_ns,
        host_compared=host_compared,
    )
    if model.step_ns - ideal_ns < ALIKE_SHARE * model.step_ns:
        return found
    groups = _groups(graph, masks, what_if.subject.facts.critical.rank)
    each = len(graph) * (1 if model.scenario.contention is None else SETTLING)
    left = MOST_NODES // max(each, 1) - 1

    def effect(count: int, name: int | str) -> Effect:
        nodes, fed = groups[name]
        kept = None
        if len(groups) + count < left:  # what repairing brings comes first, for all of them
            kept = alike.step_ns(~nodes, [place for place in range(len(graph.ranks)) if place not in fed])
        return effect_of(model.step_ns, ideal_ns, alike.step_ns(nodes, fed), kept)

    effects = {name: effect(count, name) for count, name in enumerate(groups) if count < left}
    return replace(
        found,
        by_rank={name: one for name, one in effects.items() if isinstance(name, int)},
        by_kind={name: one for name, one in effects.items() if isinstance(name, str)},
    )


def _masks(what_if: WhatIf, *, host_compared: bool) -> dict[str, Mask]:
    """The nodes of each kind of work; host work only where it is compared."""
    graph, subject = what_if.model.scenario.graph, what_if.subject
    meeting = graph.kind == NodeKind.MEETING
    fetching = graph.within(Region.FETCH)
    found = {
        "compute": graph.on_device & ~meeting & ~subject.kind("communication"),
        "communication": meeting,
        "data": fetching,
    }
    return found | {HOST: graph.on_host & ~fetching} if host_compared else found


def _groups(graph: Graph, masks: Mapping[str, Mask], first: int) -> dict[int | str, tuple[Mask, tuple[int, ...]]]:
    """Who may cause it, by number of the rank or by kind of work: their nodes, and whose loaders are theirs.

    In the order in which they are asked for as long as there is time: the rank `first`, all kinds, then the others.
    """
    places = range(len(graph.ranks))
    apart = graph.kind != NodeKind.MEETING
    alone = {graph.ranks[place]: (apart & (graph.rank == place), (place,)) for place in places}
    return {
        **{number: alone[number] for number in (first,) if number in alone},
        **{kind: (nodes, tuple(places) if kind == "data" else ()) for kind, nodes in masks.items()},
        **{number: group for number, group in alone.items() if number != first},
    }


class _Alike:
    """Replays with some nodes as those of the other ranks, the rest as they were."""

    def __init__(self, what_if: WhatIf, masks: Mapping[str, Mask]) -> None:
        self._what_if = what_if
        graph = what_if.model.scenario.graph
        # A rank that waits at collectives computes beside them, which its peers that come late do not.
        spent = np.where(graph.on_host, graph.dur + graph.before_lag, what_if.model.scenario.work_ns)
        self._factor = np.ones(len(graph))
        for kind, nodes in masks.items():
            self._factor[nodes] = (
                _transfers(graph, nodes) if kind == "communication" else _ranks(graph, nodes, spent[nodes])
            )
        self._feed = _usual_feed(what_if.model)

    def step_ns(self, nodes: Mask, fed: Iterable[int]) -> float:
        """The step with these nodes, and the loaders of the ranks at these places, as those of the others."""
        scenario = self._what_if.model.scenario
        factor = np.where(nodes, self._factor, 1.0)
        lag = np.where(scenario.graph.on_host, factor, 1.0)
        graph = replace(scenario.graph, dur=scenario.graph.dur * factor, before_lag=scenario.graph.before_lag * lag)
        feeds = dict(scenario.feeds)
        if self._feed is not None:
            feeds |= {place: self._feed for place in fed}
        return self._what_if.scaled(run(replace(scenario, graph=graph, feeds=feeds)))


def _ranks(graph: Graph, nodes: Mask, spent: Float64) -> Float64:
    """What the time of each of these nodes is multiplied with, so that all ranks take equally long in each step."""
    count = len(graph.ranks)
    cell = graph.step[nodes].astype(np.int64) * count + graph.rank[nodes]
    added = np.bincount(cell, weights=spent, minlength=(int(graph.step.max(initial=0)) + 1) * count)
    total: Float64 = added.astype(np.float64).reshape(-1, count)  # of no nodes at all they are integers
    usual = np.sort(total, axis=1)[:, [(count - 1) // 2]]
    factor = np.divide(usual, total, out=np.ones_like(total), where=total > 0)
    result: Float64 = factor.ravel()[cell]
    return result


def _transfers(graph: Graph, meetings: Mask) -> Float64:
    """The same of transfers: each as the median of its place in the steps; as they are where steps differ."""
    step, dur = graph.step[meetings], graph.dur[meetings]
    counts = np.bincount(step, minlength=graph.steps)
    if dur.size == 0 or counts.min() != counts.max():
        return np.ones(dur.size)
    order = np.argsort(step, kind="stable")
    by_step = dur[order].reshape(counts.size, -1)
    usual = np.broadcast_to(np.median(by_step, axis=0), by_step.shape)
    result = np.ones(dur.size)
    result[order] = np.divide(usual, by_step, out=np.ones_like(by_step), where=by_step > 0).ravel()
    return result


def _usual_feed(model: Model) -> Feed | None:
    """The loader of the median rank; None where not every rank has one with worker processes."""
    feeds = [model.scenario.feeds.get(place) for place in range(len(model.scenario.graph.ranks))]
    known = [feed for feed in feeds if feed is not None]
    if len(known) < len(feeds):
        return None
    consumer = model.outcome.replayed.step_ns
    return sorted(known, key=lambda feed: feed.step_ns(consumer))[(len(known) - 1) // 2]
