"""Which rows of a recording cannot be true? One corrupt duration would otherwise be the whole verdict."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from llmprof.timeline.events import Kind, UInt8
from llmprof.timeline.intervals import Int64
from llmprof.units import NS_PER_S

__all__ = ["implausible"]

LONGEST_NS = 24 * 3600 * NS_PER_S
"""No row lasts longer, and no row starts further from the middle of the recording: profiler windows are minutes."""

LONGEST_RATIO = 10
"""A row that is this many times as long as everything else together is a corrupt clock reading."""

FEWEST_OTHERS = 20
"""Rows that are needed to say what "everything else" is."""

_FRAMES = (Kind.ANNOTATION, Kind.PYTHON, Kind.GPU_ANNOTATION)
"""Kinds that may honestly be longer than all they contain: a step that sleeps."""


def implausible(ts: Int64, dur: Int64, kind: UInt8) -> npt.NDArray[np.bool_]:
    """Mask of the rows whose start or duration cannot be true; all shapes (n,), ns."""
    if ts.size == 0:
        return np.zeros(0, dtype=bool)
    wrong = (dur > LONGEST_NS) | (np.abs(ts - np.median(ts)) > LONGEST_NS)
    suspects = ~np.isin(kind, _FRAMES)
    for _ in range(min(100, max(1, ts.size // 100))):
        candidates = np.flatnonzero(suspects & ~wrong)
        if candidates.size == 0:
            break
        longest = candidates[np.argmax(dur[candidates])]
        others = np.flatnonzero(~wrong)
        others = others[others != longest]
        if others.size < FEWEST_OTHERS:
            break
        span = int((ts[others] + dur[others]).max() - ts[others].min())
        if dur[longest] <= LONGEST_RATIO * span:
            break
        wrong[longest] = True
    return wrong
