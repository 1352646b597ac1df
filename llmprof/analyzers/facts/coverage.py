"""Is a recording whole enough to be measured? The share of launches whose work on the device was recorded."""

from __future__ import annotations

import re

import numpy as np

from llmprof.timeline.events import DEVICE_KINDS, NONE, Kind
from llmprof.timeline.timeline import RankTimeline

__all__ = ["MIN_COVERAGE", "gap_in_recording", "launch_coverage"]

_LAUNCH = re.compile(
    r"^(cuda|hip)(Launch(Kernel|KernelExC|CooperativeKernel)|ExtLaunchKernel|GraphLaunch)|^cuLaunchKernel"
)

MIN_COVERAGE = 0.9
"""Whole recordings have 1.0 (all that were looked at, of CUDA and of ROCm); below this the device's side is missing."""


def gap_in_recording(rank: RankTimeline) -> str | None:
    """Why nothing can be concluded from this rank's recording, and what to do; None when it is whole."""
    if rank.events is None:
        return None
    coverage = launch_coverage(rank)
    cut = "the file was cut off" if rank.quality.truncated else "the profiler did not record the device"
    if coverage is not None and coverage < MIN_COVERAGE:
        return f"only {coverage:.0%} of the launches have their device work in it ({cut}); record it again"
    if coverage is None and rank.quality.truncated:
        return "the file was cut off before any launch or device work; record it again"
    return None


def launch_coverage(rank: RankTimeline) -> float | None:
    """Launches that own device work, as a share of all launches inside the marked steps (all, without marks).

    None when nothing was launched: a run on the CPU. A whole recording has all but a few; a file that was cut, or one
    for which the device's activity could not be recorded, has not.
    """
    events, marks = rank.events, rank.marks
    if events is None:
        return None
    names = events.strings.names
    launching = np.fromiter((_LAUNCH.search(name) is not None for name in names), dtype=bool, count=len(names))
    rows = events.rows_named((Kind.RUNTIME,), launching) if launching.any() else np.empty(0, dtype=np.intp)
    if len(marks):
        rows = rows[(events.ts[rows] >= marks.start_ns[0]) & (events.ts[rows] < marks.end_ns[-1])]
    if rows.size == 0:
        return None
    owners = events.launch[events.rows(*DEVICE_KINDS)]
    return float(np.isin(rows, owners[owners != NONE]).mean())
