"""What does one event say? numba functions that read the fields of an event into the slots of the state."""

from __future__ import annotations

import numpy as np

from llmprof.collectors.files import scanner_slots as slots
from llmprof.collectors.files.scanner_memory import byte, get, jit, jit_small, put
from llmprof.collectors.files.scanner_slots import word
from llmprof.collectors.files.scanner_values import (
    INCOMPLETE,
    NO_INTEGER,
    ODD,
    blank,
    is_digit,
    prefix,
    read_integer,
    read_time,
    skip_value,
    string_end,
)

__all__ = ["read_event"]

QUOTE, COMMA, COLON, BRACE, END_BRACE, MINUS, LOWER_N = 34, 44, 58, 123, 125, 45, 110

_PH, _TS, _CAT, _PID = word("ph"), word("ts"), word("cat"), word("pid")
_TID, _DUR, _NAME, _ARGS = word("tid"), word("dur"), word("name"), word("args")
_DEVICE, _STREAM, _BYTES = word("device"), word("stream"), word("bytes")
_CORRELATION, _CORRELATION_END = word("correlation"), word("correlation", 8)
_EXTERNAL, _OLD_EXTERNAL, _EXTERNAL_END = word("External id"), word("external id"), word("External id", 8)


@jit
def read_event(i, hi, s):  # type: ignore[no-untyped-def]
    """Read the object whose first byte behind the brace is at `i`; gives the address behind it, INCOMPLETE or ODD."""
    put(s, slots.MEND, 0)
    put(s, slots.PH, 0)
    put(s, slots.CAT, -1)
    put(s, slots.NAME, -1)
    put(s, slots.HAS_TS, 0)
    put(s, slots.HAS_DUR, 0)
    _no_identity(s, slots.PID)
    _no_identity(s, slots.TID)
    _no_arguments(s)
    while True:
        i = blank(i, hi)
        if i < hi and byte(i) == END_BRACE:
            return i + 1
        a = i + 1
        b = _key_end(i, hi, s)
        i = _value(b, hi)
        if i > 0:
            i = _event_value(a, b - a, i, hi, s)
        if i > 0:
            i = _behind_value(i, hi, s)
        if i < 0:
            return i


@jit_small
def _no_identity(s, slot):  # type: ignore[no-untyped-def]
    put(s, slot, 0)
    put(s, slot + 1, 1)
    put(s, slot + 2, 0)
    put(s, slot + 3, 0)


@jit
def _no_arguments(s):  # type: ignore[no-untyped-def]
    put(s, slots.CORRELATION, NO_INTEGER)
    put(s, slots.EXTERNAL, NO_INTEGER)
    put(s, slots.OLD_EXTERNAL, NO_INTEGER)
    put(s, slots.HAS_EXTERNAL, 0)
    put(s, slots.DEVICE, NO_INTEGER)
    put(s, slots.STREAM_ID, NO_INTEGER)
    put(s, slots.SIZE, NO_INTEGER)
    put(s, slots.LABEL, -1)
    for k in range(slots.ALL_DETAILS):
        put(s, slots.SPANS + 2 * k, -1)


@jit_small
def _key_end(i, hi, s):  # type: ignore[no-untyped-def]
    """The quote that ends the key at `i`."""
    if i >= hi:
        return INCOMPLETE
    return string_end(i + 1, hi, s) if byte(i) == QUOTE else ODD


@jit_small
def _value(b, hi):  # type: ignore[no-untyped-def]
    """The value behind the key that ends at `b`."""
    if b < 0:
        return b
    i = blank(b + 1, hi)
    if i < hi and byte(i) != COLON:
        return ODD
    i = blank(i + 1, hi)
    return i if i < hi else INCOMPLETE


@jit_small
def _behind_value(i, hi, s):  # type: ignore[no-untyped-def]
    """The next key, or the brace that closes the object."""
    i = blank(i, hi)
    if i >= hi:
        return INCOMPLETE
    if byte(i) == END_BRACE:
        return i
    if byte(i) != COMMA:
        return ODD
    i = blank(i + 1, hi)
    if i < hi and byte(i) == END_BRACE:
        put(s, slots.MEND, 1)
    return i if i < hi else INCOMPLETE


