"""How long is a step, really? The measured step, and the windows of the traced steps on each rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmprof.timeline.intervals import Int64

__all__ = ["StepFacts", "Windows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFacts:
    """The step that partition, shares and gains refer to.

    mean_ns is wall time over counted steps: the unprofiled baseline when there is one (`basis` unprofiled), else the
    traced steps. Spread and history are None or empty when only a mean was given.
    """

    mean_ns: float
    basis: Literal["unprofiled", "profiled"]
    median_ns: float | None = None
    p95_ns: float | None = None
    noise_ns: float | None = None
    """Standard error of the mean, without what waits and pauses noted in each step explain; a gain below twice
    this cannot be told from nothing."""
    steps_measured: int | None = None
    steps_excluded: int | None = None
    steps_traced: int | None = None
    traced_mean_ns: float | None = None
    tokens_per_s: float | None = None
    history_ns: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Device-anchored windows of the traced steps of one rank: [start_ns[i], end_ns[i]), shape (steps,), tiling."""

    number: Int64
    start_ns: Int64
    end_ns: Int64

    def __len__(self) -> int:
        return int(self.number.size)

    @property
    def total_ns(self) -> int:
        """Length of all windows together."""
        return int((self.end_ns - self.start_ns).sum())
