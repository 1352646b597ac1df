"""Which steps are much longer than the others, what made them so, and what did the steps after them give back?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.pace.steady import period_of
from llmprof.timeline.steps import StepTimes

__all__ = ["CAUSES", "STALLS", "Outlier", "Outliers", "net_excess", "outliers_of"]

OUTLIER_SIGMAS = 5.0
"""Robust standard deviations above the median from which on a step is an outlier: a normal one in 3.5 million is."""
FOLLOWERS = 8
"""Steps within which a host that was ahead of the device is ahead again: the launch queue holds about 1024 kernels,
which is one or two steps, or a few of a small model."""
MOST_NAMED = 12
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


def net_excess(
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


def outliers_of(
    times: StepTimes,
    rows: npt.NDArray[np.intp],
    counted: npt.NDArray[np.intp],
    median: float,
    sigma: float,
    origin: int | None,
) -> Outliers:
    """The outliers among the steady `rows`; `counted` are those that the mean is made of, times in ns."""
    long = rows[times.wall_ns[rows] - median > OUTLIER_SIGMAS * sigma]
    long = long[np.isin(long + 1, rows)]  # without the next step nothing tells whether it gives something back
    net = net_excess(times, rows, long, median)
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
