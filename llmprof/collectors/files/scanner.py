"""Which rows do these bytes hold? The byte scanner of Kineto traces: numba functions, which scanner.ll holds compiled.

`scan` reads the items of an event list from memory straight into columns, without a Python object per event. It takes
what is JSON and, of what is not, the known slips (lone backslashes, nan, a last comma). At an item that it does not
understand it stops, and the caller reads that one another way. It allocates nothing: when a column or a table is full
it stops, the caller makes room and calls again. After a change of scanner*.py run scripts/build_scanner.py.
"""

# ruff: noqa: SIM109 - comparisons one by one compile to the fastest code
from __future__ import annotations

import numpy as np

from llmprof.collectors.files import scanner_slots as slots
from llmprof.collectors.files.scanner_events import read_event
from llmprof.collectors.files.scanner_memory import byte, get, jit, put, put8, put32
from llmprof.collectors.files.scanner_slots import FIRST, ITEMS, RECORD_FIELDS, word
from llmprof.collectors.files.scanner_tables import FULL, intern, record_id
from llmprof.collectors.files.scanner_values import INCOMPLETE, NO_INTEGER, prefix, skip_value
from llmprof.timeline.events import NONE, Kind

__all__ = ["scan"]

_X, _M, _S, _OPEN, _CLOSE = (ord(c) for c in "XMs{]")
_CPU_OP, _KERNEL, _MEMCPY, _MEMSET, _ANNOTATION, _SYNC, _GPU_ANNOTATION = (
    np.int64(kind)
    for kind in (
        Kind.CPU_OP,
        Kind.KERNEL,
        Kind.MEMCPY,
        Kind.MEMSET,
        Kind.ANNOTATION,
        Kind.SYNC,
        Kind.GPU_ANNOTATION,
    )
)
_CASE = np.uint64(0x2020202020202020)
_STEP, _STEP_END = word("ProfilerStep#"), word("ProfilerStep#", 8)
_COMMS, _COMMS_MIDDLE, _COMMS_END = (word("record_param_comms", at) for at in (0, 8, 16))
_FLOW, _FLOW_2022, _FLOW_2021 = word("ac2g"), word("async_cpu_to_gpu"), word("async_gpu")
_THREAD, _THREAD_END = word("thread_name"), word("thread_name", 8)
_COLLECTIVE = slots.SPANS + 2 * slots.SHAPE_DETAILS  # "Collective name", without which there is no collective


@jit
def _count(s, slot, more):  # type: ignore[no-untyped-def]
    put(s, slot, get(s, slot) + more)


@jit
def _take(s):  # type: ignore[no-untyped-def]
    """Append the event that was read, when it is a row."""
    phase = get(s, slots.PH)
    stop = slots.STOP_END
    if phase == _X:
        kind = _kind(s)
        if kind >= 0:
            if get(s, slots.HAS_TS) == 0:
                _count(s, slots.NO_START, 1)
            elif get(s, slots.HAS_DUR) == 0:
                _count(s, slots.NO_DURATION, 1)
            elif get(s, slots.DUR) < 0:
                _count(s, slots.NEGATIVE, 1)
            else:
                stop = _append(kind, s)
    elif phase == _M:
        stop = _name_thread(s)
    elif phase == _S:
        _count(s, slots.FLOWS, _is_flow(s))
    if stop == slots.STOP_END:
        _count(s, slots.MENDED, get(s, slots.MEND))
        if phase != 0:
            _count(s, slots.OBJECTS, 1)
    return stop


@jit
def _is_flow(s):  # type: ignore[no-untyped-def]
    """1 for an arrow from a launch to device work, else 0: `ac2g`, of 2022 `async_cpu_to_gpu`, of 2021 `async_gpu`."""
    a = get(s, slots.CAT)
    if a < 0:
        return 0
    n = get(s, slots.CAT_END) - a
    key = prefix(a, n)
    found = (n == 4 and key == _FLOW) or (n == 16 and key == _FLOW_2022) or (n == 9 and key == _FLOW_2021)
    return 1 if found else 0


