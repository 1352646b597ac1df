"""How long is a step, really? The mean over unprofiled steps where they were measured, with its spread and history."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.steps.steps import StepFacts, Windows
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline
from llmprof.units import NS_PER_MS

__all__ = ["MIN_BASELINE_STEPS", "counted_steps", "device_spread_ns", "exposed_wait_ns", "step_facts"]

MIN_BASELINE_STEPS = 3
"""Fewer unprofiled steps than this do not make a mean; the next best steps are used."""

MIN_READINGS = 6
"""Of fewer steps the spread is a matter of chance."""

HISTORY_POINTS = 200
NOTED = ("checkpoint", "evaluation", "epoch_start", "data_wait", "gc")
"""What may hold a step up and is noted in each step for itself: how it varies is known, and no chance."""


def step_facts(rank: RankTimeline, windows: Windows | None, step_ms: float | None = None) -> StepFacts | None:
    """The step of one rank; None when neither times nor traced steps say how long one is.

    step_ms    the mean unprofiled step in ms as the user measured it; it wins over everything that was recorded
    """
    traced = windows.total_ns / len(windows) if windows is not None and len(windows) else None
    times = rank.times
    rows = counted_steps(times)
    if step_ms is not None:
        return StepFacts(
            mean_ns=step_ms * NS_PER_MS,
            basis="unprofiled",
            steps_traced=_traced_count(rank, windows),
            traced_mean_ns=traced,
        )
    if times is not None and rows.size >= MIN_BASELINE_STEPS:
        return _from_times(times, rows, traced)
    if traced is None or windows is None:
        return None
    lengths = (windows.end_ns - windows.start_ns).astype(np.float64)
    return StepFacts(
        mean_ns=traced,
        basis="profiled",
        median_ns=float(np.median(lengths)),
        noise_ns=float(lengths.std(ddof=1) / np.sqrt(lengths.size)) if lengths.size > 1 else None,
        steps_measured=len(windows),
        steps_excluded=len(times) - len(windows) if times is not None else 0,
        steps_traced=_traced_count(rank, windows),
        traced_mean_ns=traced,
        history_ns=tuple(lengths),
    )


def counted_steps(times: StepTimes | None) -> npt.NDArray[np.intp]:
    """The steps that the mean is made of: the steady unprofiled ones before the burst, else those after it."""
    if times is None:
        return np.empty(0, dtype=np.intp)
    if times.chosen is not None:
        return np.flatnonzero(times.chosen)
    rows = times.select(StepPhase.BASELINE)
    return rows if rows.size >= MIN_BASELINE_STEPS else times.select(StepPhase.AFTER)


def device_spread_ns(times: StepTimes | None) -> float | None:
    """The standard deviation of the counted steps that were read on the device; None where there are too few."""
    device = None if times is None else times.parts.get("device")
    lengths = np.empty(0) if device is None else device[counted_steps(times)]
    lengths = lengths[lengths > 0]
    return float(lengths.std(ddof=1)) if lengths.size >= MIN_READINGS else None


def exposed_wait_ns(times: StepTimes) -> float | None:
    """Mean wait for data with an idle device, per counted step; None when no step has a reading.

    The device is asked on some steps only, the host's wait is known for all: a ratio estimator, the host's mean wait
    times the exposed share of the waits on the steps that have both. Where an epoch starts, all of the start is a wait:
    ending the old iterator and making the new one with its workers takes longer than any queue of the device lasts.
    """
    rows = counted_steps(times)
    exposed, waited = times.parts.get("data_wait_exposed"), times.parts.get("data_wait")
    if exposed is None or rows.size == 0:
        return None
    if waited is None:
        return times.mean_part_ns("data_wait_exposed", rows)
    both = rows[(exposed[rows] >= 0) & (waited[rows] >= 0)]
    total = float(waited[both].sum())
    mean = times.mean_part_ns("data_wait", rows)
    if both.size == 0 or total <= 0 or mean is None:
        return times.mean_part_ns("data_wait_exposed", rows)
    share = min(1.0, float(exposed[both].sum()) / total)
    starts = times.parts.get("epoch_start")
    if starts is None:
        return mean * share
    begun = rows[starts[rows] > 0]
    # The wait for its first batch is in both.
    return mean * share + float((starts[begun] - share * waited[begun].clip(0, starts[begun])).sum()) / rows.size


def _from_times(times: StepTimes, rows: npt.NDArray[np.intp], traced: float | None) -> StepFacts:
    wall = times.wall_ns[rows].astype(np.float64)
    tokens = times.tokens[rows] if times.tokens is not None else None
    known = tokens is not None and bool((tokens >= 0).all()) and int(tokens.sum()) > 0
    return StepFacts(
        mean_ns=float(wall.mean()),
        basis="unprofiled",
        median_ns=float(np.median(wall)),
        p95_ns=float(np.percentile(wall, 95)),
        noise_ns=_noise_ns(times, rows),
        steps_measured=int(rows.size),
        steps_excluded=len(times) - int(rows.size),
        steps_traced=int(times.select(StepPhase.TRACED).size),
        traced_mean_ns=traced,
        tokens_per_s=float(tokens.sum() / wall.sum() * 1e9) if known and tokens is not None else None,
        history_ns=_thinned(times.wall_ns[rows]),
    )


def _noise_ns(times: StepTimes, rows: npt.NDArray[np.intp]) -> float | None:
    """Standard error of the mean, without what the NOTED parts add; by the host's clock or the device's, the smaller.

    A host that runs ahead of its device is stopped where a logged loss needs it, for as long as it was ahead, and is
    quick in the next steps: on its clock steps vary whose work does not. The mean of the few steps that were read on
    the device may be off that of all steps, and counts with how far it is.
    """
    noted = _noted(times, rows)
    wall, device = times.wall_ns[rows], times.parts.get("device", np.zeros_like(times.wall_ns))[rows]
    errors = []
    for lengths, fewest in ((wall, 2), (device, MIN_READINGS)):
        read = np.flatnonzero(lengths > 0)
        if read.size >= fewest:
            felt = _felt(lengths, noted, read)
            rest = (lengths - felt)[read]
            errors.append(float(np.hypot(rest.std(ddof=1) / np.sqrt(rest.size), (wall - felt).mean() - rest.mean())))
    return min(errors, default=None)


def _noted(times: StepTimes, rows: npt.NDArray[np.intp]) -> list[npt.NDArray[np.int64]]:
    """Ns of each of the NOTED parts in these steps; of a start of an epoch, the wait for its batch is a part."""
    found = {name: times.parts[name][rows].clip(0) for name in NOTED if name in times.parts}
    if "epoch_start" in found and "data_wait" in found:
        found["data_wait"] = np.where(found["epoch_start"] > 0, 0, found["data_wait"])
    return list(found.values())


def _felt(
    lengths: npt.NDArray[np.int64], noted: Iterable[npt.NDArray[np.int64]], read: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Ns of the noted parts that make these steps longer, as far as those in `read` tell: they vary less without them.

    A host that waits for its device anyway gives back what it spends in such a part, and varies less with it.
    """
    felt = np.zeros(lengths.size)
    for part in noted:
        if (lengths - felt - part)[read].std() <= (lengths - felt)[read].std():
            felt += part
    return felt


def _traced_count(rank: RankTimeline, windows: Windows | None) -> int | None:
    return len(rank.marks) if len(rank.marks) else None if windows is None else 0


def _thinned(wall: npt.NDArray[np.int64]) -> tuple[float, ...]:
    """At most HISTORY_POINTS values: the median of each run of neighbours."""
    if wall.size <= HISTORY_POINTS:
        return tuple(float(value) for value in wall)
    return tuple(float(np.median(part)) for part in np.array_split(wall, HISTORY_POINTS))
