"""How long are the steps of a run: what stops training between them, what warm-up took, and do they get longer?

From the step times that were measured without a profiler. The table covers all steady unprofiled steps of the run, also
those after the burst; what `counted` says is about the steps that the mean is made of (`step_times.counted_steps`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.pace.long_steps import CAUSES, STALLS, Outliers, net_excess, outliers_of
from llmprof.analyzers.facts.pace.steady import period_of
from llmprof.analyzers.facts.steps.step_times import counted_steps
from llmprof.analyzers.facts.steps.trend import Trend, trend_of
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline

__all__ = ["Stall", "StepTable", "WarmUp", "step_table"]

MAD_TO_SIGMA = 1.4826
"""The standard deviation of normal values over their median absolute deviation (Rousseeuw and Croux 1993)."""
LEAST_SIGMA = 0.01
"""Of the median: where steps agree to a thousandth, a hundredth more is still no outlier worth a word."""
MIN_STEPS = 8
"""Fewer steps have no median to be unlike of."""
MIN_BEFORE = 4
"""Steps before stalls that tell the pace: fewer are a matter of chance."""
RARE_SHARE = 0.25
"""Of the steps: what more of them have than this is no interruption of steps that are otherwise without."""
PHASES = ("forward", "backward", "optimizer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """What stops training between its steps: one kind of it."""

    count: int
    total_ns: int
    longest_ns: int
    per_step_ns: float
    """What it costs per steady step of the run: at most what these steps take beyond the others."""
    counted_ns: float
    """Per step that the mean is made of: how much of the mean step it is."""
    period_steps: int | None = None
    error_ns: float | None = None
    """Standard error of `counted_ns`, from the costs of single stalls; None with one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """The steps before the steady ones."""

    steps: int
    total_ns: int
    first_ns: int
    excess_ns: float
    """Beyond as many median steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTable:
    """All steps of one rank that were timed without a profiler."""

    steps: int
    """Steady ones."""
    median_ns: float
    sigma_ns: float
    """Robust standard deviation."""
    outliers: Outliers
    stalls: Mapping[str, Stall] = field(default_factory=dict)
    """Those of STALLS, and `epoch_start`, that happened."""
    warm_up: WarmUp | None = None
    drift: Trend | None = None
    """Of the step's length; None where steps are too few."""
    drift_causes: Mapping[str, float] = field(default_factory=dict)
    """Share of the drift that each measured part's own trend makes."""
    tokens_drift: Trend | None = None
    before_ns: float | None = None
    """Median of the steps before the burst."""
    after_ns: float | None = None
    """Median of the steps after it."""
    moved: bool = False
    """Whether three of four steps after the burst are longer than three of four before it."""
    phases_ns: Mapping[str, float] = field(default_factory=dict)
    """Mean host time of each of PHASES over the steps that the mean is made of, measured without a profiler."""


def step_table(rank: RankTimeline) -> StepTable | None:
    """The table of one rank; None with fewer than MIN_STEPS steady steps."""
    times = rank.times
    if times is None:
        return None
    rows = times.select(StepPhase.BASELINE, StepPhase.AFTER)
    if rows.size < MIN_STEPS:
        return None
    wall = times.wall_ns[rows].astype(np.float64)
    median = float(np.median(wall))
    sigma = max(MAD_TO_SIGMA * float(np.median(np.abs(wall - median))), LEAST_SIGMA * median)
    counted = counted_steps(times)
    origin = rank.origin_ns if rank.events is not None else None
    drift = trend_of(times.number[rows], wall)
    before, after = times.select(StepPhase.BASELINE), times.select(StepPhase.AFTER)
    return StepTable(
        steps=int(rows.size),
        median_ns=median,
        sigma_ns=sigma,
        outliers=outliers_of(times, rows, counted, median, sigma, origin),
        stalls=_stalls(times, rows, counted, median, sigma),
        warm_up=_warm_up(times, median),
        drift=drift,
        drift_causes={} if drift is None else _drift_causes(times, rows, drift),
        tokens_drift=_tokens_drift(times, rows),
        before_ns=float(np.median(times.wall_ns[before])) if before.size else None,
        after_ns=float(np.median(times.wall_ns[after])) if after.size else None,
        moved=bool(
            before.size
            and after.size
            and np.percentile(times.wall_ns[after], 25) > np.percentile(times.wall_ns[before], 75)
        ),
        phases_ns={name: mean for name in PHASES if (mean := times.mean_part_ns(name, counted)) is not None},
    )


