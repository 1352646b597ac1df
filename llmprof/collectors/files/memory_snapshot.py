"""What does a memory snapshot hold? torch.cuda.memory._dump_snapshot pickles, read without running anything in them.

A snapshot is the state of the caching allocator at one moment: its segments and blocks, with the stacks that allocated
them where history was recorded, and then the history itself: allocations, frees and failures in order.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from llmprof.collectors.files.pickle_data import PICKLE_START, load_data
from llmprof.errors import NotFoundError, UnknownFormatError, UnreadableError, UnsafePickleError
from llmprof.timeline.intervals import Int64
from llmprof.timeline.memory import AllocatorStats, Curve, MemorySnapshot, OutOfMemory, Segments
from llmprof.timeline.segments import readable_stack, summarize
from llmprof.units import format_bytes

__all__ = ["SUFFIXES", "SnapshotFile", "is_snapshot", "read_snapshot"]

SUFFIXES = (".pickle", ".pkl", ".pickle.gz", ".pkl.gz")
"""What is looked at in a folder; a file that is named alone is recognised by its content."""
GZIP_MAGIC = b"\x1f\x8b"
MAX_BYTES = 1 << 30
"""Unpacked. Python takes about ten times as much for the objects in it."""
MAX_RATIO = 200
ROW_BYTES = 8
"""A block or an entry takes some 40 bytes in the file, so more than one for this many is a trap."""
CURVE_POINTS = 400
MAX_FAILURES = 20
_RANK = re.compile(r"(?:^|[^a-z])rank[-_.]?(\d{1,6})(?!\d)|(?:^|[^a-z0-9])r(\d{5})(?!\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """The recorded entries of one device that change what is in use; columns have shape (entries,)."""

    t_ns: Int64
    """Unix ns; 0 where entries have no time."""
    level: Int64
    """Bytes in use after the entry, as they were asked for."""
    before: int
    """Bytes in use before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFile:
    """One file, read; `snapshot` says what it holds of its fullest device."""

    path: Path
    segments: Sequence[Any]
    traces: Sequence[Any]

    @property
    def claimed_rank(self) -> int | None:
        """The rank in the file's name (`rank3`, `r00003`), None when there is none."""
        match = _RANK.search(self.path.name)
        return int(match[1] or match[2]) if match else None

    def snapshot(self) -> MemorySnapshot:
        """What it holds."""
        device, notes = self._device()
        state = summarize(self.segments, device)
        entries = self.traces[device] if device < len(self.traces) else []
        entries = entries if isinstance(entries, list) else []
        history = _history(entries, state)
        peak = None if history is None else int(np.argmax(history.level)) if history.level.size else None
        return MemorySnapshot(
            path=str(self.path),
            segments=state,
            events=len(entries),
            peak_bytes=None if history is None or peak is None else max(int(history.level[peak]), history.before),
            curve=None if history is None else _curve(history),
            failures=_failures(entries),
            notes=notes,
        )

    def stats(self) -> AllocatorStats:
        """The snapshot as all that is known of a rank's allocator."""
        found = self.snapshot()
        return AllocatorStats(
            allocated_bytes=found.segments.allocated_bytes,
            reserved_bytes=found.segments.reserved_bytes,
            inactive_split_bytes=found.segments.inactive_split_bytes,
            peak_allocated_bytes=found.peak_bytes,
            out_of_memory=found.failures[-1] if found.failures else None,
            snapshot=found,
        )

    def _device(self) -> tuple[int, tuple[str, ...]]:
        """The device with most memory reserved, and a note when there are others."""
        reserved: dict[int, int] = {}
        for segment in self.segments:
            device, size = segment.get("device", 0), segment.get("total_size")
            if type(device) is int and 0 <= device < 1024 and type(size) is int:
                reserved[device] = reserved.get(device, 0) + size
        if not reserved:
            used = [number for number, trace in enumerate(self.traces[:1024]) if trace]
            return (used[0] if used else 0), ()
        fullest = max(sorted(reserved), key=lambda number: reserved[number])
        if len(reserved) == 1:
            return fullest, ()
        return fullest, (f"{self.path.name} holds {len(reserved)} devices; device {fullest}, the fullest, is shown.",)


def is_snapshot(path: Path) -> bool:
    """Whether the file starts like a pickle, also inside gzip; False for what cannot be looked at."""
    try:
        with open(path, "rb") as file:
            start = file.read(4096)
        if start.startswith(GZIP_MAGIC):
            start = zlib.decompressobj(wbits=31).decompress(start, 16)
    except (OSError, zlib.error):
        return False
    return PICKLE_START.match(start) is not None


