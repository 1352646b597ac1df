"""Work of the training thread moved away: long stretches of Python, and what the loop does to a batch before the model.

The host's work before a call gets shorter by what lies in these spans. What the device does meanwhile stays, so that a
fix of a host that is early anyway saves nothing. Work on a batch goes to the loader's workers, whose queue is replayed
with the longer load times.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.host.host_work import LONG_NS, long_and_short, preparing_spans
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.analyzers.replay.feeds import HAND_OVER_NS, Feed
from llmprof.analyzers.replay.graph.graph import Float64, Region
from llmprof.analyzers.replay.reads import computed_behind, copies_of, reads_of, uncopied
from llmprof.analyzers.replay.scenario import Scenario, run
from llmprof.analyzers.replay.transforms.base import Level, Subject, scaled, unwaited
from llmprof.analyzers.replay.transforms.loader import crowded, with_enough_workers
from llmprof.analyzers.replay.unprofiled.garbage import collections_in
from llmprof.timeline.intervals import Intervals, lengths_inside

__all__ = ["FIXES", "apply", "inside", "shorter"]

FIXES = ("hoist-python", "preprocess-in-workers")

HALF = 0.5
"""At worst half of it belongs to every step, and stays; likewise of what is spread out at most half is expected to go
(assumptions)."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario without long stretches of Python, or with batches that come ready from the loader."""
    return _hoisted(scenario, subject, level) if fix == "hoist-python" else _prepared(scenario, subject, level)


def _hoisted(scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """Without the work, and what it reads of the device is not copied either: done there it is read where it is.

    The host then still waits for a result; at best it does not, and at worst the copies stay.
    """
    spent, reads = np.zeros(len(scenario.graph)), reads_of(subject)
    computed = np.zeros_like(reads)
    for place, rank in enumerate(subject.ranks):
        windows = windows_of(rank)
        if windows is None:
            continue
        long, short = (some - collections_in(rank) for some in long_and_short(rank, windows))
        if level is Level.HIGH:
            spent += inside(subject, place, long | short)
        elif long:
            spent += inside(subject, place, long) * level.pick(HALF, 1.0, 1.0)
        else:
            spent += inside(subject, place, short) * level.pick(0.0, HALF, 1.0)
        computed |= computed_behind(subject, place, reads)[1]
    if not spent.any():
        return "no Python outside of operators lies in the steps"
    found = shorter(scenario, subject, spent)
    if level is Level.HIGH:
        return uncopied(unwaited(found, computed), subject, computed)
    return found if level is Level.LOW else scaled(found, copies_of(subject, computed), dur=0.0)


def _prepared(scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    changed, feeds = scenario, dict(scenario.feeds)
    added = {}
    for place, rank in enumerate(subject.ranks):
        windows = windows_of(rank)
        spans = None if windows is None else preparing_spans(rank, windows)
        if not spans:
            continue
        loader = subject.of(place).loader
        batches = changed.graph.steps * ((loader.fetches_per_step if loader is not None else None) or 1.0)
        # The way into the model is no work on the batch, and stays.
        spent = inside(subject, place, spans) * max(0.0, 1.0 - LONG_NS * batches / max(spans.length, 1))
        spent *= level.pick(HALF, 1.0, 1.0)
        before = changed.graph.before_lag.sum()
        changed = shorter(changed, subject, spent)
        added[place] = float(before - changed.graph.before_lag.sum()) / batches
    if not any(each > 0 for each in added.values()):
        return "nothing is done to a batch between its fetch and the model"
    for place, each_ns in added.items():
        changed, feeds[place] = _longer(changed, subject, place, feeds.get(place), each_ns, level)
    return replace(changed, feeds=feeds)


def _longer(
    scenario: Scenario, subject: Subject, place: int, feed: Feed | None, each_ns: float, level: Level
) -> tuple[Scenario, Feed]:
    """The feed of one rank with batches that take `each_ns` longer, and with as many workers as they need then.

    These run beside the training thread, which did their work itself until now.
    """
    loader = subject.of(place).loader
    own = run(replace(scenario, feeds={})).step_ns
    if feed is None:
        feed = Feed(
            fetches=loader.fetches_per_step or 1.0 if loader is not None else 1.0,
            workers=1,
            cores=loader.own_cores if loader is not None else None,
            hand_over_ns=HAND_OVER_NS if scenario.graph.within(Region.FETCH).any() else 0.0,
        )
    loads = tuple(load + each_ns for load in feed.loads_ns or (0.0,))
    cpu_ns = feed.cpu_ns + each_ns if feed.cores is not None else feed.cpu_ns
    enough = with_enough_workers(replace(feed, loads_ns=loads, cpu_ns=cpu_ns), own, subject, place, level)
    return crowded(scenario, place, 1.0, enough, own, level, worst=1.0)  # HALF is bad enough


def inside(subject: Subject, place: int, spans: Intervals) -> Float64:
    """For each node of the host of one rank, what of the recorded work before it lies in `spans`; ns."""
    graph = subject.graph
    mine = graph.on_host & (graph.rank == place)
    found: Float64 = np.zeros(len(graph))
    end = graph.recorded_start[mine]
    found[mine] = lengths_inside(spans, end - graph.before_lag[mine].astype(np.int64), end)
    return found


def shorter(scenario: Scenario, subject: Subject, spent: Float64) -> Scenario:
    """The host's work before each node without `spent` of it, as recorded.

    Where the unprofiled host was slower than the recorded one, so was this work.
    """
    lag = scenario.graph.before_lag
    recorded = np.maximum(subject.graph.before_lag, 1.0)
    left = np.maximum(lag - spent * np.maximum(lag / recorded, 1.0), 0.0)
    return replace(scenario, graph=replace(scenario.graph, before_lag=left))
