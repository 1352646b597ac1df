"""What JSON value stands at this address? numba functions that skip, test and read single values.

A function that takes the address of a value gives the address behind it, or INCOMPLETE (the bytes end first) or ODD
(not what is expected here). `hi` is the end of the bytes that count. `s` is the state of the scan, an int64 array:
what is read goes into its slots, and a slip that was understood nevertheless sets its slot MEND.
"""

# ruff: noqa: SIM109 - comparisons one by one compile to the fastest code
from __future__ import annotations

import numpy as np

from llmprof.collectors.files import scanner_slots as slots
from llmprof.collectors.files.scanner_memory import (
    byte,
    first_bit,
    jit,
    jit_small,
    load,
    put,
    quotes,
    structure,
)
from llmprof.collectors.files.scanner_slots import word

__all__ = [
    "INCOMPLETE",
    "NO_INTEGER",
    "ODD",
    "blank",
    "is_digit",
    "prefix",
    "read_integer",
    "read_time",
    "same",
    "skip_value",
    "string_end",
]

# Constants are int64 and not int: numba would compile a function anew for each int that it is called with.
INCOMPLETE = np.int64(-1)
ODD = np.int64(-2)
NO_INTEGER = np.int64(-(2**63))
"""What `read_integer` stores for a value that is no integer of int64."""
MEND = slots.MEND

QUOTE, BACKSLASH, MINUS, PLUS, DOT, ZERO, NINE, UNDERSCORE, SLASH = (np.int64(ord(c)) for c in '"\\-+.09_/')
OPEN_LIST, OPEN_OBJECT, LOWER_A, LOWER_E, LOWER_F, LOWER_U, LOWER_Z = (np.int64(ord(c)) for c in "[{aefuz")
CASE = np.int64(0x20)
LONGEST_INTEGER = 4000
"""Digits; Python refuses 4300."""
_LAST_MICROSECOND = 2**63 // 1000 - 1

_TRUE, _FALSE, _NULL, _NAN, _INFINITY = (word(w) for w in ("true", "false", "null", "NaN", "Infinity"))
_ANY_NAN, _ANY_INF, _ANY_INFINITY, _NOT_AVAILABLE = (word(w) for w in ("nan", "inf", "infinity", "n/a"))
_ALL = np.uint64(2**64 - 1)
_TEN = np.uint64(10)


@jit_small
def is_digit(c):  # type: ignore[no-untyped-def]
    """Whether this byte is one of 0 to 9."""
    return ZERO <= c <= NINE


@jit_small
def blank(i, hi):  # type: ignore[no-untyped-def]
    """The first byte from `i` on that is no JSON white space."""
    while i < hi:
        c = byte(i)
        if c > 32 or not (c == 32 or c == 10 or c == 13 or c == 9):
            return i
        i += 1
    return i


@jit_small
def prefix(a, n):  # type: ignore[no-untyped-def]
    """The first min(n, 8) bytes from `a`, zeros behind them."""
    if n >= 8:
        return load(a)
    if n <= 0:
        return np.uint64(0)
    return load(a) & (_ALL >> np.uint64(64 - 8 * n))


@jit
def same(a, b, n):  # type: ignore[no-untyped-def]
    """Whether the n bytes at two addresses are the same."""
    while n >= 8:
        if load(a) != load(b):
            return False
        a, b, n = a + 8, b + 8, n - 8
    return prefix(a, n) == prefix(b, n)


@jit
def string_end(i, hi, s):  # type: ignore[no-untyped-def]
    """The closing quote of the string whose first byte is at `i`; a backslash that escapes nothing sets MEND."""
    while i < hi:
        mask = quotes(i)
        if mask == 0:
            i += 32
            continue
        i += first_bit(mask)
        if i >= hi:
            return INCOMPLETE
        if byte(i) == QUOTE:
            return i
        if i + 1 >= hi:
            return INCOMPLETE
        if _escapes(i + 1, hi):
            i += 2
        else:
            put(s, MEND, 1)
            i += 1
    return INCOMPLETE


@jit
def _escapes(i, hi):  # type: ignore[no-untyped-def]
    """Whether the bytes behind a backslash are one of JSON's escapes."""
    c = byte(i)
    if c == QUOTE or c == BACKSLASH or c == SLASH or c == 98 or c == 102 or c == 110 or c == 114 or c == 116:
        return True
    if c != LOWER_U or i + 4 >= hi:
        return False
    for k in range(i + 1, i + 5):
        d = byte(k)
        if not (is_digit(d) or LOWER_A <= (d | CASE) <= LOWER_F):
            return False
    return True


@jit
def skip_value(i, hi, s):  # type: ignore[no-untyped-def]
    """Past any value; lists and objects by their brackets alone."""
    c = byte(i)
    if c == QUOTE:
        end = string_end(i + 1, hi, s)
        return end + 1 if end > 0 else end
    if c == OPEN_LIST or c == OPEN_OBJECT:
        return _skip_nested(i + 1, hi, s)
    signed = c == MINUS
    if signed:
        i += 1
    if is_digit(byte(i)):
        return _skip_number(i, hi)
    return _skip_bare(i, hi, s, signed)


