"""How long does a message take, by its size? A latency and a bandwidth, fitted to transfers that were recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmprof.timeline.intervals import Int64
from llmprof.units import NS_PER_S

__all__ = ["TransferFit", "fit_transfers"]

SPREAD = 4.0
"""The largest size over the smallest: with less, latency and bandwidth cannot be told apart."""
SIZES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFit:
    """t = latency + bytes / bandwidth (the alpha-beta model of Hockney, 1994)."""

    latency_ns: float
    bytes_per_s: float
    """Message bytes (algorithm bandwidth), not bus bytes."""
    calls: int

    def ns(self, size: float) -> float:
        """Time of one message of so many bytes."""
        return self.latency_ns + size / self.bytes_per_s * NS_PER_S


def fit_transfers(sizes: Int64, ns: Int64) -> TransferFit | None:
    """The fit to messages of `sizes` bytes that took `ns`; None when their sizes differ too little.

    Each size counts once, with the median of its times, and by relative error: else the largest ones decide alone.
    """
    known = (sizes > 0) & (ns > 0)
    if not known.any():
        return None
    distinct, where = np.unique(sizes[known], return_inverse=True)
    if distinct.size < SIZES or distinct[-1] < SPREAD * distinct[0]:
        return None
    typical = np.array([np.median(ns[known][where == place]) for place in range(distinct.size)])
    columns = np.stack([1 / typical, distinct / typical], axis=1)
    latency, slope = np.linalg.lstsq(columns, np.ones(distinct.size), rcond=None)[0]
    if latency < 0:
        latency, slope = 0.0, float((distinct / typical).sum() / ((distinct / typical) ** 2).sum())
    if slope <= 0:
        return None
    return TransferFit(latency_ns=float(latency), bytes_per_s=NS_PER_S / float(slope), calls=int(known.sum()))
