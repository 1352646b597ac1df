"""More workers, more batches on order, less work a batch, or smaller ones: the loader's queue is replayed with that."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.loading.copies import CopyFacts
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.loading.loader_model import pinning_ns
from llmprof.analyzers.facts.loading.loader_queue import DEFAULT_PREFETCH
from llmprof.analyzers.facts.measured import RankFacts
from llmprof.analyzers.replay.feeds import HAND_OVER_NS, Feed, without_waits
from llmprof.analyzers.replay.graph.graph import Region
from llmprof.analyzers.replay.scenario import Outcome, Scenario, run
from llmprof.analyzers.replay.transforms.base import Level, Subject, scaled

__all__ = ["CHEAPER", "FIXES", "apply", "chance_ns", "crowded", "less_work", "with_enough_workers"]

CHEAPER = ("offline-preprocessing", "packed-dataset")
"""Less work a batch stands in place of more workers or deeper queues: beside these it is for what they leave."""
FIXES = ("dataloader-workers", "dataloader-prefetch", *CHEAPER, "compact-batches")

ENOUGH_SHARE = 0.01
"""Workers are added until the loader makes the step longer by no more than this, which no one can measure."""
SPARE_WORKERS = 1
"""On top, as advised: load times vary from batch to batch."""
SLOWER = 1.3
"""At worst, what loads take longer when more of them run at once, and the training thread beside them. Lotus (IISWC
2024) saw CPU seconds grow by half from 8 to 28 workers on 32 cores; see SIBLING for what was measured here."""
DEEPER = 4
"""How many times as many batches on order are advised."""
LEFT = 0.3
"""At worst, the share of the wait that stays where neither workers nor load times are known (an assumption)."""
MOST_WORKERS = 64
GONE = (0.0, 0.5, 1.0)
"""Share of the CPU time of a batch that can be spent beforehand, or of its waiting for storage that large files spare:
nobody knows it, so between none and all of it, and the middle is expected."""
COMPACT = (0.75, 0.5, 0.25)
"""Share of the bytes that a batch is left with: bf16 instead of fp32, at best uint8, at worst some of it stays."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with enough workers, DEEPER times the prefetch, half the work a batch, or COMPACT batches."""
    if fix in CHEAPER:
        return _cheaper(scenario, subject, level.pick(*GONE), cpu=fix == "offline-preprocessing")
    before = run(scenario)
    if fix == "compact-batches":
        return _compact(scenario, before, level)
    if fix == "dataloader-prefetch":
        return _deeper(scenario, before, level)
    return _more_workers(scenario, before, subject, level)


def _compact(scenario: Scenario, before: Outcome, level: Level) -> Scenario | str:
    if not any(feed.passing_ns * feed.fetches > before.replayed.step_ns for feed in scenario.feeds.values()):
        return "the step does not wait for the thread that pins batches"
    share = level.pick(*COMPACT)
    smaller = {place: replace(feed, passing_ns=share * feed.passing_ns) for place, feed in scenario.feeds.items()}
    return replace(scenario, feeds=smaller)


def _cheaper(scenario: Scenario, subject: Subject, gone: float, *, cpu: bool) -> Scenario | str:
    feeds = scenario.feeds
    alone = {
        place: share for place in range(len(subject.ranks)) if (share := _busy_alone(subject.of(place))) is not None
    }
    if not alone and not any(feed.measured for feed in feeds.values()):
        return "how long the workers take for a batch was not measured, so one of less work cannot be replayed"
    for place, busy in alone.items():
        scenario = _less_alone(scenario, place, busy, gone, cpu=cpu)
    return replace(scenario, feeds={place: less_work(feed, gone, cpu=cpu) for place, feed in feeds.items()})


def _deeper(scenario: Scenario, before: Outcome, level: Level) -> Scenario | str:
    feeds, own = dict(scenario.feeds), before.replayed.step_ns
    if not any(feed.measured for feed in feeds.values()):
        return "how long single batches take was not measured, so a deeper queue cannot be replayed"
    for place, feed in feeds.items():
        running, deeper = feed.running(before.step_ns, own), replace(feed, prefetch=DEEPER * feed.prefetch)
        scenario, feeds[place] = crowded(scenario, place, running, deeper, own, level, worst=1.0)
    return replace(scenario, feeds=feeds)


def _more_workers(scenario: Scenario, before: Outcome, subject: Subject, level: Level) -> Scenario | str:
    feeds, changed = dict(scenario.feeds), False
    for place, feed in scenario.feeds.items():
        if before.input_wait_ns > 0 and (feed.loads_ns or feed.limit_ns):
            own = before.replayed.step_ns
            feeds[place] = with_enough_workers(feed, own, subject, place, level)
            changed = True
            if (feeds[place].workers or 0) > (feed.workers or 0):
                running = feed.running(before.step_ns, own)
                scenario, feeds[place] = crowded(scenario, place, running, feeds[place], own, level)
    for place in range(len(subject.ranks)):
        loader = subject.of(place).loader
        if place not in feeds and loader is not None and loader.in_process:
            made = _made_outside(scenario, place, subject.of(place))
            if made is not None:
                scenario, feed = made
                own = run(replace(scenario, feeds={})).step_ns
                after = with_enough_workers(feed, own, subject, place, level)
                scenario, feeds[place] = crowded(scenario, place, 1.0, after, own, level)
                changed = True
    return replace(scenario, feeds=feeds) if changed else "the step does not wait for batches"


