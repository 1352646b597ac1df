"""Did a fix save what was promised? Plain and fixed runs in turns, their spread, and the promise beside them.

Intervals are 95 %. Of two sources of doubt the larger counts: how runs of the same side differ from each other
(Student's t on their means, the variance pooled over both sides; on the differences of the pairs when there are three
or more, which cancels what drifts from pair to pair), and how steps differ inside a run (means of consecutive batches,
because neighbouring steps are not independent).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.promise import Promise
from llmprof.errors import NotEnoughDataError

__all__ = [
    "MIN_STEPS",
    "Comparison",
    "Floats",
    "LossComparison",
    "Outcome",
    "RunSteps",
    "Side",
    "common_steps",
    "compare",
    "compare_losses",
    "student_t",
]

Outcome = Literal["kept", "more", "less", "undecided", "unpromised"]
Floats = npt.NDArray[np.float64]

MIN_STEPS = 3
"""Steady steps that every run has to have: fewer have no spread."""
BATCHES = 8
"""Batches of consecutive steps whose means give the spread inside a run."""
PAIRED_FROM = 3
_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09)
"""Student's t, 97.5 % quantile, for 1, 2, ... degrees of freedom; 2.09 and less beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSteps:
    """The steady steps of one run; columns have shape (steps,)."""

    number: npt.NDArray[np.int64]
    wall_ns: npt.NDArray[np.int64]

    @classmethod
    def of(cls, steps: Sequence[tuple[int, int]]) -> RunSteps:
        """From (number, wall time in ns) of each step; at least one."""
        number, wall = np.array(steps, dtype=np.int64).T
        return cls(number=number, wall_ns=wall)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The mean step of the plain or the fixed runs, in ms, with its interval, and the mean of each run."""

    mean_ms: float
    low_ms: float
    high_ms: float
    runs_ms: tuple[float, ...]
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Plain against fixed, in ms per step; what was saved is negative when the step became longer."""

    plain: Side
    fixed: Side
    saved_ms: float
    saved_low_ms: float
    saved_high_ms: float
    promise: Promise | None
    outcome: Outcome

    @property
    def predicted_ms(self) -> tuple[float | None, float, float] | None:
        """The promised step after the fix (expected, shortest, longest), from the plain step as it is now."""
        if self.promise is None:
            return None
        mean = self.plain.mean_ms
        promise = self.promise.of(mean)
        expected = None if promise.expected_ms is None else mean - promise.expected_ms
        return expected, mean - promise.high_ms, mean - promise.low_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class LossComparison:
    """Losses of both sides at the same steps: means over the last quarter, and the mean relative differences."""

    count: int
    plain: float
    fixed: float
    difference: float
    """Between the fixed and the plain run of a pair."""
    plain_difference: float | None
    """Between two plain runs: what the run differs by anyway; None when there was one."""


def common_steps(runs: Sequence[RunSteps]) -> tuple[list[Floats], bool]:
    """The step times (ms) of every run over the steps that all of them have measured, by number, and True.

    A loop is not the same at every step (checkpoints, lengths), so that sides are compared over the same ones. Where
    fewer than half the steps of a run are common, because they became steady at other times, all of them are returned,
    and False. Raises NotEnoughDataError for a run of fewer than MIN_STEPS.
    """
    fewest = min(run.number.size for run in runs)
    if fewest < MIN_STEPS:
        raise NotEnoughDataError(
            f"a run has {fewest} steady steps, and {MIN_STEPS} are needed; let the runs last longer with --steps or "
            "--duration."
        )
    shared = runs[0].number
    for run in runs[1:]:
        shared = np.intersect1d(shared, run.number)
    aligned = shared.size >= MIN_STEPS and 2 * shared.size >= fewest
    return [(run.wall_ns[np.isin(run.number, shared)] if aligned else run.wall_ns) / 1e6 for run in runs], aligned