def read_snapshot(path: Path) -> SnapshotFile:
    """Read one file.

    Raises NotFoundError, UnreadableError (damaged, cut short), UnsafePickleError (not plain data) and
    UnknownFormatError (plain data, but no snapshot).
    """
    data = _content(path)
    value = load_data(data, str(path))
    traces: Any = []
    if isinstance(value, dict):
        segments, traces = value.get("segments"), value.get("device_traces") or []
    else:
        segments = value  # torch.cuda.memory_snapshot()
    if not (isinstance(segments, list) and isinstance(traces, list) and all(map(_is_segment, segments))):
        raise UnknownFormatError(
            f"{path} is a pickle of plain data but no memory snapshot; write one with torch.cuda.memory._dump_snapshot."
        )
    rows = [len(segment["blocks"]) for segment in segments] + [len(one) for one in traces if isinstance(one, list)]
    if sum(rows) > len(data) // ROW_BYTES + 1000:
        raise UnsafePickleError(
            f"{path} says that it holds {sum(rows)} blocks and entries, more than its size allows: it is built to "
            "exhaust the machine; do not trust it."
        )
    return SnapshotFile(path=path, segments=segments, traces=traces)


def _is_segment(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("blocks"), list) and "total_size" in value


def _content(path: Path) -> bytes:
    """The bytes of the file, unpacked."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            if not packed:
                data = file.read(MAX_BYTES + 1)
            else:
                limit = min(MAX_BYTES, MAX_RATIO * path.stat().st_size + (1 << 20))
                data = gzip.GzipFile(fileobj=file).read(limit + 1)
                if limit < len(data) <= MAX_BYTES:
                    raise UnsafePickleError(
                        f"{path} inflates to more than {MAX_RATIO} times its size, which no snapshot does; unpack it "
                        "yourself if you trust it."
                    )
    except FileNotFoundError:
        raise NotFoundError(f"{path} does not exist; check the path.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UnreadableError(f"{path} cannot be unpacked: its gzip data is damaged or ends early.") from None
    except OSError as error:
        raise UnreadableError(
            f"{path} cannot be read ({error.strerror}); check its permissions and the disk."
        ) from None
    if len(data) > MAX_BYTES:
        raise UnreadableError(
            f"{path} is larger than {format_bytes(MAX_BYTES)}; record a shorter history (max_entries=100000)."
        )
    return data


def _history(entries: Sequence[Any], state: Segments) -> _History | None:
    """What was in use after each entry: counted back from the blocks that are in use at the end."""
    changes = {"alloc": 1, "free_completed": -1}
    rows = [
        (changes[entry["action"]] * size, time)
        for entry in entries
        if isinstance(entry, Mapping)
        and entry.get("action") in ("alloc", "free_completed")
        and (size := _whole(entry.get("size"))) is not None
        and (time := _whole(entry.get("time_us", 0))) is not None
    ]
    final = state.requested_bytes + state.awaiting_free_bytes
    if not rows or final > 1 << 60:
        return None
    change = np.array([row[0] for row in rows], dtype=np.int64)
    level = final - (change.sum() - np.cumsum(change))
    times = np.array([row[1] for row in rows], dtype=np.int64) * 1000
    return _History(t_ns=times, level=level, before=int(level[0] - change[0]))


def _curve(history: _History) -> Curve | None:
    """At most CURVE_POINTS points: of each run of neighbours the highest."""
    if history.level.size == 0 or not history.t_ns.any():
        return None
    bounds = np.linspace(0, history.level.size, min(CURVE_POINTS, history.level.size) + 1).astype(np.int64)
    highest = [int(start + np.argmax(history.level[start:stop])) for start, stop in pairwise(bounds.tolist())]
    return Curve(
        t_ns=tuple(int(history.t_ns[row]) for row in highest), bytes=tuple(int(history.level[row]) for row in highest)
    )


def _failures(entries: Sequence[Any]) -> tuple[OutOfMemory, ...]:
    """The allocations that failed; one after which nothing was allocated ended the run."""
    found: list[OutOfMemory] = []
    allocated_since = False
    for entry in reversed(entries):
        action = entry.get("action") if isinstance(entry, Mapping) else None
        if action == "alloc":
            allocated_since = True
        elif action == "oom" and len(found) < MAX_FAILURES:
            found.append(
                OutOfMemory(
                    requested_bytes=_whole(entry.get("size")) or 0,
                    free_bytes=_whole(entry.get("device_free")),
                    ended_the_run=not allocated_since,
                    stack=readable_stack(entry.get("frames")),
                )
            )
    return tuple(reversed(found))


def _whole(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 53 else None
