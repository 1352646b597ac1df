"""How is the step made up, step by step, and why is the device idle? Figures of two sections of the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from llmprof.analyzers.diagnosis import PARTS
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.partition.partition import PART_OF, Partition
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.intervals import Int64, lengths_inside
from llmprof.timeline.timeline import RankTimeline
from llmprof.units import NS_PER_MS, ms

__all__ = ["anatomy", "idle"]

MOST_STEPS = 48
"""Traced steps that are written down one by one."""
MOST_GAPS = 15
BUSY = ("communication", "skew", "input_copy", "peer", "to_host", "other_copy")
"""Detailed classes in which the device works."""


def anatomy(facts: Facts, recorded: RankTimeline | None) -> Mapping[str, Any]:
    """Each traced step by part, the spread of each part, and the steps and stalls that stand out of the whole run."""
    rank = facts.critical
    found: dict[str, Any] = {}
    traced, windows = rank.traced, rank.windows
    if traced is not None and windows is not None and len(windows) and traced.spans:
        parts = _by_step(traced, windows)
        walls = windows.end_ns - windows.start_ns
        found["steps"] = [
            {
                "number": int(windows.number[place]),
                "wall_ms": float(walls[place]) / NS_PER_MS,
                "window_ns": [int(windows.start_ns[place]), int(windows.end_ns[place])],
                "parts": {name: float(values[place]) / NS_PER_MS for name, values in parts.items()},
            }
            for place in range(min(len(windows), MOST_STEPS))
        ]
        found["spread"] = {name: _spread(values) for name, values in parts.items() if values.any()}
    if rank.table is not None:
        found |= _table(rank)
    return found


def _by_step(traced: Partition, windows: Windows) -> Mapping[str, Int64]:
    """Ns of each part in each window; shape (steps,)."""
    parts = {name: np.zeros(len(windows), np.int64) for name in PARTS}
    for name, spans in traced.spans.items():
        part = PART_OF.get(name, "compute")
        parts[part] += lengths_inside(spans, windows.start_ns, windows.end_ns)
    return {name: values for name, values in parts.items() if values.any()}


def _spread(values: Int64) -> Mapping[str, float]:
    median, p95 = np.percentile(values, (50, 95))
    return {
        "median_ms": float(median) / NS_PER_MS,
        "p95_ms": float(p95) / NS_PER_MS,
        "max_ms": float(values.max()) / NS_PER_MS,
    }


def _table(rank: RankFacts) -> Mapping[str, Any]:
    table = rank.table
    assert table is not None
    outliers = table.outliers
    found: dict[str, Any] = {
        "steady_steps": table.steps,
        "sigma_ms": table.sigma_ns / NS_PER_MS,
        "outliers": {
            "count": outliers.count,
            "excess_ms": outliers.counted_excess_ns / NS_PER_MS,
            "period_steps": outliers.period_steps,
            "longest": [
                {
                    "step": one.step,
                    "wall_ms": one.wall_ns / NS_PER_MS,
                    "excess_ms": one.excess_ns / NS_PER_MS,
                    "cause": one.cause,
                    "window_ns": None if one.window_ns is None else list(one.window_ns),
                }
                for one in outliers.longest
            ],
        },
        "stalls": {
            name: {
                "count": stall.count,
                "longest_ms": stall.longest_ns / NS_PER_MS,
                "per_step_ms": stall.counted_ns / NS_PER_MS,
                "period_steps": stall.period_steps,
            }
            for name, stall in table.stalls.items()
        },
    }
    if table.warm_up is not None:
        found["warm_up"] = {
            "steps": table.warm_up.steps,
            "total_ms": table.warm_up.total_ns / NS_PER_MS,
            "first_ms": table.warm_up.first_ns / NS_PER_MS,
        }
    if table.drift is not None:
        found["drift"] = {**asdict(table.drift), "per_hundred_steps": table.drift.per_hundred}
    return found


def idle(facts: Facts, recorded: RankTimeline | None) -> Mapping[str, Any]:
    """Idle time of the step by cause, and the longest gaps of the traced steps with their place on the timeline."""
    rank = facts.critical
    partition, traced = rank.partition, rank.traced
    if partition is None or partition.cpu_only:
        return {}
    every = {**partition.detail, **partition.stall_classes}
    causes = {name: value / NS_PER_MS for name, value in every.items() if name not in BUSY and value > 0}
    found: dict[str, Any] = {
        "causes": dict(sorted(causes.items(), key=lambda item: -item[1])),
        "share": sum(causes.values()) * NS_PER_MS / partition.step_ns if partition.step_ns > 0 else None,
    }
    if traced is not None and rank.windows is not None:
        found["gaps"] = _longest_gaps(traced, rank.windows)
    hardware = rank.hardware
    if hardware is not None:
        found["reported_utilization"] = hardware.utilization
        found["activity"] = dict(hardware.activity)
    found["median_kernel_ms"] = ms(rank.kernels.mean_ns) if rank.kernels is not None else None
    return found


def _longest_gaps(traced: Partition, windows: Windows) -> list[Mapping[str, Any]]:
    rows: list[tuple[int, int, str]] = []
    for name, spans in traced.spans.items():
        if name in BUSY or name not in PART_OF or not spans:
            continue
        lengths = spans.ends - spans.starts
        places = np.argsort(-lengths, kind="stable")[:MOST_GAPS]
        rows += [(int(spans.starts[place]), int(spans.ends[place]), name) for place in places]
    rows.sort(key=lambda row: row[0] - row[1])
    found: list[Mapping[str, Any]] = []
    for start, end, name in rows[:MOST_GAPS]:
        place = int(np.searchsorted(windows.start_ns, start, side="right")) - 1
        number = int(windows.number[place]) if place >= 0 else None
        found.append({"cause": name, "ms": (end - start) / NS_PER_MS, "step": number, "window_ns": [start, end]})
    return found
