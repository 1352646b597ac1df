"""Was this trace read before? Keeps the table of a large trace as Arrow IPC with zstd, for the next look at it.

A trace of a run directory is kept in RUN/derived, any other one in the user's cache folder, never beside a file that
is not ours. What is kept is only used when it was made from the same bytes (size, time of change, hash of the first
and the last part) by the same version of the reader; whatever is wrong with it, the trace is read again. Without
pyarrow nothing is kept.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import sys
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files.kineto_table import Int32, Rows, RowTexts
from llmprof.timeline.events import CollectiveCall, EventTable, Lane, StringTable

__all__ = ["Kept", "TraceCache"]

MAGIC = b"llmprof1"
HEAD_BYTES = len(MAGIC) + 4
"""The magic, and a checksum of all that follows."""
READ_BYTES = 1 << 20
BATCH_ROWS = 1 << 17
"""Rows that are packed at a time."""
ENDS_BYTES = 1 << 18
"""Bytes at either end of a trace that are hashed."""
MOST_BYTES = 4 << 30
"""The user's cache folder is kept below this; what was not used for longest goes first."""

_COLUMNS = ("ts", "dur", "kind", "lane", "name", "correlation", "launch", "external")
_KINDS = {"kind": np.uint8, "lane": np.int32, "name": np.int32, "launch": np.int32, "tag": np.uint8, "text": np.uint8}
UNSIGNED = {"kind", "tag", "text"}
SEPARATOR = "\n"
_CALL, _BYTES, _STREAM, _SHAPE = range(4)

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows of a trace, and what else is to be remembered of it (JSON)."""

    table: Rows
    facts: dict[str, Any]

    def rows(self, rank: int) -> Rows:
        """The rows as those of `rank`."""
        return replace(self.table, lanes=tuple(replace(lane, rank=rank) for lane in self.table.lanes))


class TraceCache:
    """The place where one trace is kept."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace
        self._place = _place_of(trace)

    def load(self) -> Kept | None:
        """What is kept of the trace as it is now; None when that is nothing usable."""
        with suppress(Exception):  # a cache may hold anything; nothing that it holds is worth an error
            with self._place.open("rb") as file:
                whole = file.read(HEAD_BYTES) == _head(file)
                file.seek(HEAD_BYTES)
                kept = _unpacked(file, self._key()) if whole else None
            if kept is not None:
                os.utime(self._place)
                return kept
        return None

    def store(self, kept: Kept) -> None:
        """Keep this; nothing happens where that is not possible (no pyarrow, no room, a folder that is read-only)."""
        if importlib.util.find_spec("pyarrow") is None:
            return
        partial = self._place.with_name(f".{self._place.name}.{os.getpid()}.part")
        with suppress(OSError):
            self._place.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("w+b") as file:
                    file.write(bytes(HEAD_BYTES))
                    _pack(kept, self._key(), file)
                    head = _head(file)
                    file.seek(0)
                    file.write(head)
                os.replace(partial, self._place)
            finally:
                partial.unlink(missing_ok=True)
            if self._place.parent == _user_folder():
                _make_room(self._place.parent)

    def _key(self) -> str:
        """Changes with the trace and with the reader."""
        status = self._trace.stat()
        found = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns} {_reader_version()}".encode())
        with self._trace.open("rb") as file:
            found.update(file.read(ENDS_BYTES))
            file.seek(max(0, status.st_size - ENDS_BYTES))
            found.update(file.read(ENDS_BYTES))
        return found.hexdigest()


@cache
def _reader_version() -> str:
    """A hash of the modules of this folder and of the table that they fill."""
    here = Path(__file__).parent
    found = hashlib.sha256()
    for path in (*sorted(here.glob("*.py")), here.parents[1] / "timeline" / "events.py"):
        found.update(path.read_bytes())
    return found.hexdigest()


def _head(file: BinaryIO) -> bytes:
    """What a file has to begin with, given all that follows."""
    file.seek(HEAD_BYTES)
    found = 0
    while block := file.read(READ_BYTES):
        found = zlib.crc32(block, found)
    return MAGIC + found.to_bytes(4, "little")


def _place_of(trace: Path) -> Path:
    path = Path(os.path.abspath(trace))
    parents = path.parents
    if len(parents) > 2 and parents[1].name == "ranks" and (parents[2] / "run.json").is_file():
        return parents[2] / "derived" / f"{parents[0].name}.{path.name}.arrow"
    return _user_folder() / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.arrow"


def _user_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "llmprof" / "traces"


def _make_room(folder: Path) -> None:
    """Remove what was not used for longest until the folder is small enough."""
    files = sorted(((path.stat(), path) for path in folder.glob("*.arrow")), key=lambda entry: -entry[0].st_mtime)
    total = 0
    for status, path in files:
        total += status.st_size
        if total > MOST_BYTES:
            path.unlink(missing_ok=True)


