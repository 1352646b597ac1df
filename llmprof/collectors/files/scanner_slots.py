"""Where does the scan keep what it reads? The slots of its state: one int64 array, whose address is all it is given.

The constants are int64 and not int, because numba compiles a function anew for each int that it is called with.
"""

from __future__ import annotations

import numpy as np

__all__ = ["DETAILS", "PAD", "RECORD_FIELDS", "SLOTS", "key_words", "word"]

PAD = 64
"""Readable bytes that must follow the last one that counts: loads of 8 and 32 bytes may begin at any byte."""

(STOP_END, STOP_CLOSED, STOP_FULL, STOP_GROW, STOP_INCOMPLETE, STOP_ODD) = (np.int64(k) for k in range(6))
"""Why a scan stopped: at the end of the bytes, behind the list, for want of rows or of room in a table, at an item
that the bytes do not hold whole, at one that it does not understand."""

(HOST, ON_STREAM, SYNCING, THREAD_NAME) = (np.int64(k) for k in range(4))
"""The first field of a lane record: pid and tid with what they are; or not a lane but the name of a thread."""

(DETAIL, BYTES, STREAM) = (np.int64(k) for k in range(3))
"""What a value in the side columns is."""

DETAILS = (
    "Input Dims",
    "Input dims",
    "Input type",
    "Collective name",
    "In msg nelems",
    "Out msg nelems",
    "dtype",
    "Group size",
    "Process Group Name",
    "Process Group Description",
    "Process Group Ranks",
    "Src Rank",
    "Dst Rank",
    "Rank",
)
"""Arguments that are kept as text, once for all events that have the same ones: shapes first, then collectives."""
SHAPE_DETAILS, ALL_DETAILS = np.int64(3), np.int64(len(DETAILS))

TABLE = 8
"""Slots that a table takes (see scanner_tables)."""
ITEMS, ITEMS_SIZE, ENDS, HASHED, HASH_SIZE, FIRST, CAPACITY, COUNT = (np.int64(k) for k in range(TABLE))
"""Slots of a table, from its own first slot on: the bytes or records; their ends (byte strings only); ids + 1 by hash
(int32, a power of two at least twice the capacity); where each was seen first; how many fit; how many there are."""
RECORD_FIELDS = 8
"""int64 fields of a record; the last one is no part of the key."""

_names = iter(range(1000))


def _slots(count: int, size: int = 1) -> tuple[np.int64, ...]:
    """The next `count` runs of `size` slots."""
    return tuple(np.int64(next(zip(*(_names for _ in range(size)), strict=True))[0]) for _ in range(count))


# The event that is being read. MEND: a slip in it was understood.
(MEND, PH, CAT, CAT_END, NAME, NAME_END) = _slots(6)
(PID, PID_WORD, PID_TEXT, PID_END, TID, TID_WORD, TID_TEXT, TID_END) = _slots(8)
(TS, HAS_TS, DUR, HAS_DUR) = _slots(4)
(CORRELATION, EXTERNAL, OLD_EXTERNAL, HAS_EXTERNAL, DEVICE, STREAM_ID, SIZE, LABEL, LABEL_END) = _slots(9)
(SPANS,) = _slots(1, 2 * len(DETAILS))
(RECORD,) = _slots(1, 8)

# Counters: where the scan stands, what the columns hold, and what only ever grows.
(POS, ROWS, SIDES, OBJECTS, MENDED, NO_START, NO_DURATION, NEGATIVE, FLOWS, NO_EVENTS) = _slots(10)

# Addresses and sizes.
(SELF, BASE, ROOM, SCRATCH, SCRATCH_SIZE, CATEGORIES, CATEGORY_COUNT, KEYS) = _slots(8)
(C_TS, C_DUR, C_KIND, C_LANE, C_NAME, C_CORRELATION, C_EXTERNAL, C_SIDE_ROW, C_SIDE_TAG, C_SIDE_VALUE) = _slots(10)
(NAMES, WORDS, TEXTS, LANES) = _slots(4, TABLE)
SLOTS = next(_names)


def word(text: str, at: int = 0) -> np.uint64:
    """Eight bytes of `text` from `at` as the integer that `load` gives, zeros behind its end."""
    return np.uint64(int.from_bytes(text.encode()[at : at + 8].ljust(8, b"\0"), "little"))


def key_words(text: str) -> list[int]:
    """A key as the scanner compares it: its length, then four words."""
    return [len(text), *(int(word(text, at)) for at in (0, 8, 16, 24))]
