"""What did a scan find so far? Owns the memory of one scanner: its columns, its tables of strings and lanes.

A scanner belongs to one thread. Strings and lanes are numbers of its own tables, which also know where in the file each
was seen first, so that what several scanners found can be joined afterwards.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files import limits
from llmprof.collectors.files import scanner_slots as slots
from llmprof.collectors.files.kineto_rows import CATEGORIES
from llmprof.collectors.files.scan_code import scanner_code
from llmprof.collectors.files.scanner_slots import key_words
from llmprof.timeline.intervals import Int64
from llmprof.units import format_bytes, format_count

__all__ = ["Growing", "ScanState", "Table"]

ROOM = 1 << 14
"""Rows that are scanned before they are moved out; few enough to stay in the cache of a core."""

BLOCK_BYTES = 1 << 19
"""Memory of a column that is mapped at a time."""

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
    """A column of integers that grows, in 4 bytes a value as long as they fit.

    Its blocks are mapped one by one, so that their memory goes back to the system at once; what the allocator is given
    back by a scanning thread, it keeps for that thread.
    """

    def __init__(self, kind: type[np.integer[Any]]) -> None:
        self._narrow = np.dtype(np.uint8 if kind is np.uint8 else np.int32)
        self._blocks: list[npt.NDArray[Any]] = []
        self._starts: list[int] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the widest value."""
        return np.result_type(self._narrow, *{block.dtype for block in self._blocks})

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add values at the end."""
        wide = values.dtype == np.int64 and not _fits(values)
        while values.size:
            used = self._size - self._starts[-1] if self._blocks else 0
            if not self._blocks or used == self._blocks[-1].size or (wide and self._blocks[-1].dtype != np.int64):
                self._begin_block(np.dtype(np.int64) if wide else self._narrow)
                used = 0
            count = min(values.size, self._blocks[-1].size - used)
            self._blocks[-1][used : used + count] = values[:count]
            self._size += count
            values = values[count:]

    def _begin_block(self, dtype: np.dtype[Any]) -> None:
        if self._blocks:
            self._blocks[-1] = self._blocks[-1][: self._size - self._starts[-1]]
        self._blocks.append(np.frombuffer(mmap.mmap(-1, BLOCK_BYTES), dtype))
        self._starts.append(self._size)

    def part(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Some values."""
        first, last = bisect_right(self._starts, start) - 1, bisect_left(self._starts, stop)
        pieces = [
            self._blocks[i][max(0, start - self._starts[i]) : stop - self._starts[i]]
            for i in range(max(first, 0), last)
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate([*pieces, np.empty(0, self._narrow)])

    def clear(self) -> None:
        """Give the memory back."""
        self.__init__(self._narrow.type)  # type: ignore[misc]


class Table:
    """One hash table of the scanner: byte strings, or records of slots.RECORD_FIELDS integers."""

    def __init__(self, what: str, state: Int64, slot: np.int64, *, records: bool = False) -> None:
        self._what = what
        self._state = state
        self._slot = int(slot)
        self._records = records
        self._items: npt.NDArray[Any] = np.zeros((1 << 12) * 8, np.int64) if records else np.zeros(1 << 18, np.uint8)
        self._ends = np.zeros((1 << 12) + 1, np.int64)
        self._hashed = np.zeros(1 << 13, np.int32)
        self.first = np.zeros(1 << 12, np.int64)
        self._publish()

    def __len__(self) -> int:
        return int(self._state[self._slot + slots.COUNT])

    def __getitem__(self, index: int) -> bytes:
        return self._items[self._ends[index] : self._ends[index + 1]].tobytes()

    def record(self, index: int) -> list[int]:
        """The fields of one record."""
        fields: list[int] = self._items[index * slots.RECORD_FIELDS : (index + 1) * slots.RECORD_FIELDS].tolist()
        return fields

    def grow(self, item_bytes: int) -> None:
        """Make room for as many items again, and for one of `item_bytes`; TooMuch at a limit of `limits`."""
        used = len(self)
        if used > limits.MOST_DIFFERENT:
            raise limits.TooMuch(f"more than {format_count(limits.MOST_DIFFERENT)} different {self._what}")
        if not self._records and self._ends[used] > limits.MOST_TEXT_BYTES:
            raise limits.TooMuch(f"more than {format_bytes(limits.MOST_TEXT_BYTES)} of different {self._what}")
        if not self._records and self._ends[used] + item_bytes + 64 > self._items.size:
            self._items = _longer(self._items, 2 * self._items.size + item_bytes)
        if 2 * used >= self.first.size:
            if self._records:
                self._items = _longer(self._items, 2 * self._items.size)
            self._ends = _longer(self._ends, 2 * self.first.size + 1)
            self.first = _longer(self.first, 2 * self.first.size)
            self._hashed = np.zeros(2 * self._hashed.size, np.int32)
            self._publish()
            scanner_code().rehash(_address(self._state), self._slot, int(self._records))
        self._publish()

    def _publish(self) -> None:
        state, slot = self._state, self._slot
        for offset, array in (
            (slots.ITEMS, self._items),
            (slots.ENDS, self._ends),
            (slots.HASHED, self._hashed),
            (slots.FIRST, self.first),
        ):
            state[slot + offset] = _address(array)
        state[slot + slots.ITEMS_SIZE] = self._items.size
        state[slot + slots.HASH_SIZE] = self._hashed.size
        state[slot + slots.CAPACITY] = self.first.size


class ScanState:
    """One scanner: `scan` bytes, then `move_out` the rows; `len` is how many were moved out."""

    def __init__(self) -> None:
        self._code = scanner_code()
        self._most_rows = limits.most_rows()
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
        self.names = Table("names", self._state, slots.NAMES)
        self.words = Table("names of threads", self._state, slots.WORDS)
        self.texts = Table("shapes and arguments", self._state, slots.TEXTS)
        self.lanes = Table("threads and streams", self._state, slots.LANES, records=True)

    def scan(self, address: int, start: int, stop: int) -> tuple[int, int]:
        """Scan bytes [start, stop) of the buffer at `address`; why it stopped (a STOP of scanner_slots), and where.

        Tables grow as they need to, so that STOP_GROW is never the answer.
        """
        at = address + start
        while True:
            why = self._code.scan(_address(self._state), at, address + stop)
            at = int(self._state[slots.POS])
            if why != slots.STOP_GROW:
                return int(why), at - address
            for table in (self.names, self.words, self.texts, self.lanes):
                table.grow(max(SCRATCH_BYTES, address + stop - at))

    def begin(self, first: int) -> None:
        """Say where in the file the next row stands; any number that grows with the place will do."""
        self._state[slots.BASE] = first - int(self._state[slots.ROWS])

    def move_out(self) -> None:
        """Add what was found since the last call to `columns` and `sides`; TooMuch when that is no longer possible."""
        count, sides = int(self._state[slots.ROWS]), int(self._state[slots.SIDES])
        self._arrays["row"][:sides] += len(self)
        for growing, size in ((self.columns, count), (self.sides, sides)):
            for name, column in growing.items():
                column.append(self._arrays[name][:size])
        self._state[slots.ROWS] = self._state[slots.SIDES] = 0
        self._state[slots.BASE] += count
        if len(self) > self._most_rows:
            raise limits.TooMuch(f"more than {format_count(len(self))} events, and no memory for more")

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
