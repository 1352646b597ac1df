"""When does each traced step run on the device? Device-anchored windows, one per marked step."""

from __future__ import annotations

import numpy as np

from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import DEVICE_KINDS, NONE
from llmprof.timeline.timeline import RankTimeline

__all__ = ["windows_of"]


def windows_of(rank: RankTimeline) -> Windows | None:
    """The windows of the traced steps of one rank; None when there is nothing to place on the time axis.

    The device runs behind the host, so a step ends when the last device work that it launched has ended, and the next
    one begins there: the windows tile, and idle time before a step's first kernel belongs to that step. The first
    window begins at its host mark, or when the work of earlier steps has drained. Marks without device work (a run on
    the CPU), or with none that can be linked to a launch, are their own windows. A recording without marks is one
    window from its first to its last device event.
    """
    events, marks = rank.events, rank.marks
    if events is None or len(events) == 0:
        return None
    device = events.rows(*DEVICE_KINDS)
    if device.size == 0:
        return Windows(marks.number, marks.start_ns, marks.end_ns) if len(marks) else None
    begins, ends = events.ts[device], events.end[device]
    if len(marks) == 0:
        return Windows(np.zeros(1, np.int64), begins[:1].copy(), ends.max(keepdims=True))
    linked = events.launch[device] != NONE
    launched = np.where(linked, events.ts[np.maximum(events.launch[device], 0)], np.iinfo(np.int64).min)
    step = np.searchsorted(marks.start_ns, launched, side="right") - 1
    step[(step >= 0) & (launched >= marks.end_ns[np.maximum(step, 0)])] = NONE - 1
    last = np.full(len(marks), np.iinfo(np.int64).min, dtype=np.int64)
    inside = step >= 0
    np.maximum.at(last, step[inside], ends[inside])
    if not inside.any():
        return Windows(marks.number, marks.start_ns, marks.end_ns)
    # Work whose launch is not recorded drains from before the first step only as long as no step's own work has begun;
    # later on it is a record that got lost.
    earlier = ends[(linked | (begins < begins[inside].min())) & (launched < marks.start_ns[0])]
    start = max(int(marks.start_ns[0]), int(earlier.max()) if earlier.size else int(marks.start_ns[0]))
    # A step that put nothing on the device ends with its host mark.
    last = np.where(last == np.iinfo(np.int64).min, marks.end_ns, last)
    edges = np.maximum.accumulate(np.concatenate([[start], last]))
    keep = edges[1:] > edges[:-1]
    if not keep.any():
        return None
    return Windows(marks.number[keep], edges[:-1][keep], edges[1:][keep])
