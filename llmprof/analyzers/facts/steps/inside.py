"""Which step does a moment belong to? Membership of times in windows and marks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import NONE
from llmprof.timeline.intervals import Int64
from llmprof.timeline.timeline import RankTimeline

__all__ = ["host_steps", "step_of"]


def step_of(start_ns: Int64, end_ns: Int64, points: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """For each point the index of the step [start_ns[i], end_ns[i]) that holds it, else NONE.

    Steps are ascending and do not overlap; `points` has any shape, and so has the result.
    """
    where = np.asarray(points, dtype=np.int64)
    if start_ns.size == 0:
        return np.full(where.shape, NONE, dtype=np.intp)
    index = np.searchsorted(start_ns, where, side="right") - 1
    held = (index >= 0) & (where < end_ns[np.maximum(index, 0)])
    return np.where(held, index, NONE)


def host_steps(rank: RankTimeline, windows: Windows) -> tuple[Int64, Int64]:
    """Start and end of each step on the host: the marks, or the windows where the recording has no marks."""
    if len(rank.marks):
        return rank.marks.start_ns, rank.marks.end_ns
    return windows.start_ns, windows.end_ns