def compare(plain: Sequence[Floats], fixed: Sequence[Floats], promise: Promise | None) -> Comparison:
    """Compare the step times (ms) of plain and fixed runs; the runs of a pair stand at the same place.

    The outcome is that of the promise for the plain step as it is now.
    """
    sides = [np.array([run.mean() for run in runs]) for runs in (plain, fixed)]
    doubts = [_inside(runs) for runs in (plain, fixed)]
    pooled = _between(sides[0], sides[1])
    widths = [max(doubt, pooled / sqrt(side.size)) for side, doubt in zip(sides, doubts, strict=True)]
    means = [float(side.mean()) for side in sides]
    saved = means[0] - means[1]
    width = max(sqrt(doubts[0] ** 2 + doubts[1] ** 2), _doubt_of_difference(sides[0], sides[1], pooled))
    measured = [
        Side(
            mean_ms=mean,
            low_ms=max(0.0, mean - wide),
            high_ms=mean + wide,
            runs_ms=tuple(side.tolist()),
            steps=sum(run.size for run in runs),
        )
        for mean, wide, side, runs in zip(means, widths, sides, (plain, fixed), strict=True)
    ]
    return Comparison(
        plain=measured[0],
        fixed=measured[1],
        saved_ms=saved,
        saved_low_ms=saved - width,
        saved_high_ms=saved + width,
        promise=promise,
        outcome="unpromised" if promise is None else _outcome(saved - width, saved + width, promise, means[0]),
    )


def compare_losses(plain: Sequence[Sequence[float]], fixed: Sequence[Sequence[float]]) -> LossComparison | None:
    """Losses of plain and fixed runs, the k-th beside the k-th; None when a side has none."""
    count = min((len(run) for run in (*plain, *fixed)), default=0)
    if not count or not plain or not fixed:
        return None
    before, after = (np.array([run[:count] for run in runs], dtype=np.float64) for runs in (plain, fixed))
    last = max(1, count // 4)
    pairs = min(len(plain), len(fixed))
    between = _apart(before[0], before[1]) if len(plain) > 1 else None
    return LossComparison(
        count=count,
        plain=float(before[:, -last:].mean()),
        fixed=float(after[:, -last:].mean()),
        difference=float(np.mean([_apart(before[pair], after[pair]) for pair in range(pairs)])),
        plain_difference=between,
    )


def _outcome(low: float, high: float, promise: Promise, plain_ms: float) -> Outcome:
    """How what was saved, from `low` to `high`, stands to the promise for the plain step of today."""
    today = promise.of(plain_ms)
    if low > today.high_ms:
        return "more"
    if high < today.low_ms:
        return "less"
    return "undecided" if low <= 0 < promise.low_ms else "kept"


def student_t(freedom: int) -> float:
    """The 97.5 % quantile of Student's t: half of a 95 % interval is this many standard errors; `freedom` from 1 on."""
    return _T[min(freedom, len(_T)) - 1]


def _inside(runs: Sequence[Floats]) -> float:
    """Half the interval of the mean of these runs, from the spread of their steps alone."""
    variances, freedom = [], 0
    for run in runs:
        batches = np.array([part.mean() for part in np.array_split(run, min(BATCHES, run.size))])
        variances.append(batches.var(ddof=1) / batches.size)
        freedom += batches.size - 1
    return student_t(freedom) * sqrt(sum(variances)) / len(runs)


def _between(plain: Floats, fixed: Floats) -> float:
    """Half the interval of one run's mean, from how runs of a side differ; 0 when there is one of each."""
    freedom = plain.size + fixed.size - 2
    if freedom <= 0:
        return 0.0
    squares = ((plain - plain.mean()) ** 2).sum() + ((fixed - fixed.mean()) ** 2).sum()
    return student_t(freedom) * sqrt(float(squares) / freedom)


def _doubt_of_difference(plain: Floats, fixed: Floats, pooled: float) -> float:
    if plain.size == fixed.size >= PAIRED_FROM:
        return student_t(plain.size - 1) * float((plain - fixed).std(ddof=1)) / sqrt(plain.size)
    return pooled * sqrt(1 / plain.size + 1 / fixed.size)


def _apart(one: Floats, other: Floats) -> float:
    """Mean relative difference of two curves; infinite where a value is no number."""
    scale = np.maximum(np.abs(one), np.finfo(np.float64).tiny)
    mean = float(np.mean(np.abs(one - other) / scale))
    return mean if isfinite(mean) else float("inf")
