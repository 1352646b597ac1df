"""Which copies cross the bus? Host-to-device and device-to-host copies: bytes, rate, pinned or pageable, exposed."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.device.kernels import class_spans
from llmprof.analyzers.facts.operators.call_shapes import call_shapes
from llmprof.analyzers.facts.operators.op_bytes import operands_of
from llmprof.analyzers.facts.operators.operator_tree import OperatorTree, innermost, names_matching
from llmprof.analyzers.facts.steps.inside import step_of
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind
from llmprof.timeline.intervals import Intervals, lengths_inside
from llmprof.timeline.timeline import RankTimeline

__all__ = ["CopyFacts", "CopyGroup", "copy_facts"]

# CUDA writes "Memcpy HtoD (Pinned -> Device)", ROCm "CopyHostToDevice" or "Memcpy HtoD (Host -> Device)".
_GROUPS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("pageable_to_device", re.compile(r"(HtoD|HtoA|HostToDevice).*Pageable")),
    ("pinned_to_device", re.compile(r"HtoD|HtoA|HostToDevice")),
    ("to_host", re.compile(r"DtoH|AtoH|DeviceToHost")),
    ("peer", re.compile(r"PtoP|PeerToPeer")),
    ("on_device", re.compile(r"DtoD|DtoA|AtoD|DeviceToDevice")),
)
_COPYING = "aten::copy_"
_WIDE = (("float",), ("double",))
"""The profiler's names of the types that have a shorter one for what is stored or seen: pixels, points, features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyGroup:
    """Copies of one direction and one kind of host memory; per step."""

    count: float = 0.0
    bytes: float = 0.0
    ns: float = 0.0
    exposed_ns: float = 0.0
    """Device time during which only this copy ran."""
    largest_bytes: int = 0

    @property
    def bytes_per_s(self) -> float | None:
        """Achieved rate, None when nothing was copied."""
        return self.bytes / self.ns * 1e9 if self.ns > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFacts:
    """Copies of one rank inside the traced windows."""

    pageable_to_device: CopyGroup = CopyGroup()
    pinned_to_device: CopyGroup = CopyGroup()
    to_host: CopyGroup = CopyGroup()
    on_device: CopyGroup = CopyGroup()
    peer: CopyGroup = CopyGroup()
    pageable_stall_ns: float | None = None
    """Host time inside the calls that copied pageable memory to the device (they block the launching thread)."""
    pageable_float_bytes: float | None = None
    """Of its bytes those whose elements are floats of four bytes or more; None where no types were recorded."""
    pinned_float_bytes: float | None = None
    """The same of what comes from pinned memory."""


def copy_facts(rank: RankTimeline, windows: Windows) -> CopyFacts | None:
    """The copies that start inside the windows, by direction; None when the recording has no device rows.

    A copy to the device whose name does not say what memory it reads counts as pinned, because only a name that says
    pageable is evidence. Copies that ran as a kernel carry no direction and are left out.
    """
    events = rank.events
    if events is None or len(windows) == 0 or events.rows(*DEVICE_KINDS).size == 0:
        return None
    rows = events.rows(Kind.MEMCPY)
    rows = rows[step_of(windows.start_ns, windows.end_ns, events.ts[rows]) != NONE]
    spans = class_spans(rank)
    kernels = spans["kernels"] | spans["communication"]
    group = _group_of(events, rows)
    index = {name: place for place, (name, _) in enumerate(_GROUPS)}
    groups = {name: _measure(events, rows[group == place], kernels, windows) for name, place in index.items()}
    pageable, pinned = (rows[group == index[one]] for one in ("pageable_to_device", "pinned_to_device"))
    return CopyFacts(
        **groups,
        pageable_stall_ns=_stall_ns(events, pageable, len(windows)),
        pageable_float_bytes=_float_bytes(rank, windows, pageable),
        pinned_float_bytes=_float_bytes(rank, windows, pinned),
    )


def _group_of(events: EventTable, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The index in _GROUPS of each copy, NONE where its name tells no direction."""
    names, where = np.unique(events.name[rows], return_inverse=True)
    texts = [events.strings[int(name)] for name in names]
    found = [next((i for i, (_, pattern) in enumerate(_GROUPS) if pattern.search(text)), NONE) for text in texts]
    return np.asarray(found, dtype=np.intp)[where] if found else np.empty(0, dtype=np.intp)


def _measure(events: EventTable, rows: npt.NDArray[np.intp], kernels: Intervals, windows: Windows) -> CopyGroup:
    if rows.size == 0:
        return CopyGroup()
    sizes = [events.copied_bytes.get(int(row), 0) for row in rows]
    exposed = lengths_inside(events.spans(rows) - kernels, windows.start_ns, windows.end_ns)
    steps = len(windows)
    return CopyGroup(
        count=rows.size / steps,
        bytes=sum(sizes) / steps,
        ns=float(events.dur[rows].sum()) / steps,
        exposed_ns=float(exposed.sum()) / steps,
        largest_bytes=max(sizes),
    )


def _stall_ns(events: EventTable, rows: npt.NDArray[np.intp], steps: int) -> float | None:
    """Host time per step in the calls that issued these copies; None when there are copies but no call is known."""
    calls = np.unique(events.launch[rows][events.launch[rows] != NONE])
    if rows.size and calls.size == 0:
        return None
    return float(events.dur[calls].sum()) / steps


def _float_bytes(rank: RankTimeline, windows: Windows, rows: npt.NDArray[np.intp]) -> float | None:
    """Bytes per step of those copies that move floats of four bytes or more; None where no type of any is known.

    What goes over the link has the type of the result: another one is converted before it is copied.
    """
    events = rank.events
    if events is None or not rows.size or not events.rows(Kind.CPU_OP).size:
        return None
    paths = OperatorTree.of(events).launched_under(rows)
    names = np.where(paths == NONE, 0, events.name[np.maximum(paths, 0)])
    calls = innermost(paths, names_matching(events, _COPYING.__eq__)[names])
    shapes = call_shapes(rank, windows, np.unique(calls[calls != NONE]))
    kinds = [operands_of(shapes.texts[one]).types[:1] if one != NONE else () for one in shapes.of(calls).tolist()]
    if not any(kinds):
        return None
    sizes = (events.copied_bytes.get(row, 0) for row in rows.tolist())
    return sum(size for size, kind in zip(sizes, kinds, strict=True) if kind in _WIDE) / len(windows)
