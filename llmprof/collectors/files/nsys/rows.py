"""Which rows does a report give? Reads its tables chunk by chunk into the columns of an event table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from llmprof.collectors.files.nsys.lanes import SYNC, LaneKey, Lanes, process_of
from llmprof.collectors.files.nsys.names import Names, copy_name, first_known, memset_name
from llmprof.collectors.files.nsys.tables import NULL, Tables
from llmprof.timeline.events import NONE, Int32, Kind, UInt8
from llmprof.timeline.intervals import Int64

__all__ = ["Columns", "RowReader"]

KERNELS = "CUPTI_ACTIVITY_KIND_KERNEL"
COPIES = "CUPTI_ACTIVITY_KIND_MEMCPY"
FILLS = "CUPTI_ACTIVITY_KIND_MEMSET"
GRAPHS = "CUPTI_ACTIVITY_KIND_GRAPH_TRACE"
CALLS = "CUPTI_ACTIVITY_KIND_RUNTIME"
SYNCS = "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION"
OVERHEAD = "CUPTI_ACTIVITY_KIND_OVERHEAD"
RECORDER = "PROFILER_OVERHEAD"

_ON_DEVICE = ("start", "end", "deviceId", "contextId", "streamId", "correlationId", "globalPid")
_RUNTIME_CLASS, _DRIVER_CLASS = 0, 1
_OVERHEADS = {
    2: "Driver JIT compiler (CUDA)",
    3: "Buffer flush (Profiler)",
    4: "Instrumentation (Profiler)",
    5: "Resource creation/destruction (Profiler)",
    6: "Runtime module loading (CUDA)",
    7: "Lazy function loading (CUDA)",
    8: "Command buffer full (CUDA)",
}
_NO_STREAM = 2**32 - 1


@dataclass(slots=True)
class Columns:
    """Rows in the order in which they were read; all shapes (n,), times in ns of the file."""

    ts: Int64
    dur: Int64
    kind: UInt8
    lane: Int32
    name: Int32
    correlation: Int64


class RowReader:
    """Collects the rows of a report; `take` adds some, `finish` gives all."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.names = Names()
        self.lanes = Lanes()
        self.copied: list[tuple[int, Int64]] = []
        """(first row, bytes of the copies from there on)."""
        self.streams: list[tuple[int, Int64]] = []
        """(first row, waiting stream of the synchronisations from there on)."""
        self.sync_types: list[tuple[int, Int64]] = []
        self.dropped: Counter[tuple[int, str]] = Counter()
        """Rows that were left out, by process and reason."""
        self.graph_launches: Counter[int] = Counter()
        """CUDA graphs that were recorded as a whole, by process."""
        self._parts: list[Columns] = []
        self._count = 0

    def read(self) -> None:
        """Read everything that CUPTI recorded."""
        self._kernels()
        self._copies()
        self._fills()
        self._graphs()
        self._calls()
        self._syncs()
        self._overheads()

    def take(self, kind: Kind, start: Int64, end: Int64, lane: Int32, name: Int32, correlation: Int64 | None) -> Int64:
        """Add rows and return which of them were kept, as indices; those without a start or that end early are not."""
        unset = (start == NULL) | (end == NULL)
        bad = unset | (end < start)
        kept = np.flatnonzero(~bad)
        if kept.size < start.size:
            for reason, mask in (("no start or end", unset), ("a negative duration", bad & ~unset)):
                for number, count in zip(*np.unique(lane[mask], return_counts=True), strict=True):
                    self.dropped[self.lanes.keys[int(number)].process, reason] += int(count)
            start, end, lane, name = start[kept], end[kept], lane[kept], name[kept]
            correlation = None if correlation is None else correlation[kept]
        if correlation is None:
            correlation = np.full(start.size, NONE, dtype=np.int64)
        else:
            correlation = np.where(correlation == NULL, NONE, correlation)
        kinds = np.full(start.size, kind, dtype=np.uint8)
        self._parts.append(Columns(start, end - start, kinds, lane, name, correlation))
        self._count += start.size
        return kept

    def finish(self) -> Columns:
        """All rows; the reader keeps none of them."""
        parts, self._parts = self._parts, []
        if not parts:
            whole = np.empty(0, dtype=np.int64)
            small = np.empty(0, dtype=np.int32)
            return Columns(whole, whole, np.empty(0, dtype=np.uint8), small, small, whole)
        return Columns(
            np.concatenate([part.ts for part in parts]),
            np.concatenate([part.dur for part in parts]),
            np.concatenate([part.kind for part in parts]),
            np.concatenate([part.lane for part in parts]),
            np.concatenate([part.name for part in parts]),
            np.concatenate([part.correlation for part in parts]),
        )

    def _device(self, table: str, *more: str) -> Iterator[tuple[Int64, Int64, Int32, Int64, tuple[Int64, ...]]]:
        """(start, end, lane, correlation, further columns) of a table of device work."""
        for columns in self.tables.integers(table, (*_ON_DEVICE, *more)):
            start, end, device, context, stream, correlation, owner = columns[:7]
            lane = self.lanes.of_streams(process_of(owner), device, context, stream)
            yield start, end, lane, correlation, columns[7:]

    def _kernels(self) -> None:
        known = self.tables.columns(KERNELS)
        ids = [name for name in ("demangledName", "shortName", "mangledName") if name in known][:2]
        for start, end, lane, correlation, named in self._device(KERNELS, *ids):
            name = (
                self.names.of_ids(first_known(*named)) if named else np.full(start.size, self.names.of_text("kernel"))
            )
            self.take(Kind.KERNEL, start, end, lane, name.astype(np.int32, copy=False), correlation)

    def _copies(self) -> None:
        for start, end, lane, correlation, more in self._device(COPIES, "copyKind", "srcKind", "dstKind", "bytes"):
            direction, source, target, size = more
            packed = (direction & 0xFF) << 16 | (source & 0xFF) << 8 | (target & 0xFF)
            kinds, where = np.unique(packed, return_inverse=True)
            texts = [copy_name(kind >> 16, kind >> 8 & 0xFF, kind & 0xFF) for kind in kinds.tolist()]
            name = np.array([self.names.of_text(text) for text in texts], dtype=np.int32)[where]
            first = self._count
            kept = self.take(Kind.MEMCPY, start, end, lane, name, correlation)
            self.copied.append((first, size[kept]))

    def _fills(self) -> None:
        for start, end, lane, correlation, (memory,) in self._device(FILLS, "memKind"):
            kinds, where = np.unique(memory, return_inverse=True)
            name = np.array([self.names.of_text(memset_name(kind)) for kind in kinds.tolist()], dtype=np.int32)[where]
            self.take(Kind.MEMSET, start, end, lane, name, correlation)

    def _graphs(self) -> None:
        """Graphs that were recorded as a whole: one row a launch, which keeps the device busy like a kernel."""
        for start, end, lane, correlation, (graph,) in self._device(GRAPHS, "graphId"):
            kinds, where = np.unique(graph, return_inverse=True)
            texts = ["CUDA graph" if kind == NULL else f"CUDA graph {kind}" for kind in kinds.tolist()]
            name = np.array([self.names.of_text(text) for text in texts], dtype=np.int32)[where]
            self.take(Kind.KERNEL, start, end, lane, name, correlation)
            for number, count in zip(*np.unique(lane, return_counts=True), strict=True):
                self.graph_launches[self.lanes.keys[int(number)].process] += int(count)

    def _calls(self) -> None:
        """Runtime and driver calls. Other classes in this table (back traces of calls) are no calls."""
        names = ("start", "end", "globalTid", "correlationId", "nameId", "eventClass")
        for columns in self.tables.integers(CALLS, names):
            group = columns[5]
            chosen = (group == _RUNTIME_CLASS) | (group == _DRIVER_CLASS) | (group == NULL)
            if not chosen.all():
                columns = tuple(column[chosen] for column in columns)
            start, end, thread, correlation, name, group = columns
            slots = self.names.of_ids(name)
            runtime = group != _DRIVER_CLASS
            slots[runtime] = self.names.of_ids(name[runtime], runtime=True)
            self.take(Kind.RUNTIME, start, end, self.lanes.of_threads(thread), slots, correlation)

    def _syncs(self) -> None:
        """Synchronisations; what each one is gets known from its API call, when the rows are joined."""
        names = ("start", "end", "streamId", "correlationId", "globalPid", "syncType")
        pending = self.names.of_text("Synchronization")
        for start, end, stream, correlation, owner, group in self.tables.integers(SYNCS, names):
            waits = np.where((stream == _NO_STREAM) | (stream == NULL), NONE, stream)
            lane = np.empty(start.size, dtype=np.int32)
            for process in np.unique(owner).tolist():
                key = NULL if process == NULL else process >> 24
                lane[owner == process] = self.lanes.number(LaneKey(key, NONE, NONE, NONE, SYNC))
            first = self._count
            name = np.full(start.size, pending, dtype=np.int32)
            kept = self.take(Kind.SYNC, start, end, lane, name, correlation)
            self.streams.append((first, waits[kept]))
            self.sync_types.append((first, group[kept]))

    def _overheads(self) -> None:
        for table in (OVERHEAD, RECORDER):
            names = ("start", "end", "globalTid", "nameId", "overheadType")
            for start, end, thread, name, group in self.tables.integers(table, names):
                slots = self.names.of_ids(name)
                for kind in np.unique(group).tolist() if table == OVERHEAD else ():
                    if kind in _OVERHEADS:
                        slots[group == kind] = self.names.of_text(_OVERHEADS[kind])
                self.take(Kind.OVERHEAD, start, end, self.lanes.of_threads(thread), slots, None)
