"""Which steps are unlike the others, what comes back every so many steps, and does the step get longer?

From the step times that were measured without a profiler. The table covers all steady unprofiled steps of the run, also
those after the burst; what `counted` says is about the steps that the mean is made of (`step_times.counted_steps`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.steady import period_of
from llmprof.analyzers.facts.step_times import counted_steps
from llmprof.analyzers.facts.trend import Trend, trend_of
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline

__all__ = ["CAUSES", "OUTLIER_SIGMAS", "STALLS", "Outlier", "Outliers", "Stall", "StepTable", "WarmUp", "step_table"]

OUTLIER_SIGMAS = 5.0
"""Robust standard deviations above the median from which on a step is an outlier: a normal one in 3.5 million is."""
MAD_TO_SIGMA = 1.4826
"""The standard deviation of normal values over their median absolute deviation (Rousseeuw and Croux 1993)."""
LEAST_SIGMA = 0.01
"""Of the median: where steps agree to a thousandth, a hundredth more is still no outlier worth a word."""
FOLLOWERS = 8
"""Steps within which a host that was ahead of the device is ahead again: the launch queue holds about 1024 kernels,
which is one or two steps, or a few of a small model."""
MIN_STEPS = 8
"""Fewer steps have no median to be unlike of."""
MIN_BEFORE = 4
"""Steps before stalls that tell the pace: fewer are a matter of chance."""
RARE_SHARE = 0.25
"""Of the steps: what more of them have than this is no interruption of steps that are otherwise without."""
MOST_NAMED = 12
PHASES = ("forward", "backward", "optimizer")
FEW = 10
"""One step of so many is seldom enough to be called a few."""
STALLS = ("checkpoint", "evaluation", "gc")
CAUSES = (*STALLS, "epoch_start", "data_wait", "forward", "backward", "optimizer")
"""Measured parts of a step that may have made it long, those with a name of their own first."""
CAUSE_SHARE = 0.5
"""Of its excess that a part has to explain to be called the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlier:
    """One step that took much longer than the median, and that the steps after it did not make up for."""

    step: int
    wall_ns: int
    excess_ns: float
    """Beyond the median, less what the next steps gave back."""
    cause: str | None = None
    """The part of CAUSES that grew by most of the excess; None where none did."""
    window_ns: tuple[int, int] | None = None
    """Its place on the timeline of the rank; None where nothing was traced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outliers:
    """The long steps of a run together."""

    count: int
    excess_ns: float
    """The excess of all of them, per steady step."""
    counted_excess_ns: float
    """The same over the steps that the mean is made of: how much of the mean step it is."""
    by_cause: Mapping[str, float] = field(default_factory=dict)
    """`counted_excess_ns` by cause; `unknown` for steps in which no measured part grew."""
    few_share: float = 1.0
    """Of the excess that the longest of them have, a tenth of the steps at most."""
    period_steps: int | None = None
    """Steps from one to the next where they come back regularly."""
    longest: tuple[Outlier, ...] = ()


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
        outliers=_outliers(times, rows, counted, median, sigma, origin),
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


def _net_excess(
    times: StepTimes, steady: npt.NDArray[np.intp], chosen: npt.NDArray[np.intp], median: float
) -> npt.NDArray[np.float64]:
    """What each chosen step takes beyond the median and the steps after it do not give back, shape of `chosen`.

    A step in which the host waits for everything that it has queued (a loss that is read, a checkpoint) is longer by
    the length of the queue, and the next ones are as much shorter until the host is ahead again: nothing is lost then.
    """
    excess = (times.wall_ns - median).astype(np.float64)
    calm = np.zeros(len(times) + FOLLOWERS, dtype=bool)
    calm[steady] = True
    calm[chosen] = False
    padded = np.concatenate([excess, np.zeros(FOLLOWERS)])
    total, least = excess[chosen], excess[chosen]
    going = np.ones(chosen.size, dtype=bool)
    for later in range(1, FOLLOWERS + 1):
        going &= calm[chosen + later]
        total = total + np.where(going, padded[chosen + later], 0.0)
        least = np.minimum(least, total)
    return np.maximum(least, 0.0)


def _outliers(
    times: StepTimes,
    rows: npt.NDArray[np.intp],
    counted: npt.NDArray[np.intp],
    median: float,
    sigma: float,
    origin: int | None,
) -> Outliers:
    long = rows[times.wall_ns[rows] - median > OUTLIER_SIGMAS * sigma]
    long = long[np.isin(long + 1, rows)]  # without the next step nothing tells whether it gives something back
    net = _net_excess(times, rows, long, median)
    found, excess = long[net > OUTLIER_SIGMAS * sigma], net[net > OUTLIER_SIGMAS * sigma]
    causes = np.array(_causes(times, rows, found, excess), dtype=object)
    inside = np.isin(found, counted)
    by_cause = {
        str(name): float(excess[inside & (causes == name)].sum()) / max(counted.size, 1) for name in np.unique(causes)
    }
    longest = np.sort(np.argsort(-excess, kind="stable")[:MOST_NAMED])
    return Outliers(
        count=int(found.size),
        excess_ns=float(excess.sum()) / rows.size,
        counted_excess_ns=float(excess[inside].sum()) / max(counted.size, 1),
        by_cause={name: value for name, value in by_cause.items() if value > 0},
        few_share=float(np.sort(excess)[::-1][: rows.size // FEW].sum() / excess.sum()) if excess.size else 1.0,
        period_steps=period_of(times.number[found]),
        longest=tuple(
            Outlier(
                step=int(times.number[found[i]]),
                wall_ns=int(times.wall_ns[found[i]]),
                excess_ns=float(excess[i]),
                cause=None if causes[i] == "unknown" else str(causes[i]),
                window_ns=_window(times, int(found[i]), origin),
            )
            for i in longest.tolist()
        ),
    )


def _window(times: StepTimes, row: int, origin: int | None) -> tuple[int, int] | None:
    if origin is None:
        return None
    start = int(times.start_ns[row]) - origin
    return start, start + int(times.wall_ns[row])


def _causes(
    times: StepTimes, rows: npt.NDArray[np.intp], found: npt.NDArray[np.intp], excess: npt.NDArray[np.float64]
) -> list[str]:
    """For each long step the first of CAUSES that grew by CAUSE_SHARE of its excess, else `unknown`."""
    result = np.full(found.size, "unknown", dtype=object)
    for name in reversed(CAUSES):
        column = times.parts.get(name)
        if column is None:
            continue
        known = column[rows][column[rows] >= 0]
        # A part that only some steps have (a checkpoint) is nothing in the others.
        usual = float(np.median(known)) if 2 * known.size > rows.size else 0.0
        grew = np.where(column[found] >= 0, column[found] - usual, 0.0)
        result[grew >= CAUSE_SHARE * excess] = name
    return [str(name) for name in result]


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
        cost = np.minimum(column[where], _net_excess(times, rows, where, pace) + 2 * noise)
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
