"""Does the input keep up, and does the host? Figures of two sections of the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from llmprof.analyzers.facts.measured import Facts
from llmprof.timeline.events import NONE, Kind
from llmprof.timeline.steps import StepPhase
from llmprof.timeline.timeline import RankTimeline
from llmprof.units import NS_PER_MS, ms

__all__ = ["host", "input_pipeline"]

MOST_POINTS = 240
"""Steps of one curve; longer runs are thinned, each point then the largest of its stretch."""
MOST_CALLS = 15
MOST_OPERATORS = 20


def input_pipeline(facts: Facts, recorded: RankTimeline | None) -> Mapping[str, Any]:
    """Waits, batch times and settings of the loader, and the wait of each step."""
    loader = facts.critical.loader
    if loader is None:
        return {}
    times = loader.times
    found: dict[str, Any] = {
        "in_process": loader.in_process,
        "wait_ms": ms(loader.wait_ns),
        "exposed_wait_ms": ms(loader.exposed_wait_ns),
        "fetches_per_step": loader.fetches_per_step,
        "batch_ms": ms(loader.batch_ns),
        "batch_p50_ms": ms(times.p50_ns) if times is not None else None,
        "batch_p95_ms": ms(times.p95_ns) if times is not None else None,
        "batch_cpu_ms": ms(times.cpu_ns) if times is not None else None,
        "batch_by_worker_ms": [value / NS_PER_MS for value in times.by_worker_ns] if times is not None else [],
        "delivered_per_s": loader.delivered_per_s,
        "needed_per_s": loader.needed_per_s,
        "queue_depth": loader.queue_depth,
        "queue_empty_share": loader.queue_empty_share,
        "hand_over_ms": ms(loader.hand_over_ns),
        "own_cores": loader.own_cores,
    }
    if loader.settings is not None:
        found["settings"] = {name: value for name, value in asdict(loader.settings).items() if value is not None}
    if recorded is not None:
        found["by_step"] = _curves(recorded, {"wait_ms": "data_wait", "queue": "queue"})
    return found


def _curves(recorded: RankTimeline, columns: Mapping[str, str]) -> Mapping[str, Any]:
    """Readings of every unprofiled step as `number` and one list a column; None where a step has none."""
    times = recorded.times
    if times is None:
        return {}
    rows = times.select(StepPhase.WARMUP, StepPhase.BASELINE, StepPhase.AFTER)
    known = {name: times.parts[part][rows] for name, part in columns.items() if part in times.parts}
    known = {name: values for name, values in known.items() if (values >= 0).any()}
    if not known:
        return {}
    stretches = np.array_split(np.arange(rows.size), min(MOST_POINTS, rows.size))
    found: dict[str, Any] = {"number": [int(times.number[rows[part[0]]]) for part in stretches]}
    for name, values in known.items():
        scale = NS_PER_MS if name.endswith("_ms") else 1
        peaks = [int(values[part].max()) for part in stretches]
        found[name] = [None if value < 0 else value / scale for value in peaks]
    return found


def host(facts: Facts, recorded: RankTimeline | None) -> Mapping[str, Any]:
    """Launches and waits of the host per step, where its time goes, and what it waits for."""
    rank = facts.critical
    found: dict[str, Any] = {}
    if rank.host is not None:
        found |= {
            "launches": rank.host.launches,
            "graph_launches": rank.host.graph_launches,
            "operators": rank.host.operators,
            "syncs": rank.host.syncs,
            "sync_ms": ms(rank.host.sync_ns),
            "allocator_calls": rank.host.allocator_calls,
        }
    if rank.causes is not None:
        found |= _causes(facts)
    if rank.kernels is not None:
        found["kernels"] = rank.kernels.count_per_step
        found["kernel_mean_ms"] = ms(rank.kernels.mean_ns)
        found["short_share"] = rank.kernels.short_share
    if recorded is not None and rank.windows is not None:
        operators = _operators(recorded, len(rank.windows), rank.windows.total_ns)
        if operators:
            found["self_times"] = operators
    return found


def _causes(facts: Facts) -> Mapping[str, Any]:
    causes = facts.critical.causes
    assert causes is not None
    found: dict[str, Any] = {}
    if causes.work is not None:
        work = causes.work
        found["late"] = {
            "all_ms": work.waiting_ns / NS_PER_MS,
            "preparing_ms": ms(work.preparing_ns),
            "python_long_ms": work.long_ns / NS_PER_MS,
            "python_short_ms": work.short_ns / NS_PER_MS,
            "longest_ns": None if work.longest is None else list(work.longest),
        }
    if causes.blocking is not None:
        found["blocking"] = [
            {
                "what": one.group,
                "operator": one.operator,
                "count": one.count,
                "blocked_ms": one.blocked_ns / NS_PER_MS,
                "place": one.place,
            }
            for one in causes.blocking.calls[:MOST_CALLS]
        ]
    if causes.collections is not None:
        found["garbage_collection"] = {
            "mean_ms": causes.collections.mean_ns / NS_PER_MS,
            "longest_ms": causes.collections.longest_ns / NS_PER_MS,
            "steps_share": causes.collections.steps_share,
        }
    if causes.load is not None:
        found["cores_used"], found["runnable"] = causes.load.cores_used, causes.load.runnable
    return found


def _operators(recorded: RankTimeline, steps: int, total_ns: int) -> list[Mapping[str, Any]]:
    """The operators in which the host itself spends most time (what they call left out), per traced step."""
    events = recorded.events
    if events is None or steps == 0 or total_ns <= 0:
        return []
    rows = events.rows(Kind.CPU_OP, Kind.RUNTIME)
    own = events.dur[rows].astype(np.int64)
    for lane in np.unique(events.lane[rows]):
        here = np.flatnonzero(events.lane[rows] == lane)
        parent = _parents(events.ts[rows[here]], events.end[rows[here]])
        inner = parent != NONE
        np.subtract.at(own, here[parent[inner]], events.dur[rows[here[inner]]])
    names, where = np.unique(events.name[rows], return_inverse=True)
    spent, calls = np.bincount(where, weights=np.maximum(own, 0)), np.bincount(where)
    return [
        {
            "name": events.strings[int(names[place])][:200],
            "self_ms": float(spent[place]) / steps / NS_PER_MS,
            "calls": float(calls[place]) / steps,
        }
        for place in np.argsort(-spent, kind="stable")[:MOST_OPERATORS]
    ]


def _parents(starts: np.ndarray[Any, Any], ends: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """For rows of one thread, ascending by start: the row right around each, NONE for the outermost; shape (n,)."""
    depth = np.arange(starts.size) - np.searchsorted(np.sort(ends), starts, side="right")
    depth = np.maximum(depth, 0)
    parent = np.full(starts.size, NONE, dtype=np.intp)
    for level in range(1, int(depth.max(initial=0)) + 1):
        above, here = np.flatnonzero(depth == level - 1), np.flatnonzero(depth == level)
        place = np.searchsorted(above, here) - 1
        inside = (place >= 0) & (ends[above[np.maximum(place, 0)]] >= ends[here])
        parent[here[inside]] = above[place[inside]]
    return parent
