"""What does the host do? Launches, host syncs, and how long it is busy."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.steps.inside import host_steps, step_of
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.intervals import Intervals
from llmprof.timeline.timeline import RankTimeline

__all__ = ["ALLOCATOR", "LAUNCH", "SYNC", "HostFacts", "host_facts", "innermost", "named"]

_SUFFIX = r"(_ptsz|_ptds|_v\d+)*$"
_GRAPH_LAUNCH = re.compile(r"^(cuda|hip|cu)GraphLaunch" + _SUFFIX)
LAUNCH = re.compile(
    r"^((cuda|hip)Launch(Cooperative)?Kernel(ExC|MultiDevice)?|(cuda|hip)(Memcpy|Memset)\w*Async|"
    r"hip(Ext|Hcc)?ModuleLaunch(Cooperative)?Kernel|hipExtLaunchKernel|cuLaunch(Cooperative)?Kernel(Ex)?|"
    r"cu(Memcpy|Memset)\w*Async|(cuda|hip|cu)GraphLaunch)" + _SUFFIX
)
# cudaEventQuery and cudaStreamWaitEvent return at once, so they are no syncs.
SYNC = re.compile(
    r"^((cuda|hip)(Device|Stream|Event)Synchronize|cu(Ctx|Stream|Event)Synchronize|"
    r"(cuda|hip)Memcpy(2D|3D|ToSymbol|FromSymbol)?|hipMemcpyWithStream|hipMemcpy(DtoH|HtoD|DtoD))" + _SUFFIX
)
ALLOCATOR = re.compile(
    r"^((cuda|hip)(Malloc|Free)(Async|Host|Managed|Pitch|3D|Array|FromPoolAsync)?|(cuda|hip)Host(Alloc|Malloc|Free)|"
    r"(cuda|hip)Host(Register|Unregister)|cuMem(Alloc|Free|Create|Release|Map|Unmap)\w*|"
    r"hipMem(Create|Release|Map|Unmap))" + _SUFFIX
)

BLOCKED_NS = 200_000
"""A runtime call that takes as long waits for room in the launch queue, or for the device: launches take some µs."""
LONG_GAP_NS = 1_000_000
"""From here on a stretch without operator and runtime call is no way from one operator to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The launching side of one rank inside the traced windows; per step."""

    launches: float | None = None
    """Runtime calls that put work on the device."""
    graph_launches: float | None = None
    operators: float | None = None
    recorded_events: float | None = None
    """Rows that the profiler wrote for the host: what the tracing itself costs grows with it."""
    syncs: float | None = None
    sync_ns: float | None = None
    """Host time inside synchronising calls (waiting for the device is mostly not lost)."""
    allocator_calls: float | None = None
    """cudaMalloc, cudaFree and their like."""
    busy_ns: float | None = None
    """Host time outside of calls that wait for the device and of long stretches without a row; as recorded, with what
    the profiler costs."""


def host_facts(rank: RankTimeline, windows: Windows) -> HostFacts | None:
    """What the host does inside the steps; None when the recording has no host rows.

    A host row belongs to the step in whose host mark it starts, so the sync with which a profiler ends its recording
    is not counted. Without marks the windows stand for them, and syncs after the last launch are left out.
    """
    events = rank.events
    if events is None or len(windows) == 0:
        return None
    start, end = host_steps(rank, windows)
    host = events.rows(Kind.CPU_OP, Kind.RUNTIME, Kind.ANNOTATION)
    if host.size == 0:
        return None
    inside = host[step_of(start, end, events.ts[host]) != NONE]
    calls = inside[events.kind[inside] == Kind.RUNTIME]
    launches = calls[named(events, calls, LAUNCH)]
    syncs = calls[named(events, calls, SYNC)]
    if len(rank.marks) == 0 and launches.size:
        syncs = syncs[events.ts[syncs] <= events.ts[launches].max()]
    steps = int(start.size)
    has_calls = bool((events.kind[host] == Kind.RUNTIME).any())
    has_operators = bool((events.kind[host] == Kind.CPU_OP).any())

    def per_step(count: float, known: bool = has_calls) -> float | None:
        return count / steps if known else None

    return HostFacts(
        launches=per_step(launches.size),
        graph_launches=per_step(int(named(events, calls, _GRAPH_LAUNCH).sum())),
        operators=per_step(int((events.kind[inside] == Kind.CPU_OP).sum()), has_operators),
        recorded_events=inside.size / steps,
        syncs=per_step(syncs.size),
        sync_ns=per_step(float(events.dur[syncs].sum())),
        allocator_calls=per_step(int(named(events, calls, ALLOCATOR).sum())),
        busy_ns=per_step(_busy_ns(events, inside, calls, Intervals.of(start, end))),
    )


def _busy_ns(events: EventTable, rows: npt.NDArray[np.intp], calls: npt.NDArray[np.intp], steps: Intervals) -> float:
    """Of the `steps` what is neither a long stretch without a row nor inside a call that waits for the device."""
    if not steps:
        return 0.0  # steps without length
    known = events.spans(rows[events.kind[rows] != Kind.ANNOTATION])
    gaps = known.gaps(int(steps.starts.min()), int(steps.ends.max()))
    long = gaps.ends - gaps.starts >= LONG_GAP_NS
    silent = Intervals(gaps.starts[long], gaps.ends[long])
    waiting = calls[(events.dur[calls] >= BLOCKED_NS) | named(events, calls, SYNC)]
    return float((steps - silent - events.spans(waiting)).length)


def named(events: EventTable, rows: npt.NDArray[np.intp], pattern: re.Pattern[str]) -> npt.NDArray[np.bool_]:
    """Whether the name of each row matches; every distinct name is looked at once."""
    names, where = np.unique(events.name[rows], return_inverse=True)
    matching = np.fromiter((pattern.search(events.strings[int(n)]) is not None for n in names), bool, names.size)
    return matching[where]


def innermost(
    events: EventTable, rows: npt.NDArray[np.intp], operators: npt.NDArray[np.intp], *, outermost: bool = False
) -> npt.NDArray[np.intp]:
    """For each row (ascending, one lane) the innermost of `operators` around it, NONE without one.

    outermost    the outermost one instead

    Operators that hold no row are dropped first; of the others around a row the one that starts last is innermost.
    """
    low = np.searchsorted(events.ts[rows], events.ts[operators], side="left")
    high = np.searchsorted(events.ts[rows], events.end[operators], side="left")
    some = high > low
    low, count, operators = low[some], (high - low)[some], operators[some]
    pair = np.repeat(np.arange(operators.size), count)
    position = np.arange(pair.size) - np.repeat(np.cumsum(count) - count, count) + low[pair]
    if outermost:
        first = np.full(rows.size, len(events), dtype=np.intp)
        np.minimum.at(first, position, operators[pair])
        return np.where(first == len(events), NONE, first)
    found = np.full(rows.size, NONE, dtype=np.intp)
    np.maximum.at(found, position, operators[pair])
    return found
