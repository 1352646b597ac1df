"""Which figures of a run are exported? The always-on tier: step times and readings of the GPUs, and the analysis.

Traces are not read. Names have no unit but end in it: `step_ms`, `gpu_util_percent`. Every track says on which step a
value was measured and when, so that tools with either axis can show it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.collectors.files.run_telemetry import NodeTelemetry
from llmprof.errors import LlmprofError, NotEnoughDataError, NotFoundError
from llmprof.timeline import rundir
from llmprof.units import NS_PER_MS, NS_PER_S

__all__ = ["Figures", "Track", "figures_of"]

MOST_RANKS = 64
MOST_READINGS = 2000
"""Readings of one GPU's quantity; longer ones are thinned by means."""
_PARTS = ("data_wait", "data_wait_exposed", "forward", "backward", "optimizer", "checkpoint", "evaluation", "gc")
_READINGS = {
    "gpu_util": ("gpu_util_percent", 1.0),
    "sm_active": ("gpu_sm_active_percent", 1.0),
    "tensor_active": ("gpu_tensor_active_percent", 1.0),
    "mem_used_bytes": ("gpu_memory_used_bytes", 1.0),
    "power_w": ("gpu_power_watts", 1.0),
    "sm_mhz": ("gpu_sm_clock_mhz", 1.0),
    "temp_c": ("gpu_temperature_celsius", 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """One quantity over the run; columns have shape (n,), ascending in time."""

    name: str
    labels: Mapping[str, str]
    """`rank`, or `host` and `gpu`."""
    step: npt.NDArray[np.int64]
    t_ns: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]

    @property
    def tag(self) -> str:
        """A name that says all: `rank0/step_ms`, `node0/gpu1/gpu_power_watts`."""
        where = (
            f"rank{self.labels['rank']}" if "rank" in self.labels else f"{self.labels['host']}/gpu{self.labels['gpu']}"
        )
        return f"{where}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is known of one run."""

    name: str
    id: str
    tracks: tuple[Track, ...]
    summary: Mapping[str, float] = field(default_factory=dict)
    """Single figures of the analysis: `step_mean_ms`, `part_data_ms`, `mfu`, `peak_memory_bytes`."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """`bound`, `sentence`, `gpu`, `torch`; no paths, hosts or arguments."""


def figures_of(run: Path) -> Figures:
    """The figures in a run directory, of a job that is going on or over.

    Raises NotFoundError when it is none, NotEnoughDataError when no step was completed.
    """
    if not run.is_dir():
        raise NotFoundError(f"{run} is no folder; give the run directory that `llmprof run` printed.")
    header = rundir.read_json(run / rundir.RUN)
    tracks: list[Track] = []
    for rank, attempt, folder in rundir.rank_dirs(run)[:MOST_RANKS]:
        labels = {"rank": str(rank)} if not attempt else {"rank": f"{rank}.{attempt}"}
        tracks += _steps(folder, labels)
    if not tracks:
        raise NotEnoughDataError(f"{run} holds no completed step yet; export it when the training has begun.")
    clock = tracks[0]
    for folder in sorted((run / "nodes").glob("*/")):
        tracks += _readings(folder, clock)
    summary, texts = _analysis(run / "analysis.json")
    return Figures(
        name=run.resolve().name, id=str(header.get("id") or ""), tracks=tuple(tracks), summary=summary, texts=texts
    )


def _steps(folder: Path, labels: Mapping[str, str]) -> Iterator[Track]:
    """Wall time and parts of every step of one process; a part only on the steps that measured it."""
    rows = [line for line in _lines(folder / rundir.STEPS) if all(_known(line.get(key)) for key in ("n", "t", "wall"))]
    if not rows:
        return
    number, start, wall = (np.array([row[key] for row in rows], dtype=np.int64) for key in ("n", "t", "wall"))

    def track(name: str, chosen: npt.NDArray[np.intp], value: npt.NDArray[np.float64]) -> Track:
        return Track(name=name, labels=labels, step=number[chosen], t_ns=(start + wall)[chosen], value=value)

    yield track("step_ms", np.arange(number.size), wall / NS_PER_MS)
    for part in _PARTS:
        chosen = np.array([place for place, row in enumerate(rows) if _known(row.get(part))], dtype=np.intp)
        if chosen.size:
            yield track(f"{part}_ms", chosen, np.array([rows[place][part] for place in chosen]) / NS_PER_MS)
    chosen = np.array([place for place, row in enumerate(rows) if _known(row.get("tokens"))], dtype=np.intp)
    chosen = chosen[wall[chosen] > 0]
    if chosen.size:
        tokens = np.array([rows[place]["tokens"] for place in chosen])
        yield track("tokens_per_s", chosen, tokens / wall[chosen] * NS_PER_S)


def _known(value: Any) -> bool:
    """A count or a time of believable size; anything else is damage."""
    return type(value) is int and 0 <= value < 1 << 62


def _readings(folder: Path, clock: Track) -> Iterator[Track]:
    """The readings of a node's GPUs, on the step that was going on."""
    telemetry = NodeTelemetry.read(folder, [])
    for series in telemetry.gpu_series():
        if series.name not in _READINGS or series.device is None:
            continue
        name, factor = _READINGS[series.name]
        known = ~np.isnan(series.value)
        t_ns, value = _thinned(series.t_ns[known], series.value[known] * factor)
        place = np.clip(np.searchsorted(clock.t_ns, t_ns), 0, clock.step.size - 1)
        labels = {"host": folder.name, "gpu": str(series.device)}
        yield Track(name=name, labels=labels, step=clock.step[place], t_ns=t_ns, value=value)


def _thinned(
    t_ns: npt.NDArray[np.int64], value: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    if t_ns.size <= MOST_READINGS:
        return t_ns, value
    parts = np.array_split(np.arange(t_ns.size), MOST_READINGS)
    return np.array([t_ns[part[-1]] for part in parts]), np.array([value[part].mean() for part in parts])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of an append-only file; what is damaged or not finished is left out."""
    with suppress(OSError), open(path, "rb") as file:
        for line in file:
            with suppress(ValueError, RecursionError):
                value = json.loads(line)
                if isinstance(value, dict) and line.endswith(b"\n"):
                    yield value


def _analysis(path: Path) -> tuple[dict[str, float], dict[str, str]]:
    """Single figures and texts of a finished analysis; nothing without one."""
    try:
        found = Diagnosis.from_json(path.read_text(encoding="utf-8", errors="replace"), where=str(path))
    except (OSError, LlmprofError):
        return {}, {}
    step = found.step
    numbers: dict[str, float | int | None] = {
        "step_mean_ms": step.mean_ms,
        "step_median_ms": step.median_ms,
        "step_p95_ms": step.p95_ms,
        "tokens_per_s": step.tokens_per_s,
        "mfu": step.mfu,
        "peak_memory_bytes": step.peak_memory_bytes,
        **{f"part_{name}_ms": value for name, value in found.partition.items()},
    }
    texts = {
        "bound": found.verdict.bound,
        "sentence": found.verdict.sentence,
        "gpu": found.environment.get("gpu"),
        "torch": found.environment.get("torch"),
    }
    return (
        {name: float(value) for name, value in numbers.items() if value is not None},
        {name: str(value) for name, value in texts.items() if value is not None},
    )
