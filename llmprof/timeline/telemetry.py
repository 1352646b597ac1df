"""Sampled readings over time: utilisation, power, clocks, memory, CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.timeline.intervals import Int64

__all__ = ["Series"]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One quantity sampled over time.

    t_ns    int64 unix ns, shape (n,), ascending
    value   float64, shape (n,); NaN where the device refused to answer
    """

    name: str
    unit: str
    t_ns: Int64
    value: npt.NDArray[np.float64]
    device: int | None = None

    def mean(self) -> float | None:
        """Mean of the known samples; None when there is none."""
        known = self.value[~np.isnan(self.value)]
        return float(known.mean()) if known.size else None

    def peak(self) -> float | None:
        """Largest known sample; None when there is none."""
        known = self.value[~np.isnan(self.value)]
        return float(known.max()) if known.size else None