def chance_ns(fix: str, subject: Subject) -> float:
    """Of the mean wait for batches."""
    loader = subject.facts.critical.loader
    return 0.0 if loader is None else loader.wait_error_ns or 0.0


def less_work(feed: Feed, gone: float, *, cpu: bool) -> Feed:
    """The feed with this share of the CPU time of all batches gone, or of their waiting for storage."""
    mean = sum(feed.loads_ns) / len(feed.loads_ns) if feed.loads_ns else 0.0
    if mean <= 0:
        return feed
    busy = min(feed.cpu_ns or mean, mean)  # what was not measured is taken for CPU time
    if cpu:
        left = 1.0 - gone * busy / mean
        return replace(feed, loads_ns=tuple(left * load for load in feed.loads_ns), cpu_ns=(1.0 - gone) * feed.cpu_ns)
    waited = (max(0.0, load - busy) for load in feed.loads_ns)
    loads = (load - gone * wait for load, wait in zip(feed.loads_ns, waited, strict=True))
    return replace(feed, loads_ns=tuple(loads))


def _busy_alone(rank: RankFacts) -> float | None:
    """Of the time that a training process without workers takes for a batch, the share in which it computes."""
    times = rank.loader.times if rank.loader is not None and rank.loader.in_process else None
    if times is None or times.cpu_ns is None or times.mean_ns <= 0:
        return None
    return min(1.0, times.cpu_ns / times.mean_ns)


def _less_alone(scenario: Scenario, place: int, busy: float, gone: float, *, cpu: bool) -> Scenario:
    """The same for batches that the training process makes itself."""
    left = 1.0 - gone * (busy if cpu else 1.0 - busy)
    fetching = scenario.graph.within(Region.FETCH) & (scenario.graph.rank == place)
    return scaled(scenario, fetching, dur=left, lag=left)


def crowded(
    scenario: Scenario,
    place: int,
    running: float,
    feed: Feed,
    consumer_ns: float,
    level: Level,
    worst: float = SLOWER,
) -> tuple[Scenario, Feed]:
    """A rank and its loader as slow as workers make each other and the training thread, with which they share cores.

    running    threads that had something to do on average until now; consumer_ns: the step without waiting for batches
    worst      what all may take longer at worst
    """
    if level is Level.HIGH or not feed.loads_ns:
        return scenario, feed
    then = feed.running(feed.step_ns(consumer_ns), consumer_ns)
    slower = max(1.0, feed.beside(then) / feed.beside(running))
    if level is Level.LOW:
        slower = max(worst, slower)
        feed = replace(feed, loads_ns=tuple(slower * load for load in feed.loads_ns))
    else:
        feed = feed.crowded(running, then)
    host = scenario.graph.on_host & (scenario.graph.rank == place)
    return scaled(scenario, host, dur=slower, lag=slower), feed


def _made_outside(scenario: Scenario, place: int, rank: RankFacts) -> tuple[Scenario, Feed] | None:
    """What the training process spends on batches, moved to workers; what it copies to the device is their bytes."""
    graph, loader, copies = scenario.graph, rank.loader or LoaderFacts(), rank.copies or CopyFacts()
    fetches = loader.fetches_per_step or 1.0
    copied = (copies.pageable_to_device.bytes + copies.pinned_to_device.bytes) / fetches
    pinned = loader.settings is not None and loader.settings.pin_memory is True
    fetching = graph.within(Region.FETCH) & (graph.rank == place)
    spent = graph.before_lag + graph.dur
    loads = np.array([spent[fetching & (graph.step == step)].sum() for step in range(graph.steps)]) / fetches
    if loads.sum() <= 0:
        return None
    busy = _busy_alone(rank)
    feed = Feed(
        fetches=fetches,
        workers=1,
        loads_ns=tuple(float(value) for value in loads),
        cores=loader.own_cores,
        cpu_ns=(1.0 if busy is None else busy) * float(loads.mean()) if loader.own_cores is not None else 0.0,
        hand_over_ns=min(HAND_OVER_NS + (0.0 if pinned else pinning_ns(copied)), float(loads.mean())),
        passing_ns=pinning_ns(copied) if pinned else 0.0,
    )
    return replace(scenario, graph=without_waits(graph, {place: feed})), feed


def with_enough_workers(feed: Feed, consumer_ns: float, subject: Subject, place: int, level: Level) -> Feed:
    """The feed with as many workers as keep up with the consumer, as far as there are cores for them."""
    if not feed.loads_ns:
        kept = level.pick(LEFT, 0.0, 0.0)
        limit = feed.limit_ns or 0.0
        return replace(feed, limit_ns=consumer_ns + kept * max(limit - consumer_ns, 0.0))
    mean = sum(feed.loads_ns) / len(feed.loads_ns)
    cores = subject.of(place).loader
    own = cores.own_cores if cores is not None else None
    most = MOST_WORKERS if own is None else max(1, int(own))
    prefetch = max(feed.prefetch, DEFAULT_PREFETCH)
    pace = max(consumer_ns, feed.passing_ns * feed.fetches, 1.0)
    # Enough even if all of them share their cores with other threads.
    slow = replace(feed, prefetch=prefetch, loads_ns=tuple(feed.paired * load for load in feed.loads_ns))
    needed = math.ceil(feed.paired * mean * feed.fetches / pace)
    enough = (1 + ENOUGH_SHARE) * pace
    while needed < most and replace(slow, workers=needed).step_ns(consumer_ns) > enough:
        needed += 1
    return replace(feed, workers=max(feed.workers or 1, min(needed + SPARE_WORKERS, most)), prefetch=prefetch)