@jit
def _skip_nested(i, hi, s):  # type: ignore[no-untyped-def]
    depth = 1
    while i < hi:
        mask = structure(i)
        if mask == 0:
            i += 32
            continue
        i += first_bit(mask)
        if i >= hi:
            return INCOMPLETE
        c = byte(i)
        if c == QUOTE:
            i = string_end(i + 1, hi, s)
            if i < 0:
                return INCOMPLETE
        elif c | CASE == OPEN_OBJECT:
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                return i + 1
        i += 1
    return INCOMPLETE


@jit
def _skip_number(i, hi):  # type: ignore[no-untyped-def]
    while i < hi:
        c = byte(i)
        if not (is_digit(c) or c == DOT or c == MINUS or c == PLUS or c | CASE == LOWER_E):
            return i
        i += 1
    return INCOMPLETE


@jit
def _skip_bare(i, hi, s, signed):  # type: ignore[no-untyped-def]
    """Past true, null, NaN and what programs write for them; the ones that JSON readers refuse set MEND."""
    a = i
    while i < hi and (LOWER_A <= (byte(i) | CASE) <= LOWER_Z or byte(i) == SLASH):
        i += 1
    if i >= hi:
        return INCOMPLETE
    n = i - a
    if n == 0 or n > 8:
        return ODD
    exact = prefix(a, n)
    if exact == _INFINITY or (not signed and (exact == _TRUE or exact == _FALSE or exact == _NULL or exact == _NAN)):
        return i
    lower = np.uint64(0)
    for k in range(n):
        c = byte(a + k)
        lower |= np.uint64(c if c == SLASH else c | CASE) << np.uint64(8 * k)
    if lower == _ANY_NAN or lower == _ANY_INF or lower == _ANY_INFINITY or lower == _NOT_AVAILABLE:
        put(s, MEND, 1)
        return i
    return ODD


@jit
def read_time(i, hi, s, slot):  # type: ignore[no-untyped-def]
    """A number of µs as int ns in `slot`, every digit down to 1 ns; the next slot says whether there was one.

    More than three decimals are rounded half to even. Exponents, quoted and very long numbers are ODD.
    """
    put(s, slot + 1, 0)
    negative = byte(i) == MINUS
    a = i + 1 if negative else i
    if not is_digit(byte(a)):
        return ODD if byte(i) == QUOTE else skip_value(i, hi, s)
    value, i = 0, a
    while is_digit(byte(i)) and i - a < 17:
        value = value * 10 + (byte(i) - ZERO)
        i += 1
    if i - a > 16 or value >= _LAST_MICROSECOND or (i - a > 1 and byte(a) == ZERO):
        return ODD
    value *= 1000
    if byte(i) == DOT:
        a = i + 1
        scale, i = 100, a
        while is_digit(byte(i)) and scale > 0:
            value += scale * (byte(i) - ZERO)
            scale = scale // 10
            i += 1
        first, more, b = byte(i) - ZERO, False, i
        while is_digit(byte(i)) and i - b < 10:
            more |= i > b and byte(i) != ZERO
            i += 1
        if i >= hi:
            return INCOMPLETE
        if i == a or i - b >= 10:
            return ODD
        if i > b and (first > 5 or (first == 5 and (more or value & 1 == 1))):
            value += 1
    if i >= hi:
        return INCOMPLETE
    if byte(i) | CASE == LOWER_E:
        return ODD
    put(s, slot, -value if negative else value)
    put(s, slot + 1, 1)
    return i


@jit
def read_integer(i, hi, s, slot):  # type: ignore[no-untyped-def]
    """An integer, quoted or not, in `slot`; NO_INTEGER for any other value and for one outside int64."""
    put(s, slot, NO_INTEGER)
    if byte(i) == QUOTE:
        end = string_end(i + 1, hi, s)
        return _quoted_integer(i + 1, end, s, slot) if end > 0 else end
    negative = byte(i) == MINUS
    a = i + 1 if negative else i
    if not is_digit(byte(a)):
        return skip_value(i, hi, s)
    value, i = np.uint64(0), a
    while i < hi and is_digit(byte(i)):
        if i - a < 19:
            value = value * _TEN + np.uint64(byte(i) - ZERO)
        i += 1
    if i >= hi:
        return INCOMPLETE
    n = i - a
    if n > LONGEST_INTEGER or (n > 1 and byte(a) == ZERO):
        return ODD
    if byte(i) == DOT or byte(i) | CASE == LOWER_E:
        return _skip_number(i, hi)
    if n < 19 or (n == 19 and value < np.uint64(2**63)):
        put(s, slot, -np.int64(value) if negative else np.int64(value))
    return i


@jit
def _quoted_integer(a, end, s, slot):  # type: ignore[no-untyped-def]
    """The digits between two quotes; what Python's int() reads besides plain digits is ODD."""
    i = a + 1 if byte(a) == MINUS or byte(a) == PLUS else a
    value = 0
    plain = 0 < end - i <= 18
    for k in range(i, end):
        c = byte(k)
        if c <= 32 or c == UNDERSCORE or c == BACKSLASH or c >= 127 or (is_digit(c) and end - i > 18):
            return ODD
        if is_digit(c):
            value = value * 10 + (c - ZERO)
        else:
            plain = False
    if plain:
        put(s, slot, -value if byte(a) == MINUS else value)
    return end + 1
