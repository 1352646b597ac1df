"""Which sorted table do the rows of a Kineto trace make? The last step of both readers, the plain one and the scanner.

Columns come in the order of the file; here they are sorted, rows that cannot be true are left out, and what says on
which thread or stream a row lies becomes a lane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files import kineto_arguments as arguments
from llmprof.collectors.files.quality import implausible
from llmprof.timeline.events import (
    DEVICE_KINDS,
    NONE,
    CollectiveCall,
    EventTable,
    Kind,
    Lane,
    StringTable,
    link_launches,
)

__all__ = [
    "IMPOSSIBLE",
    "ON_STREAM",
    "Int32",
    "LaneKey",
    "Places",
    "RowTexts",
    "Rows",
    "Sides",
    "identity",
    "lane_key",
    "lanes_of",
    "sort",
]

ON_STREAM = frozenset((*DEVICE_KINDS, Kind.GPU_ANNOTATION))
IMPOSSIBLE = "an impossible start or duration"

_SYNC_LABEL = "cuda_sync"

_KINDS = {
    "ts": np.int64,
    "dur": np.int64,
    "kind": np.uint8,
    "lane": np.int32,
    "name": np.int32,
    "correlation": np.int64,
    "external": np.int64,
}

LaneKey = tuple[int, "int | str", "int | str", str]
"""Device, process, thread, label."""

Identity = int | str
Int32 = npt.NDArray[np.int32]
Places = Int32
"""By number of a row in the file: its number in the sorted table, NONE where it was left out."""


class Sides(TypedDict):
    """The side tables of an EventTable."""

    collectives: Mapping[int, CollectiveCall]
    copied_bytes: Mapping[int, int]
    shapes: Mapping[int, str]
    streams: Mapping[int, int]


class RowTexts(Mapping[int, str]):
    """Texts that some rows have, in 8 bytes a row: `rows` ascending, `ids` of the same shape into `texts`."""

    def __init__(self, rows: Int32, ids: Int32, texts: Sequence[str]) -> None:
        self.rows, self.ids, self.texts = rows, ids, texts

    @classmethod
    def of(cls, texts: Mapping[int, str]) -> RowTexts:
        """The same as a mapping that has its rows in ascending order."""
        numbers: dict[str, int] = {}
        ids = [numbers.setdefault(text, len(numbers)) for text in texts.values()]
        return cls(np.array(list(texts), np.int32), np.array(ids, np.int32), list(numbers))

    def __getitem__(self, row: int) -> str:
        at = int(self.rows.searchsorted(np.int32(row)))  # of the same type: else all rows are converted each time
        if at < self.rows.size and self.rows[at] == row:
            return self.texts[int(self.ids[at])]
        raise KeyError(row)

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows.tolist())

    def __len__(self) -> int:
        return int(self.rows.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The table, its lanes, ts 0 of the table in ns of the file's clock, why rows were left out, what was replaced."""

    events: EventTable
    lanes: tuple[Lane, ...]
    origin_ns: int
    dropped: Mapping[str, int]
    notes: tuple[str, ...] = ()


def sort(
    columns: dict[str, npt.NDArray[Any]], strings: StringTable, sides: Callable[[Places], Sides]
) -> tuple[EventTable, int]:
    """The table sorted by start, longer first where starts are equal, then as in the file; and its origin in ns.

    `columns` is emptied on the way, so that no column is in memory twice for longer than it takes.
    """
    order = _order(columns)
    place = np.full(columns["ts"].size, NONE, dtype=np.int32)
    place[order] = np.arange(order.size, dtype=np.int32)
    tables = sides(place)
    del place
    sorted_columns = {name: columns.pop(name)[order].astype(kind, copy=False) for name, kind in _KINDS.items()}
    origin = int(sorted_columns["ts"][0]) if order.size else 0
    sorted_columns["ts"] -= origin
    launch = link_launches(sorted_columns["kind"], sorted_columns["correlation"])
    return EventTable(**sorted_columns, launch=launch, strings=strings, **tables), origin


def _order(columns: Mapping[str, npt.NDArray[Any]]) -> Int32:
    """The rows that can be true by start, longer first, then as in the file: one sort, then one of equal starts."""
    ts, dur = columns["ts"], columns["dur"]
    wrong = implausible(ts, dur, columns["kind"])
    order = np.argsort(ts, kind="stable").astype(np.int32)
    if wrong.any():
        order = order[~wrong[order]]
    if order.size < 2:
        return order
    sorted_ts = ts[order]
    equal = sorted_ts[1:] == sorted_ts[:-1]
    tied = np.concatenate([[False], equal]) | np.concatenate([equal, [False]])
    some = order[tied]
    order[tied] = some[np.lexsort((-dur[some].astype(np.int64), ts[some]))]
    return order


def identity(value: object) -> Identity:
    """A pid or tid, which may be a word such as `Spans`."""
    number = arguments.integer(value)
    if number is not None:
        return number
    return arguments.clean(value) or ""


def lane_key(kind: Kind, process: Identity, thread: Identity, device: int | None, stream: int | None) -> LaneKey:
    """Where a row of this kind lies; `device` and `stream` are arguments of the event."""
    if kind in ON_STREAM:
        number = _number(device, process)
        return (number, number, _number(stream, thread), "")
    # A sync row lies on a virtual thread (stream + 1,000,000) or on a stream that it does not keep busy.
    return (NONE, process, thread, _SYNC_LABEL if kind is Kind.SYNC else "")


def lanes_of(keys: Iterable[LaneKey], threads: Mapping[tuple[Identity, Identity], str], rank: int) -> tuple[Lane, ...]:
    """The lanes of these keys; `threads` are the labels of (process, thread)."""
    lanes = []
    for device, process, thread, label in keys:
        if device == NONE and not label:
            label = threads.get((process, thread), "")
        if not label and (isinstance(process, str) or isinstance(thread, str)):
            label = f"{process} {thread}".strip()
        lanes.append(
            Lane(rank=rank, device=device, process=_number(None, process), thread=_number(None, thread), label=label)
        )
    return tuple(lanes)


def _number(first: int | None, second: Identity) -> int:
    """`first` when it is a real number of a device or stream, else `second`, else 0."""
    if first is not None and first >= 0:
        return first
    return second if isinstance(second, int) else 0
