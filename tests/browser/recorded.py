"""Pages of real recordings and of very large made-up ones, for the browser."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from llmprof.timeline.events import NONE, EventTable, Kind, Lane, StringTable
from llmprof.timeline.steps import StepMarks
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.scenarios.recordings import recorded

RECORDINGS = ("bandwidth-ddp", "data-in-process")


def eight_ranks() -> Timeline:
    """The two ranks of a recording four times."""
    _, timeline = recorded("bandwidth-ddp")
    ranks = tuple(dataclasses.replace(timeline.ranks[n % 2], rank=n) for n in range(8))
    return dataclasses.replace(timeline, ranks=ranks, world_size=8)


def made_up(count: int, *, names: tuple[str, ...] = (), lanes: int = 6) -> Timeline:
    """`count` events on streams and host threads, back to back with gaps, in five steps; the same every time."""
    rng, each = np.random.default_rng(1), count // lanes
    gaps = rng.integers(8, 40, (lanes, each)) * 100
    starts = (np.cumsum(gaps, axis=1) - gaps).astype(np.int64)
    lengths = (gaps * 0.7).astype(np.int64)
    where = np.repeat(np.arange(lanes, dtype=np.int32), each)
    streams = max(lanes - 2, 1)
    order = np.argsort(starts.ravel(), kind="stable")
    strings = StringTable(names or tuple(f"kernel_{number}" for number in range(300)))
    rows = order.size
    events = EventTable(
        ts=starts.ravel()[order],
        dur=lengths.ravel()[order],
        kind=np.where(where < streams, int(Kind.KERNEL), int(Kind.CPU_OP)).astype(np.uint8)[order],
        lane=where[order],
        name=(np.arange(rows) % len(strings)).astype(np.int32),
        correlation=np.full(rows, NONE, np.int64),
        launch=np.full(rows, NONE, np.int32),
        external=np.full(rows, NONE, np.int64),
        strings=strings,
    )
    end = int(events.ts[-1])
    edges = np.arange(6, dtype=np.int64) * (end // 5)
    rank = RankTimeline(
        rank=0,
        events=events,
        lanes=[Lane(0, 0 if lane < streams else NONE, 1, 7 + lane) for lane in range(lanes)],
        marks=StepMarks(np.arange(5), edges[:-1], edges[1:]),
    )
    return Timeline(ranks=(rank,), kind="run", paths=(str(Path("made-up")),))
