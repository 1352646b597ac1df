"""Is a recording whole enough to be measured? Launches without their work, rows that were lost, coarse clocks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np

from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.events import DEVICE_KINDS, NONE, Kind
from llmprof.timeline.timeline import Quality, RankTimeline
from llmprof.units import format_ns

__all__ = ["MAX_LOST", "MIN_COVERAGE", "RecordingFacts", "gap_in_recording", "launch_coverage", "recording_facts"]

_LAUNCH = re.compile(
    r"^(cuda|hip)(Launch(Kernel|KernelExC|CooperativeKernel)|ExtLaunchKernel|GraphLaunch)|^cuLaunchKernel"
)

MIN_COVERAGE = 0.9
"""Whole recordings have 1.0 (all that were looked at, of CUDA and of ROCm); below this the device's side is missing."""

MAX_LOST = 0.1
"""Rows that could not be read or cannot be true, as a share of all; each leaves a hole that looks like idle time. From
a tenth on, holes alone can make a cause of 10 % of the step, which is where a class begins to count."""

MAX_CLOCK_ERROR = 0.1
"""The same limit for what rounding may move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFacts:
    """What may be booked wrongly because of how the steps were recorded; shares are of 1."""

    lost_share: float = 0.0
    """Rows that were left out, of all rows."""
    clock_error_share: float = 0.0
    """What rounding to the clock's quantum may move between work and idle, of the traced time."""
    cut: bool = False
    """The file ended inside its events."""
    quality: Quality = field(default_factory=Quality)
    """The record itself."""


def recording_facts(rank: RankTimeline, windows: Windows | None) -> RecordingFacts:
    """What the quality record of a rank means for the traced steps; their shapes may be those of steps of their own."""
    quality = rank.quality if rank.shaped is None else replace(rank.quality, has_shapes=True)
    return RecordingFacts(
        lost_share=_lost_share(rank),
        clock_error_share=_clock_error(rank, windows),
        cut=quality.cut_in_events,
        quality=quality,
    )


def _lost_share(rank: RankTimeline) -> float:
    kept = 0 if rank.events is None else len(rank.events)
    lost = rank.quality.dropped_events
    return lost / (kept + lost) if lost else 0.0


def _clock_error(rank: RankTimeline, windows: Windows | None) -> float:
    """Half a quantum, the mean error of a rounded length, for each device row in the windows."""
    quantum = rank.quality.clock_quantum_ns
    if rank.events is None or windows is None or quantum is None or len(windows) == 0:
        return 0.0
    start, end = int(windows.start_ns[0]), int(windows.end_ns[-1])
    begins = rank.events.ts[rank.events.rows(*DEVICE_KINDS)]
    inside = int(((begins >= start) & (begins < end)).sum())
    return min(1.0, 0.5 * quantum * inside / (end - start)) if end > start else 0.0


def gap_in_recording(rank: RankTimeline) -> str | None:
    """Why nothing can be concluded from this rank's recording, and what to do; None when it is whole."""
    if rank.events is None:
        return None
    lost = _lost_share(rank)
    if lost > MAX_LOST:
        return f"{lost:.0%} of its events could not be read or cannot be true; record it again"
    quantum = rank.quality.clock_quantum_ns or 1
    if quantum > 1 and _clock_error(rank, windows_of(rank)) > MAX_CLOCK_ERROR:
        return f"its times are multiples of {format_ns(quantum)}, too coarse for its kernels; record it again"
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
