"""What did a scan find so far? Owns the memory of one scanner: its columns, its tables of strings and lanes.

A scanner belongs to one thread. Strings and lanes are numbers of its own tables, which also know where in the file each
was seen first, so that what several scanners found can be joined afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files import scanner_slots as slots
from llmprof.collectors.files import scanner_tables as tables
from llmprof.collectors.files.kineto_rows import CATEGORIES
from llmprof.collectors.files.scanner import scan
from llmprof.collectors.files.scanner_events import key_words
from llmprof.timeline.intervals import Int64

__all__ = ["Growing", "ScanState", "Table"]

ROOM = 1 << 14
"""Rows that are scanned before they are moved out; few enough to stay in the cache of a core."""

SCRATCH_BYTES = 1 << 20
"""The arguments of one event that are kept as text; an event with more is read without them."""

_CASE = 0x2020202020202020
_COLUMNS: dict[str, tuple[np.int64, type[np.integer[Any]]]] = {
    "ts": (slots.C_TS, np.int64),
    "dur": (slots.C_DUR, np.int64),
    "kind": (slots.C_KIND, np.uint8),
    "lane": (slots.C_LANE, np.int32),
    "name": (slots.C_NAME, np.int32),
    "correlation": (slots.C_CORRELATION, np.int64),
    "external": (slots.C_EXTERNAL, np.int64),
}
_SIDES: dict[str, tuple[np.int64, type[np.integer[Any]]]] = {
    "row": (slots.C_SIDE_ROW, np.int32),
    "tag": (slots.C_SIDE_TAG, np.uint8),
    "value": (slots.C_SIDE_VALUE, np.int64),
}


class Growing:
    """A column of integers that grows, in 4 bytes a value as long as they fit."""

    def __init__(self, kind: type[np.integer[Any]]) -> None:
        self._data: npt.NDArray[Any] = np.empty(4 * ROOM, np.uint8 if kind is np.uint8 else np.int32)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add values at the end."""
        if values.dtype == np.int64 and self._data.dtype == np.int32 and not _fits(values):
            self._data = self._data.astype(np.int64)
        end = self._size + values.size
        if end > self._data.size:
            longer = np.empty(2 * self._data.size, self._data.dtype)  # memory that is not yet written costs nothing
            longer[: self._size] = self._data[: self._size]
            self._data = longer
        self._data[self._size : end] = values
        self._size = end

    def part(self, start: int, stop: int) -> npt.NDArray[Any]:
        """A view of some values."""
        return self._data[start:stop]

    def clear(self) -> None:
        """Give the memory back."""
        self._data, self._size = self._data[:0].copy(), 0


class Table:
    """One hash table of the scanner: byte strings, or records of tables.RECORD_FIELDS integers."""

    def __init__(self, state: Int64, slot: np.int64, *, records: bool = False) -> None:
        self._state = state
        self._slot = int(slot)
        self._records = records
        self._items: npt.NDArray[Any] = np.zeros((1 << 12) * 8, np.int64) if records else np.zeros(1 << 18, np.uint8)
        self._ends = np.zeros((1 << 12) + 1, np.int64)
        self._hashed = np.zeros(1 << 13, np.int32)
        self.first = np.zeros(1 << 12, np.int64)
        self._publish()

    def __len__(self) -> int:
        return int(self._state[self._slot + tables.COUNT])

    def __getitem__(self, index: int) -> bytes:
        return self._items[self._ends[index] : self._ends[index + 1]].tobytes()

    def record(self, index: int) -> list[int]:
        """The fields of one record."""
        fields: list[int] = self._items[index * tables.RECORD_FIELDS : (index + 1) * tables.RECORD_FIELDS].tolist()
        return fields

    def grow(self, item_bytes: int) -> None:
        """Make room for as many items again, and for one of `item_bytes`."""
        used = len(self)
        if not self._records and self._ends[used] + item_bytes + 64 > self._items.size:
            self._items = _longer(self._items, 2 * self._items.size + item_bytes)
        if 2 * used >= self.first.size:
            if self._records:
                self._items = _longer(self._items, 2 * self._items.size)
            self._ends = _longer(self._ends, 2 * self.first.size + 1)
            self.first = _longer(self.first, 2 * self.first.size)
            self._hashed = np.zeros(2 * self._hashed.size, np.int32)
            self._publish()
            tables.rehash(_address(self._state), self._slot, int(self._records))
        self._publish()

    def _publish(self) -> None:
        state, slot = self._state, self._slot
        for offset, array in (
            (tables.ITEMS, self._items),
            (tables.ENDS, self._ends),
            (tables.HASHED, self._hashed),
            (tables.FIRST, self.first),
        ):
            state[slot + offset] = _address(array)
        state[slot + tables.ITEMS_SIZE] = self._items.size
        state[slot + tables.HASH_SIZE] = self._hashed.size
        state[slot + tables.CAPACITY] = self.first.size


