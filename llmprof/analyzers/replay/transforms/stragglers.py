"""A slow rank repaired: it does the work of its peers in their time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.replay.graph import NodeKind, Region
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject

__all__ = ["FIXES", "apply"]

FIXES = ("repair-straggler", "balance-batches")

CLOSURE = (0.75, 1.0, 1.0)
"""The share of the difference to the median rank that is taken away (75 to 100 %, as TraceLens closes gaps)."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario in which no rank is slower than the median of its peers, on the device and at the loader.

    Only at best on the host too: a profiler slows the hosts of equal ranks unequally. Durations become those of the
    peers, and the steps are replayed, as Lin et al. do it (Understanding Stragglers in Large Model Training Using
    What-if Analysis, OSDI 2025).
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
    for nodes in (subject.device & own & ~subject.kind("communication"), host):
        # A rank that waits at collectives computes beside them, which its peers that come late do not.
        spent = np.where(graph.on_host, dur + lag, scenario.work_ns)
        totals = np.array([spent[nodes & (graph.rank == r)].sum() for r in range(count)])
        # Of two ranks the faster one is the peer.
        usual = float(np.median(totals)) if count > 2 else float(totals.min())
        for place in np.flatnonzero(totals > usual * 1.01).tolist():
            factor = 1 - closure * (1 - usual / float(totals[place]))
            mine = nodes & (graph.rank == place)
            dur[mine] *= factor
            lag[mine & graph.on_host] *= factor
            changed = True
    limits = [scenario.feeds[p].limit_ns or 0.0 if p in scenario.feeds else 0.0 for p in range(count)]
    usual = float(np.median(limits)) if count > 2 else min(limits)
    feeds = dict(scenario.feeds)
    for place, limit in enumerate(limits):
        if limit > usual:
            feeds[place] = replace(feeds[place], limit_ns=limit - closure * (limit - usual))
            changed = True
    if not changed:
        return "no rank is slower than its peers"
    return replace(scenario, graph=replace(graph, dur=dur, before_lag=lag), feeds=feeds)
