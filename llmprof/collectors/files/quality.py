"""How far can a recording be trusted? Rows that cannot be true, and what is missing or coarse in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind, UInt8
from llmprof.timeline.intervals import Int64
from llmprof.units import NS_PER_S

__all__ = ["clock_quantum", "collective_arguments_share", "implausible", "overlapping_rows", "unanswered_launches"]

LONGEST_NS = 24 * 3600 * NS_PER_S
"""No row lasts longer, and no row starts further from the middle of the recording: profiler windows are minutes."""

LONGEST_RATIO = 10
"""A row that is this many times as long as everything else together is a corrupt clock reading."""

FEWEST_OTHERS = 20
"""Rows that are needed to say what "everything else" is."""

_SAMPLE = 1 << 16
"""Rows whose times are looked at first; where they share no divisor, all of them do not."""

_COLLECTIVE_LIBRARIES = ("nccl", "rccl")

_FRAMES = (Kind.ANNOTATION, Kind.PYTHON, Kind.GPU_ANNOTATION)
"""Kinds that may honestly be longer than all they contain: a step that sleeps."""


def implausible(ts: Int64, dur: Int64, kind: UInt8) -> npt.NDArray[np.bool_]:
    """Mask of the rows whose start or duration cannot be true; all shapes (n,), ns."""
    if ts.size == 0:
        return np.zeros(0, dtype=bool)
    wrong = dur > LONGEST_NS
    if int(ts.max()) - int(ts.min()) > LONGEST_NS:
        wrong |= np.abs(ts - np.median(ts)) > LONGEST_NS
    suspects = ~np.isin(kind, _FRAMES)
    for _ in range(min(100, max(1, ts.size // 100))):
        candidates = suspects & ~wrong
        if not candidates.any():
            break
        longest = int(np.argmax(np.where(candidates, dur, -1)))
        span = _span_without(ts, dur, wrong, longest)
        if span is None or dur[longest] <= LONGEST_RATIO * span:
            break
        wrong[longest] = True
    return wrong


def _span_without(ts: Int64, dur: Int64, wrong: npt.NDArray[np.bool_], row: int) -> int | None:
    """The ns from the first start to the last end of the rows that are not wrong, without `row`; None of too few."""
    if ts.size - int(wrong.sum()) - 1 < FEWEST_OTHERS:
        return None
    if wrong.any():
        others = ~wrong
        others[row] = False
        return int((ts[others] + dur[others]).max() - ts[others].min())
    sides = [part for part in (slice(0, row), slice(row + 1, ts.size)) if ts[part].size]
    return int(max((ts[part] + dur[part]).max() for part in sides) - min(ts[part].min() for part in sides))


def clock_quantum(events: EventTable) -> int | None:
    """The largest number of ns that all starts and durations are multiples of; None for fewer than two rows.

    Starts count from the first one.
    """
    if len(events) < 2:
        return None
    found = 0
    for rows in (slice(0, _SAMPLE), slice(_SAMPLE, None)):
        for column in (events.ts, events.dur):
            found = int(np.gcd.reduce(column[rows], initial=found))
        if found == 1:
            break
    return found or None


def overlapping_rows(events: EventTable) -> int:
    """Device rows that start before an earlier row on their stream has ended."""
    work = events.rows(*DEVICE_KINDS)
    lanes = events.lane[work]
    count = 0
    for lane in np.unique(lanes):
        rows = work[lanes == lane]
        reach = np.maximum.accumulate(events.ts[rows] + events.dur[rows])
        count += int((events.ts[rows][1:] < reach[:-1]).sum())
    return count


def collective_arguments_share(events: EventTable) -> float | None:
    """The share of collective kernels that have their arguments; None without such kernels."""
    names = [any(library in name.lower() for library in _COLLECTIVE_LIBRARIES) for name in events.strings.names]
    rows = events.rows_named((Kind.KERNEL,), np.array(names, dtype=bool))
    if rows.size == 0:
        return None
    return sum(row in events.collectives for row in rows.tolist()) / rows.size


def unanswered_launches(events: EventTable) -> float | None:
    """The share of launching calls whose device work is not in the file; None without such calls."""
    launching = np.array(["Launch" in name for name in events.strings.names], dtype=bool)
    rows = events.rows_named((Kind.RUNTIME,), launching)
    if rows.size == 0:
        return None
    owners = events.launch[events.rows(*DEVICE_KINDS)]
    return 1 - float(np.isin(rows, owners[owners != NONE]).mean())
