"""Which strings and records were seen already? Hash tables as numba functions over memory that the caller owns.

A table is a run of slots in the state of the scan: addresses of its arrays, its sizes and its count. A full table is
an answer here, never an allocation.
"""

from __future__ import annotations

import numpy as np

from llmprof.collectors.files.scanner_memory import byte, get, get32, jit, load, put, put8, put32
from llmprof.collectors.files.scanner_slots import (
    CAPACITY,
    COUNT,
    ENDS,
    FIRST,
    HASH_SIZE,
    HASHED,
    ITEMS,
    ITEMS_SIZE,
    RECORD_FIELDS,
)
from llmprof.collectors.files.scanner_values import prefix, same

__all__ = ["FULL", "intern", "record_id", "rehash"]

FULL = np.int64(-1)

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_SHIFT, _HALF = np.uint64(29), np.uint64(32)


@jit
def _hash(a, n):  # type: ignore[no-untyped-def]
    found = np.uint64(n) * _PRIME
    while n >= 8:
        found = (found ^ load(a)) * _PRIME
        found ^= found >> _SHIFT
        a, n = a + 8, n - 8
    found = (found ^ prefix(a, n)) * _PRIME
    return found ^ (found >> _HALF)


@jit
def intern(a, n, s, table, seen):  # type: ignore[no-untyped-def]
    """The id of the n bytes at `a`; a new one has `seen` as its first place. FULL when there is no room for it."""
    hashed, ends, items = get(s, table + HASHED), get(s, table + ENDS), get(s, table + ITEMS)
    last = get(s, table + HASH_SIZE) - 1
    at = np.int64(_hash(a, n) & np.uint64(last))
    while get32(hashed, at) != 0:
        i = get32(hashed, at) - 1
        start = get(ends, i)
        if get(ends, i + 1) - start == n and same(a, items + start, n):
            return i
        at = (at + 1) & last
    i = get(s, table + COUNT)
    start = get(ends, i)
    if i + 1 >= get(s, table + CAPACITY) or start + n + 64 > get(s, table + ITEMS_SIZE):
        return FULL
    for k in range(n):
        put8(items + start, k, byte(a + k))
    put(ends, i + 1, start + n)
    put(get(s, table + FIRST), i, seen)
    put32(hashed, at, i + 1)
    put(s, table + COUNT, i + 1)
    return i


@jit
def _key_hash(record):  # type: ignore[no-untyped-def]
    found = np.uint64(0)
    for k in range(RECORD_FIELDS - 1):
        found = (found ^ np.uint64(get(record, k))) * _PRIME
        found ^= found >> _SHIFT
    return found ^ (found >> _HALF)


@jit
def record_id(record, s, table, seen):  # type: ignore[no-untyped-def]
    """The id of the record at the address `record`; FULL when there is no room for a new one."""
    hashed, items = get(s, table + HASHED), get(s, table + ITEMS)
    last = get(s, table + HASH_SIZE) - 1
    at = np.int64(_key_hash(record) & np.uint64(last))
    while get32(hashed, at) != 0:
        i = get32(hashed, at) - 1
        if same(record, items + 8 * RECORD_FIELDS * i, 8 * (RECORD_FIELDS - 1)):
            return i
        at = (at + 1) & last
    i = get(s, table + COUNT)
    if i + 1 >= get(s, table + CAPACITY):
        return FULL
    for k in range(RECORD_FIELDS):
        put(items, RECORD_FIELDS * i + k, get(record, k))
    put(get(s, table + FIRST), i, seen)
    put32(hashed, at, i + 1)
    put(s, table + COUNT, i + 1)
    return i


@jit
def rehash(s, table, size):  # type: ignore[no-untyped-def]
    """Enter all into an emptied hash array again; `size` is 0 for byte strings, 1 for records. Gives the count."""
    hashed, ends, items = get(s, table + HASHED), get(s, table + ENDS), get(s, table + ITEMS)
    last = get(s, table + HASH_SIZE) - 1
    for i in range(get(s, table + COUNT)):
        if size:
            found = _key_hash(items + 8 * RECORD_FIELDS * i)
        else:
            found = _hash(items + get(ends, i), get(ends, i + 1) - get(ends, i))
        at = np.int64(found & np.uint64(last))
        while get32(hashed, at) != 0:
            at = (at + 1) & last
        put32(hashed, at, i + 1)
    return get(s, table + COUNT)
