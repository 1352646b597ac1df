"""What fills the device's memory, and is the device held back? Figures of two sections of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.memory.fits import batch_that_fits, plans
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.timeline.telemetry import Series
from llmprof.timeline.timeline import RankTimeline

__all__ = ["devices", "memory"]

MOST_POINTS = 240
MOST_LIVE = 15
MOST_RANKS = 64
SHOWN = ("gpu_util", "sm_mhz", "power_w", "temp_c", "mem_used_bytes", "sm_active", "tensor_active", "dram_active")


def memory(facts: Facts, recorded: RankTimeline | None) -> Mapping[str, Any]:
    """Peaks, what tensors use by what they are, what would be in use after a change, and the course of it."""
    fullest = max(
        (rank for rank in facts.ranks.values() if rank.memory is not None),
        key=lambda rank: (rank.memory.peak_reserved_bytes or 0) if rank.memory is not None else 0,
        default=None,
    )
    if fullest is None or fullest.memory is None:
        return {}
    held = fullest.memory
    names = ("capacity_bytes", "peak_allocated_bytes", "peak_reserved_bytes", "retries", "unusable_bytes")
    found: dict[str, Any] = {"rank": fullest.rank, **{name: getattr(held, name) for name in names}}
    if held.composition is not None:
        found |= _composition(held, len(facts.ranks), facts.world_size)
    if held.segments is not None:
        pools = ("reserved_bytes", "allocated_bytes", "inactive_split_bytes", "largest_free_bytes")
        found["segments"] = {name: getattr(held.segments, name) for name in pools}
    found["live"] = [{"place": one.place, "bytes": one.bytes, "blocks": one.blocks} for one in held.live[:MOST_LIVE]]
    if held.growth is not None:
        found["growth_bytes_per_step"], found["free_steps"] = held.growth.slope, held.free_steps
    if held.snapshot is not None and held.snapshot.curve is not None:
        curve = held.snapshot.curve
        first = curve.t_ns[0] if curve.t_ns else 0
        found["curve"] = {"ms": [(t - first) / 1e6 for t in curve.t_ns], "bytes": list(curve.bytes)}
    if recorded is not None and recorded.memory is not None and recorded.memory.readings:
        steps, sizes = zip(*recorded.memory.readings, strict=True)
        found["readings"] = {"step": [int(step) for step in steps], "bytes": [int(size) for size in sizes]}
    return found


def _composition(held: MemoryFacts, seen: int, world: int | None) -> Mapping[str, Any]:
    made = held.composition
    assert made is not None
    room = held.capacity_bytes
    times = None if room is None else batch_that_fits(made, room=room)
    return {
        "composition": {
            "weights": made.parameters,
            "gradients": made.gradients,
            "optimizer states": made.optimizer,
            "activations and buffers": made.activations,
        },
        "composition_measured": made.measured,
        "plans": [asdict(plan) for plan in plans(made, ranks=world or seen)],
        "batch_factor_that_fits": times,
    }


def devices(facts: Facts, recorded: RankTimeline | None) -> Mapping[str, Any]:
    """Clocks, power, temperature and slowdowns of each rank's GPU, and their course on the critical one."""
    chosen = sorted(facts.ranks)[:MOST_RANKS]
    rows = []
    for number in chosen:
        hardware = facts.ranks[number].hardware
        if hardware is not None:
            known = {name: value for name, value in asdict(hardware).items() if value is not None and value != {}}
            rows.append({"rank": number, **known, "clock_share": hardware.clock_share})
    found: dict[str, Any] = {"ranks": rows} if rows else {}
    if recorded is not None and (series := _series(recorded.telemetry)):
        found["series"] = series
    return found


def _series(telemetry: Sequence[Series]) -> list[Mapping[str, Any]]:
    """The first device's readings, thinned: each point is the mean of its stretch; seconds from the first sample."""
    shown = {one.name: one for one in reversed(telemetry) if one.name in SHOWN and one.device is not None}
    origin = min((int(one.t_ns[0]) for one in shown.values() if one.t_ns.size), default=0)
    found: list[Mapping[str, Any]] = []
    for name in SHOWN:
        one = shown.get(name)
        if one is None or one.t_ns.size < 2:
            continue
        stretches = np.array_split(np.arange(one.t_ns.size), min(MOST_POINTS, one.t_ns.size))
        means = [_mean(one.value[part]) for part in stretches]
        seconds = [round(float(one.t_ns[part[0]] - origin) / 1e9, 3) for part in stretches]
        found.append({"name": name, "unit": one.unit, "s": seconds, "value": means})
    return found


def _mean(values: np.ndarray[Any, Any]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