@jit
def _kind(s):  # type: ignore[no-untyped-def]
    """The kind that the category says, -1 for one that is left out."""
    a = get(s, slots.CAT)
    n = get(s, slots.CAT_END) - a
    if a < 0 or n > 24:
        return np.int64(-1)
    key = np.int64(prefix(a, n) | _CASE)
    for k in range(get(s, slots.CATEGORY_COUNT)):
        want = get(s, slots.CATEGORIES) + 40 * k
        if get(want, 0) != n or get(want, 1) != key:
            continue
        at = 8
        while at < n and np.int64(prefix(a + at, n - at) | _CASE) == get(want, 1 + at // 8):
            at += 8
        if at >= n:
            return get(want, 4)
    return np.int64(-1)


@jit
def _append(kind, s):  # type: ignore[no-untyped-def]
    a = get(s, slots.NAME)
    n = get(s, slots.NAME_END) - a
    if a < 0:
        return slots.STOP_ODD
    first = prefix(a, n)
    if kind == _CPU_OP and n >= 13 and first == _STEP and prefix(a + 8, 5) == _STEP_END:
        kind = _ANNOTATION  # before user_annotation was a category of its own
    row = get(s, slots.ROWS)
    seen = get(s, slots.BASE) + row
    lane = _lane(kind, seen, s)
    name = intern(a, n, s, slots.NAMES, seen)
    if lane < 0 or name < 0:
        return slots.STOP_GROW
    comms = n == 18 and first == _COMMS and prefix(a + 8, 8) == _COMMS_MIDDLE and prefix(a + 16, 2) == _COMMS_END
    stop = _details(kind, comms, row, s)
    if stop != slots.STOP_END:
        return stop
    external = get(s, slots.EXTERNAL if get(s, slots.HAS_EXTERNAL) != 0 else slots.OLD_EXTERNAL)
    put(get(s, slots.C_TS), row, get(s, slots.TS))
    put(get(s, slots.C_DUR), row, get(s, slots.DUR))
    put8(get(s, slots.C_KIND), row, kind)
    put32(get(s, slots.C_LANE), row, lane)
    put32(get(s, slots.C_NAME), row, name)
    put(get(s, slots.C_CORRELATION), row, max(get(s, slots.CORRELATION), NONE))
    put(get(s, slots.C_EXTERNAL), row, max(external, NONE))
    put(s, slots.ROWS, row + 1)
    return slots.STOP_END


@jit
def _lane(kind, seen, s):  # type: ignore[no-untyped-def]
    """The id of the lane, FULL when a table has no room."""
    record = get(s, slots.SELF) + 8 * slots.RECORD
    for k in range(RECORD_FIELDS):
        put(record, k, NONE)
    if kind == _KERNEL or kind == _MEMCPY or kind == _MEMSET or kind == _GPU_ANNOTATION:
        put(record, 0, slots.ON_STREAM)
        put(record, 5, max(get(s, slots.DEVICE), NONE))
        put(record, 6, max(get(s, slots.STREAM_ID), NONE))
    else:
        put(record, 0, slots.SYNCING if kind == _SYNC else slots.HOST)
    if not (_identify(record, 1, slots.PID, s) and _identify(record, 3, slots.TID, s)):
        return FULL
    return record_id(record, s, slots.LANES, seen)


@jit
def _identify(record, field, slot, s):  # type: ignore[no-untyped-def]
    """Put a pid or tid into two fields of the record; False when there is no room for a new word."""
    number = get(s, slot)
    is_word = get(s, slot + 1)
    if is_word != 0:
        a = get(s, slot + 2)
        number = intern(a, get(s, slot + 3) - a, s, slots.WORDS, 0)
    put(record, field, number)
    put(record, field + 1, is_word)
    return is_word == 0 or number >= 0


@jit
def _name_thread(s):  # type: ignore[no-untyped-def]
    """Remember the label of a thread; the last one counts."""
    a = get(s, slots.NAME)
    if a < 0 or get(s, slots.NAME_END) - a != 11 or prefix(a, 8) != _THREAD or prefix(a + 8, 3) != _THREAD_END:
        return slots.STOP_END
    text = get(s, slots.LABEL)
    if text < 0 or get(s, slots.LABEL_END) == text:
        return slots.STOP_END
    label = intern(text, get(s, slots.LABEL_END) - text, s, slots.WORDS, 0)
    record = get(s, slots.SELF) + 8 * slots.RECORD
    for k in range(RECORD_FIELDS):
        put(record, k, NONE)
    put(record, 0, slots.THREAD_NAME)
    if label < 0 or not (_identify(record, 1, slots.PID, s) and _identify(record, 3, slots.TID, s)):
        return slots.STOP_GROW
    seen = get(s, slots.BASE) + get(s, slots.ROWS)
    found = record_id(record, s, slots.LANES, seen)
    if found < 0:
        return slots.STOP_GROW
    put(get(s, slots.LANES + ITEMS), RECORD_FIELDS * found + RECORD_FIELDS - 1, label)
    put(get(s, slots.LANES + FIRST), found, seen)
    return slots.STOP_END


@jit
def _details(kind, comms, row, s):  # type: ignore[no-untyped-def]
    """Append what only some rows have to the side columns."""
    first = 0 if kind == _CPU_OP else slots.SHAPE_DETAILS
    last = slots.ALL_DETAILS if (kind == _KERNEL or comms) and get(s, _COLLECTIVE) >= 0 else slots.SHAPE_DETAILS
    size = _gather(first, last, s)
    if size < 0:
        return slots.STOP_ODD
    if size > 0:
        found = intern(get(s, slots.SCRATCH), size, s, slots.TEXTS, 0)
        if found < 0:
            return slots.STOP_GROW
        _note(row, slots.DETAIL, found, s)
    if kind == _MEMCPY and get(s, slots.SIZE) != NO_INTEGER:
        _note(row, slots.BYTES, get(s, slots.SIZE), s)
    elif kind == _SYNC and get(s, slots.STREAM_ID) >= 0:
        _note(row, slots.STREAM, get(s, slots.STREAM_ID), s)
    return slots.STOP_END


@jit
def _note(row, tag, value, s):  # type: ignore[no-untyped-def]
    at = get(s, slots.SIDES)
    put32(get(s, slots.C_SIDE_ROW), at, row)
    put8(get(s, slots.C_SIDE_TAG), at, tag)
    put(get(s, slots.C_SIDE_VALUE), at, value)
    put(s, slots.SIDES, at + 1)


@jit
def _gather(first, last, s):  # type: ignore[no-untyped-def]
    """Copy the texts into the scratch, each with its number in front and a 0 behind; gives the size, -1 too large."""
    size = 0
    scratch = get(s, slots.SCRATCH)
    for k in range(first, last):
        a = get(s, slots.SPANS + 2 * k)
        n = get(s, slots.SPANS + 2 * k + 1) - a
        if a < 0:
            continue
        if size + n + 2 > get(s, slots.SCRATCH_SIZE):
            return -1
        put8(scratch, size, k + 1)
        for at in range(n):
            put8(scratch, size + 1 + at, byte(a + at))
        put8(scratch, size + 1 + n, 0)
        size += n + 2
    return size


@jit
def scan(s, i, hi):  # type: ignore[no-untyped-def]
    """Read the items of an event list from address `i` to `hi`; gives why it stopped, with the place in slot POS.

    `s` is the address of the state. The counter ROWS says how many rows the columns hold, SIDES how many values the
    side columns; the caller empties them. The other counters only grow.
    """
    while True:
        while i < hi and (byte(i) == 44 or byte(i) == 32 or byte(i) == 10 or byte(i) == 13 or byte(i) == 9):
            i += 1
        put(s, slots.POS, i)
        if i >= hi:
            return slots.STOP_END
        if byte(i) == _CLOSE:
            put(s, slots.POS, i + 1)
            return slots.STOP_CLOSED
        if get(s, slots.ROWS) >= get(s, slots.ROOM):
            return slots.STOP_FULL
        is_event = byte(i) == _OPEN
        end = read_event(i + 1, hi, s) if is_event else skip_value(i, hi, s)
        if end < 0:
            return slots.STOP_INCOMPLETE if end == INCOMPLETE else slots.STOP_ODD
        stop = slots.STOP_END
        if is_event:
            stop = _take(s)
        else:
            _count(s, slots.NO_EVENTS, 1)
        if stop != slots.STOP_END:
            return stop
        i = end