def _stalls(
    times: StepTimes, rows: npt.NDArray[np.intp], counted: npt.NDArray[np.intp], median: float, sigma: float
) -> dict[str, Stall]:
    result = {}
    for name in (*STALLS, "epoch_start"):
        column = times.parts.get(name)
        if column is None:
            continue
        where = rows[column[rows] > 0]
        if where.size == 0:
            continue
        pace, noise = _pace(times, rows, where, median, sigma)
        # Part of it may be the wait for work that was queued before, which the next steps give back.
        cost = np.minimum(column[where], net_excess(times, rows, where, pace) + 2 * noise)
        inside = cost[np.isin(where, counted)]
        result[name] = Stall(
            count=int(where.size),
            total_ns=int(column[where].sum()),
            longest_ns=int(column[where].max()),
            per_step_ns=float(cost.sum()) / rows.size,
            counted_ns=float(inside.sum()) / max(counted.size, 1),
            period_steps=period_of(times.number[where]),
            error_ns=float(inside.std(ddof=1)) * inside.size**0.5 / counted.size if inside.size > 1 else None,
        )
    return result


def _pace(
    times: StepTimes, rows: npt.NDArray[np.intp], where: npt.NDArray[np.intp], median: float, sigma: float
) -> tuple[float, float]:
    """The step that training settles to between two stalls, and its robust deviation; ns.

    After a stall the device has nothing queued, and steps are as short as the host makes them until the queue is full
    again: most steps may be such ones. The last ones before the next stall are as long as all would be without stalls.
    """
    if where.size < 2 or where.size > RARE_SHARE * rows.size:
        return median, sigma
    before = np.setdiff1d(np.intersect1d(np.concatenate([where - 1, where - 2]), rows), where)
    wall = times.wall_ns[before]
    if before.size < MIN_BEFORE or float(np.median(wall)) <= median:
        return median, sigma
    pace = float(np.median(wall))
    return pace, max(MAD_TO_SIGMA * float(np.median(np.abs(wall - pace))), LEAST_SIGMA * pace)


def _warm_up(times: StepTimes, median: float) -> WarmUp | None:
    rows = times.select(StepPhase.WARMUP)
    if rows.size == 0:
        return None
    wall = times.wall_ns[rows]
    return WarmUp(
        steps=int(rows.size),
        total_ns=int(wall.sum()),
        first_ns=int(wall[0]),
        excess_ns=max(0.0, float(wall.sum()) - rows.size * median),
    )


def _drift_causes(times: StepTimes, rows: npt.NDArray[np.intp], drift: Trend) -> dict[str, float]:
    """How much of the step's slope the slopes of its measured parts make; parts that do not grow are left out."""
    result = {}
    for name in CAUSES[len(STALLS) + 1 :]:
        column = times.parts.get(name)
        if column is None or drift.slope <= 0:
            continue
        known = rows[column[rows] >= 0]
        found = trend_of(times.number[known], column[known].astype(np.float64))
        if found is not None and found.low > 0:
            result[name] = found.slope / drift.slope
    return result


def _tokens_drift(times: StepTimes, rows: npt.NDArray[np.intp]) -> Trend | None:
    if times.tokens is None:
        return None
    known = rows[times.tokens[rows] > 0]
    return trend_of(times.number[known], times.tokens[known].astype(np.float64))
