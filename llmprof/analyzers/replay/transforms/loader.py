"""More workers, or more batches ordered ahead: the loader's queue is replayed with other numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.loader_model import DEFAULT_PREFETCH
from llmprof.analyzers.replay.graph import Region
from llmprof.analyzers.replay.scenario import HAND_OVER_NS, Feed, Scenario, run, without_waits
from llmprof.analyzers.replay.transforms.base import Level, Subject, scaled

__all__ = ["FIXES", "apply", "with_enough_workers"]

FIXES = ("dataloader-workers", "dataloader-prefetch")

ENOUGH_SHARE = 0.01
"""Workers are added until the loader makes the step longer by no more than this, which no one can measure."""
SPARE_WORKERS = 1
"""On top, as advised: load times vary from batch to batch."""
SLOWER = 1.3
"""At worst, what loads take longer when more of them run at once, and the training thread beside them. Lotus (IISWC
2024) saw CPU seconds grow by half from 8 to 28 workers on 32 cores; benchmarks/loader_model.py saw the same batch take
57 or 73 ms of CPU, and the same launches 22 or 29 ms, on a virtual machine of 16 cores, by where Linux had put them."""
DEEPER = 4
"""How many times as many batches on order are advised."""
LEFT = 0.3
"""At worst, the share of the wait that stays where neither workers nor load times are known (an assumption)."""
MOST_WORKERS = 64


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with enough workers, or with DEEPER times the prefetch."""
    feeds = dict(scenario.feeds)
    before = run(scenario)
    if fix == "dataloader-prefetch":
        if not any(feed.loads_ns and feed.workers for feed in feeds.values()):
            return "how long single batches take was not measured, so a deeper queue cannot be replayed"
        return replace(scenario, feeds={p: replace(f, prefetch=DEEPER * f.prefetch) for p, f in feeds.items()})
    changed = False
    for place, feed in scenario.feeds.items():
        if before.input_wait_ns > 0 and (feed.loads_ns or feed.limit_ns):
            feeds[place] = with_enough_workers(feed, before.replayed.step_ns, subject, place, level)
            changed = True
            if (feeds[place].workers or 0) > (feed.workers or 0):
                host = scenario.graph.on_host & (scenario.graph.rank == place)
                crowded = level.pick(SLOWER, 1.0, 1.0)
                scenario = scaled(scenario, host, dur=crowded, lag=crowded)
    for place in range(len(subject.ranks)):
        loader = subject.of(place).loader
        if place not in feeds and loader is not None and loader.in_process:
            made = _made_outside(scenario, place, loader.fetches_per_step or 1.0, loader.own_cores)
            if made is not None:
                scenario, feed = made
                feeds[place] = with_enough_workers(feed, run(scenario).step_ns, subject, place, level)
                changed = True
    return replace(scenario, feeds=feeds) if changed else "the step does not wait for batches"


def _made_outside(scenario: Scenario, place: int, fetches: float, cores: float | None) -> tuple[Scenario, Feed] | None:
    """What the training process spends on batches, moved to workers."""
    graph = scenario.graph
    fetching = graph.within(Region.FETCH) & (graph.rank == place)
    spent = graph.before_lag + graph.dur
    loads = np.array([spent[fetching & (graph.step == step)].sum() for step in range(graph.steps)]) / fetches
    if loads.sum() <= 0:
        return None
    feed = Feed(
        fetches=fetches,
        workers=1,
        loads_ns=tuple(float(value) for value in loads),
        cores=cores,
        cpu_ns=float(loads.mean()) if cores is not None else 0.0,
        hand_over_ns=min(HAND_OVER_NS, float(loads.mean())),
    )
    return replace(scenario, graph=without_waits(graph, {place: feed})), feed


def with_enough_workers(feed: Feed, consumer_ns: float, subject: Subject, place: int, level: Level) -> Feed:
    """The feed with as many workers as keep up with the consumer, as far as there are cores for them."""
    slower = level.pick(SLOWER, 1.0, 1.0)
    if not feed.loads_ns:
        kept = level.pick(LEFT, 0.0, 0.0)
        limit = feed.limit_ns or 0.0
        return replace(feed, limit_ns=consumer_ns + kept * max(limit - consumer_ns, 0.0))
    mean = sum(feed.loads_ns) / len(feed.loads_ns)
    cores = subject.of(place).loader
    own = cores.own_cores if cores is not None else None
    most = MOST_WORKERS if own is None else max(1, int(own))
    prefetch = max(feed.prefetch, DEFAULT_PREFETCH)
    needed = math.ceil(mean * feed.fetches / max(consumer_ns, 1.0))
    enough = (1 + ENOUGH_SHARE) * consumer_ns
    while needed < most and replace(feed, workers=needed, prefetch=prefetch).step_ns(consumer_ns) > enough:
        needed += 1
    return replace(
        feed,
        workers=max(feed.workers or 1, min(needed + SPARE_WORKERS, most)),
        prefetch=prefetch,
        loads_ns=tuple(slower * value for value in feed.loads_ns),
    )
