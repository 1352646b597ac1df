"""Where does the host wait inside a call, and how much idle time of the device would go if it did not?

A call that waits (a host synchronisation, a blocking copy, cudaMalloc) costs what the device is idle afterwards, as
launches come later by the time W that the host was blocked. Without the wait every later launch is W earlier, so of the
idle time after the call at most W goes, and next to none where the device had run out of work anyway: then W is short.
What is left of W is a head start, which lasts until the host waits for the device again (Lindley's recursion for one
queue, removed wait by removed wait).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.host.host import ALLOCATOR, LAUNCH, SYNC, innermost, named
from llmprof.analyzers.facts.partition.idle import loader_spans
from llmprof.analyzers.facts.partition.partition import Partition
from llmprof.analyzers.facts.steps.inside import host_steps, step_of
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind
from llmprof.timeline.intervals import EMPTY, Int64, lengths_inside, union
from llmprof.timeline.timeline import RankTimeline

__all__ = ["GROUPS", "HOST_IDLE", "BlockedCalls", "Blocking", "blocking"]

GROUPS = ("read", "explicit", "shapes", "to-host", "to-device", "allocator", "collective", "input")
"""Why the host waits: a value read into Python (`.item()`), a synchronisation that the script asks for, a result whose
size is not known before, a tensor copied to the host, one to the device, the driver's allocator, a collective, the
next batch."""
HOST_IDLE = ("launch", "sync", "memory_management")
"""Classes of idle time that a late host causes."""
MOST_CALLS = 50_000
"""More waits are not looked at one by one."""

_SHAPES = re.compile(r"^aten::(nonzero|masked_select|_?unique|repeat_interleave|bincount|argwhere|where$)")
_READ = re.compile(r"^aten::(_local_scalar_dense|item|is_nonzero|equal|allclose)$")
_COPY = re.compile(r"^aten::(copy_|_to_copy|to|_copy_from|cpu)$")
_COLLECTIVE = re.compile(r"^(c10d::|nccl:|record_param_comms)")
_OTHERS_CODE = re.compile(r"torch/|site-packages|dist-packages|^<built-in|^nn\.Module|^<frozen|/python3")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedCalls:
    """Waits of one group inside one operator; per step."""

    group: str
    operator: str
    """The outermost operator around the calls, else the name of the call."""
    count: float
    blocked_ns: float
    """Host time inside the calls: mostly not lost."""
    place: str | None = None
    """`train.py(40): step`, where the recording has Python frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocking:
    """The waits of the launching threads inside the traced steps; ns per traced step."""

    calls: tuple[BlockedCalls, ...] = ()
    """The one with most idle time behind it first."""
    alone_ns: Mapping[str, float] = field(default_factory=dict)
    """By group: idle time that goes when this group alone does not wait."""
    together_ns: Mapping[str, float] = field(default_factory=dict)
    """By group: its part of the idle time that goes when none waits."""

    def of(self, *groups: str) -> tuple[BlockedCalls, ...]:
        """The calls of these groups."""
        return tuple(one for one in self.calls if one.group in groups)


@dataclass(frozen=True, slots=True, eq=False)
class _Waits:
    """Waits in the order of their start; columns have shape (n,). `row` is NONE for a wait for the next batch."""

    row: npt.NDArray[np.intp]
    start: Int64
    blocked: Int64
    group: npt.NDArray[np.intp]
    device: npt.NDArray[np.bool_]
    """Whether the host waited for the device: a head start ends there."""
    inner: npt.NDArray[np.intp]
    outer: npt.NDArray[np.intp]


def blocking(rank: RankTimeline, windows: Windows, traced: Partition | None) -> Blocking | None:
    """The waits of one rank; None without device work, runtime calls or spans of the partition."""
    events = rank.events
    if events is None or traced is None or traced.cpu_only or not traced.spans or len(windows) == 0:
        return None
    if not events.rows(Kind.RUNTIME).size:
        return None
    waits = _waits(rank, events, windows)
    if waits.start.size == 0 or waits.start.size > MOST_CALLS:
        return Blocking()
    idle = union([traced.spans.get(name, EMPTY) for name in HOST_IDLE])
    until = np.append(waits.start[1:], max(int(windows.end_ns[-1]), int(waits.start[-1])))
    behind = lengths_inside(idle, waits.start, until)
    fetched = np.where(waits.row == NONE, lengths_inside(traced.spans.get("wait", EMPTY), waits.start, until), 0)
    blocked = np.maximum(waits.blocked - fetched, 0)
    steps = len(windows)
    alone = {
        GROUPS[g]: float(sum(_saved(waits, blocked, behind, {int(g)}).values())) / steps for g in np.unique(waits.group)
    }
    every = _saved(waits, blocked, behind, set(range(len(GROUPS))))
    together = {GROUPS[g]: value / steps for g, value in every.items()}
    return Blocking(
        calls=_summary(rank, events, waits, behind, steps),
        alone_ns=alone,
        together_ns=together,
    )