class ScanState:
    """One scanner: `scan` bytes, then `move_out` the rows; `len` is how many were moved out."""

    def __init__(self) -> None:
        self._state: Int64 = np.zeros(slots.SLOTS, np.int64)
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        self.columns = {name: Growing(kind) for name, (_, kind) in _COLUMNS.items()}
        """What was moved out: a value a row."""
        self.sides = {name: Growing(kind) for name, (_, kind) in _SIDES.items()}
        """What only some rows have: number of the row in `columns`, tag, value."""
        for name, (slot, kind) in _COLUMNS.items():
            self._own(name, slot, np.zeros(ROOM, kind))
        for name, (slot, kind) in _SIDES.items():
            self._own(name, slot, np.zeros(2 * ROOM, kind))
        self._own("scratch", slots.SCRATCH, np.zeros(SCRATCH_BYTES + 64, np.uint8))
        self._own("categories", slots.CATEGORIES, _categories())
        self._own("keys", slots.KEYS, _words([key_words(text) for text in slots.DETAILS]))
        self._state[slots.SELF] = _address(self._state)
        self._state[slots.SCRATCH_SIZE] = SCRATCH_BYTES
        self._state[slots.CATEGORY_COUNT] = len(CATEGORIES)
        self._state[slots.ROOM] = ROOM
        self.names = Table(self._state, slots.NAMES)
        self.words = Table(self._state, slots.WORDS)
        self.texts = Table(self._state, slots.TEXTS)
        self.lanes = Table(self._state, slots.LANES, records=True)

    def scan(self, address: int, start: int, stop: int) -> tuple[int, int]:
        """Scan bytes [start, stop) of the buffer at `address`; why it stopped (a STOP of scanner_slots), and where.

        Tables grow as they need to, so that STOP_GROW is never the answer.
        """
        at = address + start
        while True:
            why = scan(_address(self._state), at, address + stop)
            at = int(self._state[slots.POS])
            if why != slots.STOP_GROW:
                return int(why), at - address
            for table in (self.names, self.words, self.texts, self.lanes):
                table.grow(max(SCRATCH_BYTES, address + stop - at))

    def begin(self, first: int) -> None:
        """Say where in the file the next row stands; any number that grows with the place will do."""
        self._state[slots.BASE] = first - int(self._state[slots.ROWS])

    def move_out(self) -> None:
        """Add what was found since the last call to `columns` and `sides`."""
        count, sides = int(self._state[slots.ROWS]), int(self._state[slots.SIDES])
        self._arrays["row"][:sides] += len(self)
        for growing, size in ((self.columns, count), (self.sides, sides)):
            for name, column in growing.items():
                column.append(self._arrays[name][:size])
        self._state[slots.ROWS] = self._state[slots.SIDES] = 0
        self._state[slots.BASE] += count

    def __len__(self) -> int:
        return len(self.columns["ts"])

    def count(self, slot: np.int64) -> int:
        """One of the counters of scanner_slots."""
        return int(self._state[slot])

    def _own(self, name: str, slot: np.int64, array: npt.NDArray[Any]) -> None:
        self._arrays[name] = array
        self._state[slot] = _address(array)


def _address(array: npt.NDArray[Any]) -> int:
    return int(array.ctypes.data)


def _fits(values: npt.NDArray[Any]) -> bool:
    return not values.size or bool(values.min() >= -(2**31) and values.max() < 2**31)


def _longer(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    longer = np.zeros(size, array.dtype)
    longer[: array.size] = array
    return longer


def _words(rows: list[list[int]]) -> Int64:
    return np.array(rows, dtype=np.uint64).view(np.int64)


def _categories() -> Int64:
    """Length, three words of the name with the case bit set as the scanner compares it, and the kind."""
    rows = []
    for name, kind in CATEGORIES.items():
        length, *words = key_words(name)
        rows.append([length, *(value | _CASE for value in words[:3]), int(kind)])
    return _words(rows)
