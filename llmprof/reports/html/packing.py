"""How do a million events fit into a page? Rows that do not overlap, delta-coded columns, shuffled, deflated, base64.

Each rank becomes a list of rows (one a stream, one a depth of a host thread); the events of a row are ascending and
disjoint, so that the page finds any moment by bisection. Columns are uint32: start as difference to the event before,
length, name and colour. Their bytes are shuffled (all lowest bytes first), which deflates two to three times better.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.facts.device.kernels import row_classes
from llmprof.reports.text import clip, visible
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind
from llmprof.timeline.timeline import RankTimeline

__all__ = ["TONES", "Packed", "pack"]

Rows = npt.NDArray[np.intp]
Int64 = npt.NDArray[np.int64]

LONGEST_NAME = 160
MOST_DEPTH = 10
"""Deeper rows of a host thread are left out: real training code nests about fifteen, and the deepest are tiny."""
MOST_HOST_LANES = 6
"""Host threads of a rank, the busiest ones."""
TONES = (*CLASSES, "operator", "runtime", "annotation", "sync", "python", "overhead")
"""What an event can be; its place is the number that the page colours by."""
_TONE = {name: place for place, name in enumerate(TONES)}
_BY_KIND = {
    Kind.CPU_OP: "operator",
    Kind.RUNTIME: "runtime",
    Kind.ANNOTATION: "annotation",
    Kind.GPU_ANNOTATION: "annotation",
    Kind.SYNC: "sync",
    Kind.PYTHON: "python",
    Kind.OVERHEAD: "overhead",
}


@dataclass(frozen=True, slots=True)
class Packed:
    """The events of one rank as the page reads them, and how many of them there are."""

    fields: Mapping[str, Any]
    events: int
    tones: frozenset[int]
    """What is among them, as places in TONES."""

    @property
    def size(self) -> int:
        """Characters of its columns in the page."""
        return sum(len(value) for value in self.fields["columns"].values())


def pack(rank: RankTimeline, rows: Rows, *, zero_ns: int, clean: Callable[[str], str] = str) -> Packed:
    """The chosen events of one rank.

    rows       rows of its table, ascending
    zero_ns    the page's zero, on the rank's own clock
    clean      what each name goes through
    """
    events = rank.events
    assert events is not None
    arranged = _arranged(rank, events, rows)
    order = np.concatenate([part for _, part in arranged]) if arranged else np.empty(0, np.intp)
    starts = events.ts[order] - zero_ns
    unit = max(1, -(-int(max(starts.max(initial=0), events.dur[order].max(initial=0))) // (2**32 - 1)))
    begins = starts // unit
    lengths = -(-events.dur[order] // unit)
    deltas = np.diff(begins, prepend=0)
    heads = np.cumsum([0, *(part.size for _, part in arranged)])[:-1]
    filled = np.array([head for head, (_, part) in zip(heads, arranged, strict=True) if part.size], dtype=np.intp)
    deltas[filled] = begins[filled]
    ids, names = np.unique(events.name[order], return_inverse=True)
    tones = _tones(events)[order]
    return Packed(
        {
            "rank": rank.rank,
            "unit_ns": unit,
            "rows": [{**row, "count": int(part.size)} for row, part in arranged],
            "names": [clip(visible(clean(events.strings[int(i)])), LONGEST_NAME) for i in ids],
            "columns": {
                "start": _column(deltas),
                "length": _column(lengths),
                "name": _column(names),
                "tone": _column(tones),
            },
        },
        int(order.size),
        frozenset(int(tone) for tone in np.unique(tones)),
    )


def _column(values: npt.NDArray[Any]) -> str:
    """Uint32, bytes shuffled, deflated, base64."""
    shuffled = values.astype("<u4").view(np.uint8).reshape(-1, 4).T.tobytes()
    return base64.b64encode(zlib.compress(shuffled, 6)).decode("ascii")


def _tones(events: EventTable) -> npt.NDArray[np.int64]:
    classes = row_classes(events).astype(np.int64)
    by_kind = np.full(256, _TONE["other"], dtype=np.int64)
    for kind, name in _BY_KIND.items():
        by_kind[kind] = _TONE[name]
    tones: npt.NDArray[np.int64] = np.where(classes == NONE, by_kind[events.kind], classes)
    return tones


def _arranged(rank: RankTimeline, events: EventTable, rows: Rows) -> list[tuple[dict[str, Any], Rows]]:
    """Rows of the picture from top to bottom, each with its events, which do not overlap; host threads first."""
    device = np.isin(events.kind[rows], DEVICE_KINDS)
    found: list[tuple[dict[str, Any], Rows]] = []
    host = rows[~device]
    lanes, where = np.unique(events.lane[host], return_inverse=True)
    busy = np.bincount(where, weights=events.dur[host], minlength=lanes.size)  # the thread of the loop comes first
    for lane in lanes[np.argsort(-busy, kind="stable")[:MOST_HOST_LANES]]:
        label = rank.lanes[lane].label or f"thread {rank.lanes[lane].thread}"
        found += _leveled(events, host[events.lane[host] == lane], clip(visible(label), 40), "host")
    work = rows[device]
    lanes, counts = np.unique(events.lane[work], return_counts=True)
    for lane in lanes[np.argsort(-counts, kind="stable")]:
        label = f"GPU {rank.lanes[lane].device} stream {rank.lanes[lane].thread}"
        found += _leveled(events, work[events.lane[work] == lane], label, "device")
    return found


def _leveled(events: EventTable, rows: Rows, label: str, where: str) -> list[tuple[dict[str, Any], Rows]]:
    """One lane by depth: how many of its earlier events have not ended yet."""
    rows = rows[np.lexsort((-events.dur[rows], events.ts[rows]))]
    begins = events.ts[rows]
    ends = begins + np.maximum(events.dur[rows], 1)
    depth = np.arange(rows.size) - np.searchsorted(np.sort(ends), begins, side="right")
    depth = np.maximum(depth, 0)
    deepest = min(int(depth.max(initial=-1)), MOST_DEPTH - 1)
    return [
        ({"label": label, "depth": level, "on": where}, _disjoint(events, rows[depth == level]))
        for level in range(deepest + 1)
    ]


def _disjoint(events: EventTable, rows: Rows) -> Rows:
    """Without those that begin before an earlier one has ended: events of one depth rarely cross."""
    ends: Int64 = np.maximum.accumulate(events.ts[rows] + events.dur[rows])
    clear = np.ones(rows.size, bool)
    clear[1:] = events.ts[rows][1:] >= ends[:-1]
    return rows[clear]