def _saved(waits: _Waits, blocked: Int64, behind: Int64, without: set[int]) -> dict[int, float]:
    """Idle ns by group that go when the groups `without` do not wait; one pass over the waits (few thousand)."""
    head = 0.0
    shares: dict[int, float] = {}
    saved: dict[int, float] = {}
    rows = zip(
        waits.group.tolist(), blocked.tolist(), behind.tolist(), waits.device.tolist(), strict=True
    )  # Python numbers: the recursion cannot be one array expression, as a remaining wait resets it
    for group, wait, idle, device in rows:
        if group in without:
            head += wait
            shares[group] = shares.get(group, 0.0) + wait
        elif device:
            head, shares = 0.0, {}
        gone = min(head, idle)
        if gone > 0:
            for owner, part in shares.items():
                saved[owner] = saved.get(owner, 0.0) + gone * part / head
            rest = 1 - gone / head
            shares = {owner: part * rest for owner, part in shares.items()}
            head -= gone
    return saved


def _waits(rank: RankTimeline, events: EventTable, windows: Windows) -> _Waits:
    start, end = host_steps(rank, windows)
    device = events.rows(*DEVICE_KINDS)
    launches = events.launch[device]
    lanes = np.unique(events.lane[launches[launches != NONE]])
    calls = events.rows(Kind.RUNTIME)
    calls = calls[np.isin(events.lane[calls], lanes) & (step_of(start, end, events.ts[calls]) != NONE)]
    copies = events.rows(Kind.MEMCPY)
    staged = _pageable(events, copies)
    allocator = named(events, calls, ALLOCATOR)
    chosen = named(events, calls, SYNC) | allocator | np.isin(calls, staged)
    rows, allocator = calls[chosen], allocator[chosen]
    inner, outer = _owners(events, rows, outermost=False), _owners(events, rows, outermost=True)
    group = _groups(events, rows, allocator, inner, outer, copies)
    group[_before_free(events, rows, calls)] = GROUPS.index("allocator")
    frees = named(events, rows, re.compile("Free"))
    loads = loader_spans(events)
    inside = step_of(start, end, loads.starts) != NONE
    begins = np.concatenate([events.ts[rows], loads.starts[inside]])
    order = np.argsort(begins, kind="stable")
    nothing = np.full(int(inside.sum()), NONE, dtype=np.intp)
    return _Waits(
        row=np.concatenate([rows, nothing])[order],
        start=begins[order],
        blocked=np.concatenate([events.dur[rows], (loads.ends - loads.starts)[inside]])[order],
        group=np.concatenate([group, np.full(nothing.size, GROUPS.index("input"))])[order],
        device=np.concatenate([~allocator | frees, np.zeros(nothing.size, dtype=bool)])[order],
        inner=np.concatenate([inner, nothing])[order],
        outer=np.concatenate([outer, nothing])[order],
    )