@jit
def _event_value(a, n, i, hi, s):  # type: ignore[no-untyped-def]
    """Take the value at `i`, whose key is the n bytes at `a`."""
    if n > 4:
        return skip_value(i, hi, s)
    key = prefix(a, n)
    if key == _TS:
        return read_time(i, hi, s, slots.TS)
    if key == _DUR:
        return read_time(i, hi, s, slots.DUR)
    if key == _NAME:
        return _text(i, hi, s, slots.NAME)
    if key == _CAT:
        return _text(i, hi, s, slots.CAT)
    if key == _PID:
        return _identity(i, hi, s, slots.PID)
    if key == _TID:
        return _identity(i, hi, s, slots.TID)
    if key == _ARGS:
        _no_arguments(s)
        return _arguments(i + 1, hi, s) if byte(i) == BRACE else skip_value(i, hi, s)
    end = skip_value(i, hi, s)
    if key == _PH and end > 0:
        if byte(i) == QUOTE:
            put(s, slots.PH, byte(i + 1) if end == i + 3 else 1)
        else:
            put(s, slots.PH, 0 if byte(i) == LOWER_N else 1)
    return end


@jit
def _text(i, hi, s, slot):  # type: ignore[no-untyped-def]
    """Where a string begins and ends, in two slots; -1 where the value is no string."""
    end = skip_value(i, hi, s)
    put(s, slot, -1)
    if byte(i) == QUOTE:
        put(s, slot, i + 1)
        put(s, slot + 1, end - 1)
    return end


@jit
def _identity(i, hi, s, slot):  # type: ignore[no-untyped-def]
    """A pid or tid in four slots: an integer, or 1 in the second and where its text begins and ends."""
    if byte(i) == QUOTE:
        put(s, slot + 1, 1)
        return _text(i, hi, s, slot + 2)
    end = read_integer(i, hi, s, slot)
    if get(s, slot) != NO_INTEGER:
        put(s, slot + 1, 0)
        return end
    _no_identity(s, slot)
    if end > 0 and (byte(i) == MINUS or is_digit(byte(i))):
        return ODD  # a fraction, or too large
    return end


@jit
def _arguments(i, hi, s):  # type: ignore[no-untyped-def]
    """Read the arguments whose first byte behind the brace is at `i`."""
    while True:
        i = blank(i, hi)
        if i < hi and byte(i) == END_BRACE:
            return i + 1
        a = i + 1
        b = _key_end(i, hi, s)
        i = _value(b, hi)
        if i > 0:
            i = _argument(a, b - a, i, hi, s)
        if i > 0:
            i = _behind_value(i, hi, s)
        if i < 0:
            return i


@jit
def _argument(a, n, i, hi, s):  # type: ignore[no-untyped-def]
    key = prefix(a, n)
    if n == 11:
        rest = prefix(a + 8, 3)
        if key == _CORRELATION and rest == _CORRELATION_END:
            return read_integer(i, hi, s, slots.CORRELATION)
        if key == _EXTERNAL and rest == _EXTERNAL_END:
            put(s, slots.HAS_EXTERNAL, 1)
            return read_integer(i, hi, s, slots.EXTERNAL)
        if key == _OLD_EXTERNAL and rest == _EXTERNAL_END:
            return read_integer(i, hi, s, slots.OLD_EXTERNAL)
        return skip_value(i, hi, s)
    if n < 8:
        if key == _DEVICE:
            return read_integer(i, hi, s, slots.DEVICE)
        if key == _STREAM:
            return read_integer(i, hi, s, slots.STREAM_ID)
        if key == _BYTES:
            return read_integer(i, hi, s, slots.SIZE)
        if key == _NAME:
            return _text(i, hi, s, slots.LABEL)
    end = skip_value(i, hi, s)
    if end > 0:
        detail = _detail(a, n, key, s)
        if detail >= 0:
            put(s, slots.SPANS + 2 * detail, i)
            put(s, slots.SPANS + 2 * detail + 1, end)
    return end


@jit
def _detail(a, n, key, s):  # type: ignore[no-untyped-def]
    """The number in DETAILS of the key of n bytes at `a`, whose first word is `key`; -1 when it is none of them."""
    for k in range(slots.ALL_DETAILS):
        want = get(s, slots.KEYS) + 40 * k
        if get(want, 0) != n or get(want, 1) != np.int64(key):
            continue
        at = 8
        while at < n and np.int64(prefix(a + at, n - at)) == get(want, 1 + at // 8):
            at += 8
        if at >= n:
            return k
    return -1