def _pack(kept: Kept, key: str, file: BinaryIO) -> None:
    """Three Arrow streams, one behind the other: columns, side values, strings; facts are metadata of the first."""
    table, events = kept.table, kept.table.events
    shapes = events.shapes if isinstance(events.shapes, RowTexts) else RowTexts.of(events.shapes)
    calls = {call: number for number, call in enumerate(dict.fromkeys(events.collectives.values()))}
    facts = {
        "key": key,
        "facts": kept.facts,
        "origin_ns": table.origin_ns,
        "dropped": dict(table.dropped),
        "notes": table.notes,
        "lanes": [asdict(lane) for lane in table.lanes],
        "calls": [asdict(call) for call in calls],
        "shapes": list(shapes.texts),
        "names": len(events.strings),
    }
    sides: list[tuple[Sequence[int] | Int32, Sequence[int] | Int32, int]] = [
        (list(events.collectives), [calls[call] for call in events.collectives.values()], _CALL),
        (list(events.copied_bytes), list(events.copied_bytes.values()), _BYTES),
        (list(events.streams), list(events.streams.values()), _STREAM),
        (shapes.rows, shapes.ids, _SHAPE),
    ]
    side_columns = {
        "row": np.concatenate([np.asarray(rows, np.int64) for rows, _, _ in sides]),
        "value": np.concatenate([np.asarray(values, np.int64) for _, values, _ in sides]),
        "tag": np.concatenate([np.full(len(rows), tag, np.uint8) for rows, _, tag in sides]),
    }
    columns = {name: getattr(events, name) for name in _COLUMNS}
    _write(file, columns, facts)
    _write(file, side_columns)
    names = SEPARATOR.join(events.strings.names).encode()  # names hold no control characters
    _write(file, {"text": np.frombuffer(names, np.uint8)})


def _arrow() -> Any:
    """pyarrow; where nobody uses it yet, with the allocator of the system: its own keeps some 20 MB at a first look."""
    variable = "ARROW_DEFAULT_MEMORY_POOL"
    ours = "pyarrow" not in sys.modules and variable not in os.environ
    if ours:
        os.environ[variable] = "system"
    try:
        pa = importlib.import_module("pyarrow")
        pa.default_memory_pool()  # from now on it is the one
    finally:
        if ours:
            del os.environ[variable]
    return pa


def _write(file: BinaryIO, columns: Arrays, facts: Mapping[str, Any] | None = None) -> None:
    """One stream of integer columns, in 4 bytes a value where they fit; made without pandas, which is slow to load."""
    pa = _arrow()

    kinds = {name: _narrowest(name, values) for name, values in columns.items()}
    rows = len(next(iter(columns.values())))
    schema = pa.schema(
        [(name, pa.from_numpy_dtype(kind)) for name, kind in kinds.items()],
        metadata={"llmprof": json.dumps({"rows": rows, "facts": facts})},
    )
    with pa.ipc.new_stream(file, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for start in range(0, rows, BATCH_ROWS):
            arrays = []
            for field, (name, values) in zip(schema, columns.items(), strict=True):
                part = _steps(values, start, start + BATCH_ROWS) if name == "ts" else values[start : start + BATCH_ROWS]
                part = np.ascontiguousarray(part, kinds[name])
                arrays.append(pa.Array.from_buffers(field.type, part.size, [None, pa.py_buffer(part)]))
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _steps(values: npt.NDArray[Any], start: int, stop: int) -> npt.NDArray[Any]:
    """The difference of each value to the one before it: small numbers, which pack well."""
    return np.diff(values[start:stop], prepend=values[start - 1] if start else np.int64(0))


def _narrowest(name: str, values: npt.NDArray[Any]) -> np.dtype[Any]:
    small = (
        name != "ts"
        and values.dtype == np.int64
        and values.size > 0
        and values.min() >= -(2**31)
        and values.max() < 2**31
    )
    return np.dtype(np.int32) if small else values.dtype


def _read(source: Any) -> tuple[dict[str, npt.NDArray[Any]], Any]:
    """The columns and the metadata of the stream that comes next, a batch at a time."""
    pa = _arrow()

    with pa.ipc.open_stream(source) as reader:
        metadata = json.loads(reader.schema.metadata[b"llmprof"])
        columns = {name: np.empty(metadata["rows"], _KINDS.get(name, np.int64)) for name in reader.schema.names}
        start = 0
        for batch in reader:
            stop = start + batch.num_rows
            for field, column in zip(batch.schema, batch.columns, strict=True):
                kind = np.dtype(f"{'u' if field.name in UNSIGNED else 'i'}{field.type.bit_width // 8}")
                columns[field.name][start:stop] = np.frombuffer(column.buffers()[1], kind, batch.num_rows)
            start = stop
    if start != metadata["rows"]:
        raise ValueError("rows are missing")
    return columns, metadata["facts"]


def _unpacked(source: BinaryIO, key: str) -> Kept | None:
    columns, facts = _read(source)
    if facts["key"] != key:
        return None
    sides, _ = _read(source)
    strings, _ = _read(source)
    np.cumsum(columns["ts"], out=columns["ts"])
    fields: dict[str, Any] = {**columns, **_sides(sides, facts)}
    names = strings["text"].tobytes().decode().split(SEPARATOR) if facts["names"] else []
    events = EventTable(**fields, strings=StringTable(names))
    lanes = tuple(Lane(**lane) for lane in facts["lanes"])
    rows = Rows(
        events=events,
        lanes=lanes,
        origin_ns=facts["origin_ns"],
        dropped=facts["dropped"],
        notes=tuple(facts["notes"]),
    )
    return Kept(rows, facts["facts"])


def _sides(columns: Arrays, facts: Mapping[str, Any]) -> dict[str, Any]:
    calls = [CollectiveCall(**{**call, "ranks": _ranks(call["ranks"])}) for call in facts["calls"]]

    def some(tag: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        chosen = np.flatnonzero(columns["tag"] == tag)
        return columns["row"][chosen], columns["value"][chosen]

    def as_dict(tag: int) -> dict[int, int]:
        rows, values = some(tag)
        return dict(zip(rows.tolist(), values.tolist(), strict=True))

    rows, ids = some(_SHAPE)
    return {
        "collectives": {row: calls[number] for row, number in as_dict(_CALL).items()},
        "copied_bytes": as_dict(_BYTES),
        "streams": as_dict(_STREAM),
        "shapes": RowTexts(rows.astype(np.int32), ids.astype(np.int32), facts["shapes"]),
    }


def _ranks(value: list[int] | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(value)
