"""Where each step begins and ends: the marks inside a recording, and the step times measured without a profiler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from llmprof.timeline.intervals import Int64

__all__ = ["NO_STEPS", "StepMarks", "StepPhase", "StepTimes"]


class StepPhase(IntEnum):
    """The part of a run that a measured step belongs to."""

    WARMUP = 0  # compile, loader start, allocator growth: excluded
    BASELINE = 1  # steady and unprofiled: the steps that are explained
    TRACED = 2  # under the profiler
    AFTER = 3  # unprofiled again: proves that the profiler left nothing behind
    UNSTEADY = 4  # the traced neighbourhood: arming and flushing the profiler


@dataclass(frozen=True, slots=True, eq=False)
class StepMarks:
    """Steps inside a recording, from host marks; columns have shape (steps,), int64, ns from the timeline's origin."""

    number: Int64
    start_ns: Int64
    end_ns: Int64
    source: str = "ProfilerStep"
    """What the marks are: `ProfilerStep` annotations, `llmprof` marks, or `window` for one step that spans all."""

    def __len__(self) -> int:
        return int(self.number.size)


NO_STEPS = StepMarks(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), "none")


@dataclass(frozen=True, slots=True, eq=False)
class StepTimes:
    """Every completed step of a run as measured from the loop; columns have shape (steps,).

    wall_ns is boundary to boundary, so steps tile the run. `parts` are measured pieces of each step in ns (for example
    `data_wait`, `data_wait_exposed`, `checkpoint`, `evaluation`, `gc`, `forward`, `backward`, `optimizer`); NONE (-1)
    in a cell means that this step has no reading.
    """

    number: Int64
    start_ns: Int64
    """Unix nanoseconds."""
    wall_ns: Int64
    phase: npt.NDArray[np.uint8]
    parts: Mapping[str, Int64] = field(default_factory=dict)
    tokens: Int64 | None = None
    microbatches: Int64 | None = None
    chosen: npt.NDArray[np.bool_] | None = None
    """The steps that stand for the run, where these are not simply all of a phase (`facts.pace.steady`)."""

    def __len__(self) -> int:
        return int(self.number.size)

    def select(self, *phases: StepPhase) -> npt.NDArray[np.intp]:
        """Indices of the steps in these phases."""
        return np.flatnonzero(np.isin(self.phase, phases))

    def mean_part_ns(self, name: str, rows: npt.ArrayLike) -> float | None:
        """Mean of one part over steps that have a reading; None when none of them has."""
        column = self.parts.get(name)
        if column is None:
            return None
        values = column[np.asarray(rows, dtype=np.intp)]
        values = values[values >= 0]
        return float(values.mean()) if values.size else None
