"""What on the host can make the device wait? Waits in calls, work, garbage collection, allocation, shapes, load."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.host.blocking import Blocking, blocking
from llmprof.analyzers.facts.host.host_work import HostWork, host_work
from llmprof.analyzers.facts.partition.partition import Partition
from llmprof.analyzers.facts.steps.step_times import counted_steps
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.steps import NO_STEPS, StepMarks, StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline

__all__ = ["AllocatorCalls", "Collections", "CpuLoad", "HostCauses", "collections_of", "host_causes"]

LEAST_STEPS = 3
"""Steps with and without a pause that a comparison needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collections:
    """Runs of Python's garbage collector during the counted steps."""

    mean_ns: float
    """Pause per step, over all counted steps."""
    steps_share: float
    """Steps with a pause."""
    longest_ns: float
    felt_ns: float | None = None
    """Of `mean_ns`, what the steps are longer by: ordinary least squares of step time on pause. None where all pauses
    are alike or too few steps have one, so nothing can be compared."""
    felt_error_ns: float | None = None
    """Its standard error."""
    traced_ns: float | None = None
    """Pause per traced step; None where none was traced."""
    least_ns: float | None = None
    """Pause per step that as many other steps of the loop have, too: two standard errors less than the mean, and not
    below the median, since what comes in every second step is sure to come again; a rare long one is not."""

    @property
    def told_from_nothing(self) -> bool:
        """Whether what is felt is more than two standard errors."""
        return self.felt_ns is not None and self.felt_ns > 2 * (self.felt_error_ns or 0.0) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocatorCalls:
    """Calls of the caching allocator to the driver per step, after warm-up, as the allocator itself counts them."""

    allocations: float | None = None
    frees: float | None = None
    retries: float | None = None
    """Times per step that it gave back its cache because the device was full."""
    steps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuLoad:
    """What the rank's processes ask of the CPU, sampled once a second during the counted steps."""

    cores_used: float | None = None
    """Mean of the process tree."""
    runnable: float | None = None
    """Median of the node's load average over one minute: threads that run or want to, of all its ranks."""
    threads: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCauses:
    """All of it for one rank; None where the recording does not tell."""

    blocking: Blocking | None = None
    work: HostWork | None = None
    collections: Collections | None = None
    allocator: AllocatorCalls | None = None
    load: CpuLoad | None = None
    token_counts: int | None = None
    """Different numbers of tokens that the counted steps were fed; None where they were not counted."""


def host_causes(rank: RankTimeline, windows: Windows | None, traced: Partition | None) -> HostCauses:
    """Look at one rank."""
    rows = counted_steps(rank.times)
    return HostCauses(
        blocking=blocking(rank, windows, traced) if windows is not None else None,
        work=host_work(rank, windows, traced) if windows is not None else None,
        collections=collections_of(rank.times, rank.marks),
        allocator=_allocator(rank),
        load=_load(rank, rows),
        token_counts=_token_counts(rank.times, rows),
    )


def _own_wall(times: StepTimes | None, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64] | None:
    """Step times without what is known to hold some steps up: checkpoints and evaluations."""
    if times is None or rows.size == 0:
        return None
    wall = times.wall_ns[rows].astype(np.float64)
    for name in ("checkpoint", "evaluation"):
        column = times.parts.get(name)
        if column is not None:
            wall -= np.maximum(column[rows], 0)
    return wall


def collections_of(times: StepTimes | None, marks: StepMarks = NO_STEPS) -> Collections | None:
    """The garbage collector's pauses; None where nobody noted them.

    marks    the traced steps that are looked at; without any all traced ones
    """
    rows = counted_steps(times)
    column = times.parts.get("gc") if times is not None else None
    wall = _own_wall(times, rows)
    if times is None or column is None or wall is None:
        return None
    profiled = times.select(StepPhase.TRACED)
    looked_at = profiled[np.isin(times.number[profiled], marks.number)]
    traced = np.maximum(column[looked_at if looked_at.size else profiled], 0)
    pause = np.maximum(column[rows], 0).astype(np.float64)
    some = int((pause > 0).sum())
    felt, error = None, None
    spread = float(((pause - pause.mean()) ** 2).sum())
    # Without a difference between the steps there is nothing to compare.
    if some >= LEAST_STEPS and pause.size >= 2 * LEAST_STEPS and spread > (0.1 * pause.mean()) ** 2 * pause.size:
        slope = float(((pause - pause.mean()) * (wall - wall.mean())).sum()) / spread
        rest = wall - wall.mean() - slope * (pause - pause.mean())
        deviation = float(np.sqrt((rest**2).sum() / (pause.size - 2) / spread))
        felt = min(max(slope, 0.0), 1.0) * float(pause.mean())
        error = deviation * float(pause.mean())
    return Collections(
        mean_ns=float(pause.mean()),
        steps_share=some / pause.size,
        longest_ns=float(pause.max()),
        felt_ns=felt,
        felt_error_ns=error,
        traced_ns=float(traced.mean()) if traced.size else None,
        least_ns=_least(pause),
    )


def _least(pause: npt.NDArray[np.float64]) -> float | None:
    if pause.size < 2:
        return None
    error = float(pause.std(ddof=1) / np.sqrt(pause.size))
    mean = float(pause.mean())
    return min(mean, max(float(np.median(pause)), mean - 2 * error))


def _allocator(rank: RankTimeline) -> AllocatorCalls | None:
    stats = rank.memory
    if stats is None or not stats.measured_steps:
        return None

    def each(count: int | None) -> float | None:
        return None if count is None else count / (stats.measured_steps or 1)

    return AllocatorCalls(
        allocations=each(stats.device_allocations),
        frees=each(stats.device_frees),
        retries=each(stats.retries),
        steps=stats.measured_steps,
    )


def _load(rank: RankTimeline, rows: npt.NDArray[np.intp]) -> CpuLoad | None:
    times = rank.times
    found: dict[str, float] = {}
    for series in rank.telemetry:
        if series.device is not None or series.name not in ("cpu_percent", "load_1m", "threads"):
            continue
        value = series.value
        if times is not None and rows.size:
            begin, end = times.start_ns[rows[0]], times.start_ns[rows[-1]] + times.wall_ns[rows[-1]]
            value = value[(series.t_ns >= begin) & (series.t_ns <= end)]
        value = value[~np.isnan(value)]
        if value.size:
            found[series.name] = float(np.median(value) if series.name == "load_1m" else value.mean())
    if not found:
        return None
    percent = found.get("cpu_percent")
    return CpuLoad(
        cores_used=None if percent is None else percent / 100,
        runnable=found.get("load_1m"),
        threads=found.get("threads"),
    )


def _token_counts(times: StepTimes | None, rows: npt.NDArray[np.intp]) -> int | None:
    if times is None or times.tokens is None or rows.size == 0:
        return None
    known = times.tokens[rows][times.tokens[rows] >= 0]
    return int(np.unique(known).size) if known.size else None
