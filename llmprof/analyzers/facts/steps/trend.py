"""Does a figure grow from step to step? The Theil-Sen slope with its interval, which single long steps do not move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Trend", "trend_of"]

MOST_POINTS = 200
"""More are joined to the medians of neighbours: 20,000 slopes tell as much as two million."""
LEAST_POINTS = 5
Z_95 = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A straight line through readings over steps."""

    slope: float
    """Per step."""
    low: float
    """Lower end of the 95 % interval of the slope."""
    high: float
    start: float
    """The line at the first step, and after so many `steps`, at the last."""
    end: float
    steps: int
    points: int

    @property
    def per_hundred(self) -> float | None:
        """Growth per hundred steps as a share of where it starts."""
        return 100 * self.slope / self.start if self.start > 0 else None


def trend_of(step: npt.NDArray[np.int64], value: npt.NDArray[np.float64]) -> Trend | None:
    """The median of the slopes between all pairs (Theil 1950, Sen 1968); None with fewer than LEAST_POINTS readings.

    step, value    shape (n,), ascending by step. The interval is Sen's, from the normal approximation of Kendall's S.
    """
    if step.size < LEAST_POINTS:
        return None
    x, y = step.astype(np.float64), value.astype(np.float64)
    if x.size > MOST_POINTS:
        x = np.array([part.mean() for part in np.array_split(x, MOST_POINTS)])
        y = np.array([np.median(part) for part in np.array_split(y, MOST_POINTS)])
    first, second = np.triu_indices(x.size, k=1)
    run = x[second] - x[first]
    slopes = np.sort((y[second] - y[first])[run > 0] / run[run > 0])
    if slopes.size == 0:
        return None
    n = x.size
    reach = Z_95 * np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = int(np.clip((slopes.size - reach) / 2, 0, slopes.size - 1))
    high = int(np.clip((slopes.size + reach) / 2, 0, slopes.size - 1))
    slope = float(np.median(slopes))
    middle = float(np.median(y - slope * x))
    return Trend(
        slope=slope,
        low=float(slopes[low]),
        high=float(slopes[high]),
        start=middle + slope * float(step[0]),
        end=middle + slope * float(step[-1]),
        steps=int(step[-1] - step[0]),
        points=int(step.size),
    )
