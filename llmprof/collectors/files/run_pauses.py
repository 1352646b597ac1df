"""Which pauses that the recorder noted lie in the trace? Garbage collections, as annotations of the training thread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files.run_lines import LIMIT, Record, integer_of
from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.timeline import RankTimeline

__all__ = ["GC", "with_collections"]

GC = "llmprof.gc"
"""The annotation: the profiler records nothing of a collection, and its time looks like any other work of the host."""

_T = TypeVar("_T", bound=np.integer[Any])


def with_collections(timeline: RankTimeline, notes: Iterable[Record]) -> RankTimeline:
    """The timeline with an annotation for each collection that was noted (lines of events.jsonl) in its traced steps.

    A note is written when the collection ends. Nothing changes where no annotation marks the steps: nothing says then
    which thread trains.
    """
    events, marks = timeline.events, timeline.marks
    if events is None or not len(marks):
        return timeline
    said = ((integer_of(note.get("t")), integer_of(note.get("ns"))) for note in notes if note.get("kind") == "gc")
    found = [(t - ns - timeline.origin_ns, ns) for t, ns in said if t is not None and ns is not None and 0 < ns < LIMIT]
    begin, end = int(marks.start_ns[0]), int(marks.end_ns[-1])
    inside = sorted((start, ns) for start, ns in found if start >= begin and start + ns <= end)
    rows = events.rows(Kind.ANNOTATION)
    rows = rows[np.isin(events.ts[rows], marks.start_ns)]
    if not inside or rows.size == 0:
        return timeline
    start, length = np.array(inside, dtype=np.int64).T
    return replace(timeline, events=_with(events, start, length, int(events.lane[rows[0]])))


def _with(events: EventTable, start: npt.NDArray[np.int64], length: npt.NDArray[np.int64], lane: int) -> EventTable:
    """The table with these annotations, each in its place by start."""
    place = np.searchsorted(events.ts, start, side="right")
    moved = np.arange(len(events), dtype=np.int64)
    moved += np.searchsorted(place, moved, side="right")

    def joined(old: npt.NDArray[_T], new: npt.NDArray[np.int64] | int) -> npt.NDArray[_T]:
        return np.insert(old, place, new)

    launch = np.where(events.launch == NONE, NONE, moved[np.maximum(events.launch, 0)]).astype(np.int32)
    return replace(
        events,
        ts=joined(events.ts, start),
        dur=joined(events.dur, length),
        kind=joined(events.kind, int(Kind.ANNOTATION)),
        lane=joined(events.lane, lane),
        name=joined(events.name, events.strings.id(GC)),
        correlation=joined(events.correlation, NONE),
        launch=joined(launch, NONE),
        external=joined(events.external, NONE),
        collectives={int(moved[row]): call for row, call in events.collectives.items()},
        copied_bytes={int(moved[row]): size for row, size in events.copied_bytes.items()},
        shapes={int(moved[row]): shape for row, shape in events.shapes.items()},
        streams={int(moved[row]): stream for row, stream in events.streams.items()},
    )