def _before_free(events: EventTable, rows: npt.NDArray[np.intp], calls: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Whether a wait is followed by cudaFree with nothing put on the device in between: the allocator asked for it."""
    result = np.zeros(rows.size, dtype=bool)
    following = named(events, rows[1:], re.compile(r"^(cuda|hip)Free"))
    following &= events.lane[rows[1:]] == events.lane[rows[:-1]]
    launches = np.sort(events.ts[calls[named(events, calls, LAUNCH)]])
    between = np.searchsorted(launches, events.ts[rows[1:]]) - np.searchsorted(launches, events.ts[rows[:-1]])
    result[:-1] = following & (between == 0)
    return result


def _pageable(events: EventTable, copies: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Calls that copied pageable memory and returned when the copy had been made."""
    calls = events.launch[copies]
    known = (calls != NONE) & named(events, copies, re.compile("Pageable"))
    copies, calls = copies[known], calls[known]
    during = (events.ts[copies] >= events.ts[calls]) & (events.end[copies] <= events.end[calls])
    return np.unique(calls[during])


def _owners(events: EventTable, rows: npt.NDArray[np.intp], *, outermost: bool) -> npt.NDArray[np.intp]:
    found = np.full(rows.size, NONE, dtype=np.intp)
    operators = events.rows(Kind.CPU_OP)
    for lane in np.unique(events.lane[rows]):
        mine = np.flatnonzero(events.lane[rows] == lane)
        there = operators[events.lane[operators] == lane]
        found[mine] = innermost(events, rows[mine], there, outermost=outermost)
    return found


def _groups(
    events: EventTable,
    rows: npt.NDArray[np.intp],
    allocator: npt.NDArray[np.bool_],
    inner: npt.NDArray[np.intp],
    outer: npt.NDArray[np.intp],
    copies: npt.NDArray[np.intp],
) -> npt.NDArray[np.intp]:
    """Why each call waits, as an index of GROUPS."""

    def owned(owner: npt.NDArray[np.intp], pattern: re.Pattern[str]) -> npt.NDArray[np.bool_]:
        result = np.zeros(rows.size, dtype=bool)
        some = owner != NONE
        result[some] = named(events, owner[some], pattern)
        return result

    shapes = owned(inner, _SHAPES) | owned(outer, _SHAPES)
    read = owned(inner, _READ) | owned(outer, _READ)
    # A copy that waits: its direction is that of the last copy issued by the thread within the same operator.
    called = copies[events.launch[copies] != NONE]
    called = called[np.argsort(events.launch[called], kind="stable")]
    issued = events.launch[called].astype(np.intp)
    last = np.searchsorted(issued, rows, side="right") - 1
    near = (last >= 0) & (inner != NONE) & owned(inner, _COPY)
    if issued.size:
        place = np.maximum(last, 0)
        near &= events.lane[issued[place]] == events.lane[rows]
        near &= events.ts[issued[place]] >= events.ts[np.maximum(inner, 0)]
        near |= (last >= 0) & (issued[place] == rows)  # the copy is the call itself
        to_host = np.where(near, named(events, called[place], re.compile("DtoH|DeviceToHost")), False)
        to_device = np.where(near, named(events, called[place], re.compile("HtoD|HostToDevice")), False)
    else:
        to_host = to_device = np.zeros(rows.size, dtype=bool)
    names = [
        (allocator, "allocator"),
        (owned(inner, _COLLECTIVE) | owned(outer, _COLLECTIVE), "collective"),
        (shapes, "shapes"),
        (read, "read"),
        (to_host, "to-host"),
        (to_device, "to-device"),
    ]
    return np.select([mask for mask, _ in names], [GROUPS.index(name) for _, name in names], GROUPS.index("explicit"))


def _summary(
    rank: RankTimeline, events: EventTable, waits: _Waits, behind: Int64, steps: int
) -> tuple[BlockedCalls, ...]:
    """Waits by group and operator; several calls inside one operator are one wait."""
    real = np.flatnonzero(waits.row != NONE)
    # An autograd node around an operator says less than the operator.
    node = named(events, np.maximum(waits.outer[real], 0), re.compile("^autograd::|Backward"))
    owner = np.where(node | (waits.outer[real] == NONE), waits.inner[real], waits.outer[real])
    label = np.where(owner == NONE, events.name[waits.row[real]], events.name[np.maximum(owner, 0)])
    unit = np.where(owner == NONE, len(events) + waits.row[real], owner)
    places = _places(rank)
    found: list[tuple[int, BlockedCalls]] = []
    for group, name in np.unique(np.stack([waits.group[real], label]), axis=1).T.tolist():
        mine = (waits.group[real] == group) & (label == name)
        text = events.strings[int(name)]
        one = BlockedCalls(
            group=GROUPS[group],
            operator=text,
            count=np.unique(unit[mine]).size / steps,
            blocked_ns=float(waits.blocked[real][mine].sum()) / steps,
            place=places.get(text),
        )
        found.append((int(behind[real][mine].sum()), one))
    return tuple(one for _, one in sorted(found, key=lambda pair: -pair[0]))


def _places(rank: RankTimeline) -> Mapping[str, str]:
    """The commonest line of the script around the waits in each outermost operator; empty without Python frames."""
    tables = [rank.events, rank.shaped.events if rank.shaped is not None else None]
    for events in tables:
        frames = events.rows(Kind.PYTHON) if events is not None else np.empty(0, np.intp)
        if events is None or not frames.size:
            continue
        calls = events.rows(Kind.RUNTIME)
        rows = calls[named(events, calls, SYNC)]
        frames = frames[~named(events, frames, _OTHERS_CODE)]
        outer = _owners(events, rows, outermost=True)
        found: dict[str, Counter[str]] = {}
        for lane in np.unique(events.lane[rows]):
            mine = np.flatnonzero(events.lane[rows] == lane)
            line = innermost(events, rows[mine], frames[events.lane[frames] == lane])
            for owner, frame, row in zip(outer[mine].tolist(), line.tolist(), rows[mine].tolist(), strict=True):
                if frame != NONE:
                    label = events.named(owner if owner != NONE else row)
                    found.setdefault(label, Counter())[events.named(frame)] += 1
        return {label: lines.most_common(1)[0][0] for label, lines in found.items()}
    return {}
