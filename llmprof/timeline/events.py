"""What happened, event by event: a struct of arrays with its string table.

One table holds the events of one rank. A row is something with a start and a length: an operator, a runtime call, a
kernel, a copy, an annotation. Rows are sorted by start. Details that few rows have (collective arguments, copied
bytes, input shapes) lie in side tables keyed by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from llmprof.timeline.intervals import Int64, Intervals

__all__ = [
    "DEVICE_KINDS",
    "NONE",
    "CollectiveCall",
    "EventTable",
    "Kind",
    "Lane",
    "StringTable",
    "link_launches",
]

Int32 = npt.NDArray[np.int32]
UInt8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]

NONE = -1
"""The value of an integer column that says "there is none": no correlation, no launch, no step."""


class Kind(IntEnum):
    """What a row is. Device work (kernel, memcpy, memset) is what makes a GPU busy; nothing else does."""

    CPU_OP = 0  # an operator on the host: aten::mm, autograd nodes, record_param_comms
    RUNTIME = 1  # a CUDA or HIP runtime or driver call on the host
    KERNEL = 2  # a kernel on the device, collectives included
    MEMCPY = 3
    MEMSET = 4
    ANNOTATION = 5  # a mark on the host: ProfilerStep#7, enumerate(DataLoader)#..., Optimizer.step#...
    PYTHON = 6  # a Python frame
    SYNC = 7  # a cuda_sync row: stream wait, event sync, context sync; never busy time
    GPU_ANNOTATION = 8  # the device-side shadow of an annotation; never busy time, never a step bound
    OVERHEAD = 9  # the profiler's own work


DEVICE_KINDS = (Kind.KERNEL, Kind.MEMCPY, Kind.MEMSET)


class StringTable:
    """Names, stored once. `table[i]` is the name of id i; `table.id(name)` interns it."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names: list[str] = []
        self._ids: dict[str, int] = {}
        for name in names:
            self.id(name)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> str:
        return self._names[index]

    @property
    def names(self) -> Sequence[str]:
        """All names in the order of their ids."""
        return self._names

    def id(self, name: str) -> int:
        """The id of `name`, new when it was not seen before."""
        found = self._ids.get(name)
        if found is None:
            found = self._ids[name] = len(self._names)
            self._names.append(name)
        return found

    def find(self, name: str) -> int:
        """The id of `name`, or NONE when no event has it."""
        return self._ids.get(name, NONE)


@dataclass(frozen=True, slots=True)
class Lane:
    """Where events happen: a host thread (`device` NONE) or a stream of a device (`thread` is the stream)."""

    rank: int
    device: int
    process: int
    thread: int
    label: str = ""

    @property
    def on_device(self) -> bool:
        """Whether this is a stream."""
        return self.device != NONE


@dataclass(frozen=True, slots=True)
class CollectiveCall:
    """What a collective was asked to do; None where the recording does not say.

    `in_elements` and `out_elements` count elements of `dtype`; `ranks` are global ranks of the group, `peer` is the one
    that a message goes to or comes from.
    """

    name: str | None = None
    in_elements: int | None = None
    out_elements: int | None = None
    dtype: str | None = None
    group_size: int | None = None
    group_name: str | None = None
    group_description: str | None = None
    ranks: tuple[int, ...] | None = None
    peer: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EventTable:
    """The events of one rank, sorted by `ts`; every column has shape (n,).

    ts, dur      int64 ns; ts counts from the timeline's origin
    kind         uint8, a `Kind`
    lane         int32, index into the timeline's lanes
    name         int32, id in `strings`
    correlation  int64; joins a runtime call with the device work it launched; NONE when absent
    launch       int32; for device work the row of the runtime call that launched it, NONE when that lies outside the
                 recording (then the row is kept, and counts as unlinked); NONE for everything else
    external     int64; the profiler's operator id, NONE when absent
    """

    ts: Int64
    dur: Int64
    kind: UInt8
    lane: Int32
    name: Int32
    correlation: Int64
    launch: Int32
    external: Int64
    strings: StringTable
    collectives: Mapping[int, CollectiveCall] = field(default_factory=dict)
    copied_bytes: Mapping[int, int] = field(default_factory=dict)
    shapes: Mapping[int, str] = field(default_factory=dict)
    streams: Mapping[int, int] = field(default_factory=dict)
    """For SYNC rows: the stream that waits, where the recording names it."""

    def __len__(self) -> int:
        return int(self.ts.size)

    @property
    def end(self) -> Int64:
        """End of each event in ns, shape (n,)."""
        return self.ts + self.dur

    def rows(self, *kinds: Kind) -> npt.NDArray[np.intp]:
        """The rows of these kinds, ascending."""
        return np.flatnonzero(self._of_kinds(kinds))

    def spans(self, rows: npt.ArrayLike) -> Intervals:
        """The union of these rows' time."""
        index = np.asarray(rows, dtype=np.intp)
        return Intervals.of(self.ts[index], self.ts[index] + self.dur[index])

    def named(self, row: int) -> str:
        """The name of one row."""
        return self.strings[int(self.name[row])]

    def rows_named(self, kinds: Sequence[Kind], matching: Bool) -> npt.NDArray[np.intp]:
        """Rows of `kinds` whose name id is set in `matching`, a mask over the string table."""
        rows = np.flatnonzero(self._of_kinds(kinds))
        return rows[matching[self.name[rows]]]

    def _of_kinds(self, kinds: Sequence[Kind]) -> Bool:
        wanted = np.zeros(256, dtype=bool)  # a kind is a uint8
        wanted[list(kinds)] = True
        return wanted[self.kind]


def link_launches(kind: UInt8, correlation: Int64) -> Int32:
    """For each device row the row of the runtime call with its correlation, else NONE; shape (n,), int32.

    One call may own many kernels (a CUDA graph launch). Where several calls carry one correlation the last one wins.
    Correlation 0 is no correlation: ROCm 6.1 writes it on every collective kernel.
    """
    launch = np.full(kind.shape, NONE, dtype=np.int32)
    calls = np.flatnonzero((kind == Kind.RUNTIME) & (correlation > 0))
    work = np.flatnonzero(np.isin(kind, DEVICE_KINDS) & (correlation > 0))
    if calls.size == 0 or work.size == 0:
        return launch
    order = np.argsort(correlation[calls], kind="stable")
    keys = correlation[calls][order]
    place = np.searchsorted(keys, correlation[work], side="right") - 1
    found = (place >= 0) & (keys[np.maximum(place, 0)] == correlation[work])
    launch[work[found]] = calls[order[place[found]]]
    return launch
