"""What was each collective asked to do? NCCL's own NVTX ranges carry sizes and communicators, when they were exported.

The values lie in `NVTX_EVENTS.binaryData`, which `nsys export` writes with `--include-blobs=true` only: a header of 32
bytes (domain, schema and size as little-endian 64-bit numbers first), then the fields of the schema at their offsets.
What cannot be read is left out.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files.nsys.names import matching
from llmprof.collectors.files.nsys.nvtx import EVENTS
from llmprof.collectors.files.nsys.tables import Tables, text_of
from llmprof.timeline.events import NONE, CollectiveCall, EventTable, Kind, Lane

__all__ = ["Payloads", "collective_calls", "read_payloads"]

_HEADER = struct.Struct("<QQQQ")
_FORMATS = {5: "<I", 18: "<Q", 22: "<Q"}
"""NVTX payload entry types: 32-bit unsigned, 64-bit unsigned, size_t."""

_FIELDS = {
    "NCCL communicator ID": "communicator",
    "No. of ranks": "ranks",
    "Rank": "rank",
    "Message size [bytes]": "bytes",
}
_KERNEL = re.compile(r"nccl\w*Kernel", re.IGNORECASE)
_DTYPE = re.compile(r"_(bf16|f16|f32|f64|half|float|double|[ui]8|[ui]32|[ui]64)(?=_|\(|$)")
_DTYPES = {
    "bf16": ("BFloat16", 2), "f16": ("Half", 2), "half": ("Half", 2), "f32": ("Float", 4), "float": ("Float", 4),
    "f64": ("Double", 8), "double": ("Double", 8), "i32": ("Int", 4), "u32": ("Int", 4), "i64": ("Long", 8),
    "u64": ("Long", 8),
}  # fmt: skip
_Entry = Mapping[str, tuple[int, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    start: int
    thread: int
    name: str
    values: Mapping[str, int]


@dataclass(slots=True)
class Payloads:
    """NCCL calls with what they were asked to do, and the communicators that they name."""

    calls: list[_Call] = field(default_factory=list)
    """By start, all threads."""
    sizes: dict[int, int] = field(default_factory=dict)
    """Ranks of each communicator."""
    ranks: dict[tuple[int, int], int] = field(default_factory=dict)
    """(process, communicator) to the rank of that process in it."""

    def world(self, process: int) -> tuple[int | None, int | None]:
        """(rank, number of ranks) of a process in its largest communicator."""
        mine = [(self.sizes[group], -group, rank) for (owner, group), rank in self.ranks.items() if owner == process]
        size, _, rank = max(mine, default=(None, None, None))
        return rank, size


def read_payloads(tables: Tables) -> Payloads:
    """The calls of NCCL that carry a payload; none in most exports."""
    result = Payloads()
    columns = ("start", "globalTid", "text", "textId", "binaryData")
    rows = [row for row in tables.rows(EVENTS, columns, filled="binaryData") if isinstance(row[4], bytes)]
    if not rows:
        return result
    schemas = _schemas(tables)
    names = tables.strings(sorted({row[3] for row in rows if isinstance(row[3], int)}))
    for start, thread, text, text_id, data in rows:
        values = _decoded(data, schemas)
        if not values or not isinstance(start, int) or not isinstance(thread, int):
            continue
        name = text_of(text) if text else names.get(text_id, "")
        group, rank = values.get("communicator"), values.get("rank")
        if group is not None and "ranks" in values:
            result.sizes[group] = values["ranks"]
            if rank is not None:
                result.ranks[thread >> 24, group] = rank
        if "bytes" in values:
            result.calls.append(_Call(start=start, thread=thread, name=name, values=values))
    result.calls.sort(key=lambda call: call.start)
    return result


def collective_calls(
    events: EventTable, lanes: Sequence[Lane], payloads: Payloads, process: int, origin: int
) -> dict[int, CollectiveCall]:
    """What each NCCL kernel was asked to do, by row of the kernel.

    A kernel belongs to the calls that its thread made since the kernel before it: one outside a group, several inside
    `ncclGroupStart` and `ncclGroupEnd`. Several are one message only when they are the same operation of one
    communicator. `origin` is the time in the file of 0 in `events`.
    """
    mine = [call for call in payloads.calls if call.thread >> 24 == process]
    if not mine:
        return {}
    kernels = events.rows_named((Kind.KERNEL,), matching(events.strings, _KERNEL))
    kernels = kernels[events.launch[kernels] != NONE]
    threads = np.array([lane.thread for lane in lanes], dtype=np.int64)[events.lane[events.launch[kernels]]]
    result: dict[int, CollectiveCall] = {}
    for thread in np.unique(threads).tolist():
        calls = [call for call in mine if call.thread & 0xFFFFFF == thread]
        _assign(events, kernels[threads == thread], calls, payloads.sizes, origin, result)
    return result


def _assign(
    events: EventTable,
    kernels: npt.NDArray[np.intp],
    calls: Sequence[_Call],
    sizes: Mapping[int, int],
    origin: int,
    result: dict[int, CollectiveCall],
) -> None:
    kernels = kernels[np.argsort(events.ts[events.launch[kernels]], kind="stable")]
    launched = events.ts[events.launch[kernels]] + origin
    after = np.searchsorted([call.start for call in calls], launched, side="right").tolist()
    before = 0
    for row, until in zip(kernels.tolist(), after, strict=True):
        some = calls[before:until]
        before = until
        if len({(call.name, call.values.get("communicator")) for call in some}) == 1:
            result[row] = _described(some, events.named(row), sizes)


def _described(calls: Sequence[_Call], kernel: str, sizes: Mapping[int, int]) -> CollectiveCall:
    """One message from calls of one operation, in elements of the format that the kernel's name tells, or bytes."""
    group = calls[0].values.get("communicator")
    ranks = sizes.get(group) if group is not None else None
    found = _DTYPE.search(kernel)
    dtype, width = _DTYPES.get(found[1], ("Byte", 1)) if found else ("Byte", 1)
    count = sum(call.values["bytes"] for call in calls) // width
    name = calls[0].name.removeprefix("nccl")
    # NCCL counts what one rank contributes to an all-gather and what one rank keeps of a reduce-scatter.
    whole = count * ranks if ranks else None
    return CollectiveCall(
        name=name,
        in_elements=whole if name == "ReduceScatter" else count,
        out_elements=whole if name == "AllGather" else count,
        dtype=dtype,
        group_size=ranks,
        group_name=None if group is None else f"{group:016x}",
    )


def _schemas(tables: Tables) -> dict[int, _Entry]:
    """For each schema the offset and format of the fields that are read."""
    result: dict[int, dict[str, tuple[int, str]]] = {}
    columns = ("schemaId", "name", "type", "offset")
    for schema, name, kind, offset in tables.rows("NVTX_PAYLOAD_SCHEMA_ENTRIES", columns, filled="name"):
        known = _FIELDS.get(text_of(name))
        if known and kind in _FORMATS and isinstance(schema, int):
            place = offset if isinstance(offset, int) and offset >= 0 else 0
            result.setdefault(schema, {}).setdefault(known, (place, _FORMATS[kind]))
    return dict(result)


def _decoded(data: bytes, schemas: Mapping[int, _Entry]) -> dict[str, int]:
    """The fields of one payload; empty when it is none that is known."""
    if len(data) < _HEADER.size:
        return {}
    _, schema, size, _ = _HEADER.unpack_from(data)
    body = data[_HEADER.size :][:size]
    return {
        name: struct.unpack_from(form, body, offset)[0]
        for name, (offset, form) in schemas.get(schema, {}).items()
        if offset + struct.calcsize(form) <= len(body)
    }
