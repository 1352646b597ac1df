"""What is each collective? Operation, number format, message size and group, from its metadata or else its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.messages import Messages, is_sent, messages_of
from llmprof.timeline.events import CollectiveCall, EventTable

__all__ = ["ONE_SIDED", "SYMMETRIC", "CollectiveKind", "bus_factor", "describe"]

SYMMETRIC = frozenset({"all_reduce", "all_gather", "reduce_scatter", "all_to_all", "barrier"})
"""Operations that no rank can leave before every rank has arrived; a broadcast's root, say, can."""
ONE_SIDED = ("broadcast",)
"""Operations in which all wait for the rank that sends, and it for nobody."""

_OPERATIONS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("all_reduce", r"all_?reduce|cross_device_reduce|lamport"),
        ("reduce_scatter", r"reduce_?scatter"),
        ("all_gather", r"all_?gather"),
        ("all_to_all", r"all_?to_?all|a2a|deep_?ep|hybrid_?ep"),
        ("broadcast", r"broadcast|bcast"),
        ("barrier", r"barrier"),
        ("send_recv", r"send|recv"),
        ("gather", r"gather"),
        ("scatter", r"scatter"),
        ("reduce", r"reduce"),
    )
)
# NCCL moves what it does not add as bytes, so only the name of a reduction tells the number format.
_REDUCTIONS = frozenset({"all_reduce", "reduce_scatter", "reduce"})

_FORMATS = {
    "double": "fp64",
    "float": "fp32",
    "half": "fp16",
    "bfloat16": "bf16",
    "long": "int64",
    "int": "int32",
    "short": "int16",
    "char": "int8",
    "byte": "uint8",
    "bool": "bool",
}
_SIZES = {
    "fp64": 8,
    "fp32": 4,
    "fp16": 2,
    "bf16": 2,
    "fp8": 1,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
_NAMED_FORMAT = re.compile(r"bf16|bfloat16|f16|half|f32|float(?!8)|f64|double|f8e\dm\d|float8", re.IGNORECASE)
_NAMED = {"bf16": "bf16", "bfloat16": "bf16", "f16": "fp16", "half": "fp16", "f32": "fp32", "float": "fp32"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveKind:
    """What a collective does; None where neither metadata nor name tell."""

    op: str
    """all_reduce, all_gather, reduce_scatter, all_to_all, broadcast, reduce, send_recv, barrier, …, or `other`."""
    dtype: str | None = None
    bytes: int | None = None
    """Size of the full buffer, as nccl-tests counts it: for all-gather what a rank ends with, for reduce-scatter what
    it begins with."""
    group_size: int | None = None
    group: tuple[str | None, tuple[int, ...] | None] = (None, None)
    """Name and global ranks of the process group."""
    description: str | None = None
    """What the program calls the group: default_pg, mesh_tp, ..."""
    messages: Messages = ()
    """Of sends and receives, those sent first; empty where the recording does not tell."""


def describe(events: EventTable, rows: npt.NDArray[np.intp]) -> tuple[tuple[CollectiveKind, ...], npt.NDArray[np.intp]]:
    """The distinct kinds among the collectives in `rows`, and for each row the index of its kind; shape (n,)."""
    places: dict[CollectiveKind, int] = {}
    index = np.empty(rows.size, dtype=np.intp)
    calls = [(events.named(row), events.collectives.get(row)) for row in rows.tolist()]
    exchanges = rows[[_kind(name, call, ()).op == "send_recv" for name, call in calls]] if rows.size else rows
    messages = messages_of(events, exchanges)
    for position, (row, (name, call)) in enumerate(zip(rows.tolist(), calls, strict=True)):
        kind = _kind(name, call, messages.get(row, ()))
        index[position] = places.setdefault(kind, len(places))
    return tuple(places), index


def bus_factor(kind: CollectiveKind) -> float | None:
    """Bus bandwidth over algorithm bandwidth (nccl-tests, PERFORMANCE.md); None when the group or the op is unknown."""
    n = kind.group_size
    if kind.op in ("broadcast", "reduce", "send_recv"):
        return 1.0
    if n is None or n < 1:
        return None
    if kind.op == "all_reduce":
        return 2 * (n - 1) / n
    return (n - 1) / n if kind.op in ("all_gather", "reduce_scatter", "all_to_all") else None


@lru_cache(maxsize=4096)
def _kind(name: str, call: CollectiveCall | None, messages: Messages) -> CollectiveKind:
    op = _operation(call.name) if call is not None and call.name else "other"
    if op == "other":  # sends and receives that are launched together are called `coalesced`
        op = _operation(name)
    call = messages[0] if messages else call
    if call is None:
        return CollectiveKind(op=op, dtype=_dtype_of_name(name, op))
    dtype = _dtype(call.dtype) or _dtype_of_name(name, op)
    return CollectiveKind(
        op=op,
        dtype=dtype,
        bytes=_exchanged(messages, op) if messages else _bytes(call, dtype, op),
        group_size=call.group_size or (len(call.ranks) if call.ranks else None),
        group=(call.group_name, call.ranks),
        description=call.group_description,
        messages=messages,
    )


def _exchanged(messages: Messages, op: str) -> int | None:
    """What goes the way on which more goes: a link moves as much in both directions at once."""
    sizes = [(is_sent(call), _bytes(call, _dtype(call.dtype), op)) for call in messages]
    ways = [[size for sent, size in sizes if sent is way] for way in (True, False)]
    return max(sum(size for size in way if size is not None) for way in ways) if all(s for _, s in sizes) else None


def _operation(name: str) -> str:
    return next((op for op, pattern in _OPERATIONS if pattern.search(name.removeprefix("nccl"))), "other")


def _dtype(name: str | None) -> str | None:
    """The common name of a torch scalar type (Float, BFloat16, Float8_e4m3fn)."""
    if name is None:
        return None
    low = name.lower()
    return "fp8" if low.startswith("float8") else _FORMATS.get(low)


def _dtype_of_name(name: str, op: str) -> str | None:
    found = _NAMED_FORMAT.search(name) if op in _REDUCTIONS else None
    if found is None:
        return None
    word = found[0].lower()
    return _NAMED.get(word) or ("fp64" if word in ("f64", "double") else "fp8")


def _bytes(call: CollectiveCall, dtype: str | None, op: str) -> int | None:
    size = _SIZES.get(dtype or "")
    counts = [count for count in (call.in_elements, call.out_elements) if count is not None]
    if size is None or not counts or op == "other":
        return None
    return max(counts) * size
