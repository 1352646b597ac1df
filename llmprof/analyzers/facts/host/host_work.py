"""What does the host do while the device waits for a launch: work on the batch, Python, or launching?"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from llmprof.analyzers.facts.host.host import SYNC, named
from llmprof.analyzers.facts.partition.idle import loader_spans
from llmprof.analyzers.facts.partition.partition import Partition
from llmprof.analyzers.facts.steps.inside import host_steps
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind
from llmprof.timeline.intervals import EMPTY, Int64, Intervals, lengths_inside
from llmprof.timeline.timeline import RankTimeline

__all__ = ["LONG_NS", "HostWork", "computing_spans", "host_work", "long_and_short", "preparing_spans"]

LONG_NS = 1_000_000
"""From here on a stretch of Python without an operator is one piece of work, not the way from operator to operator."""
READ_NS = 100_000
"""The same directly behind a wait for the device, which has run dry: what was read is worked on. Ten times what Python
takes from one operator to the next (about 10 us)."""
BEHIND_NS = 10_000
"""So soon after the call a stretch begins directly behind it: the operator around the call returns in between."""
COMPUTING_SHARE = 0.5
"""Where so much of the time in operators that call nothing is spent in those that compute, tensors of the CPU are
worked on (a majority)."""

_NO_WORK = re.compile(
    r"^aten::(_?empty\w*|new_empty\w*|as_strided_?|_?(unsafe_)?view\w*|_?reshape\w*|flatten|unflatten|expand\w*|slice|"
    r"select|narrow|(un)?squeeze_?|t|transpose_?|permute|movedim|detach_?|alias|(unsafe_)?split\w*|(unsafe_)?chunk|unbind|"
    r"unfold|diagonal|resize\w*|set_|to|contiguous|type_as|result_type|is_\w+|size|stride|lift\w*|broadcast_tensors|"
    r"resolve_\w+|record_stream)$"
)
"""Operators that allocate memory or look at it in another way: they launch nothing, wherever their tensors are."""
_MODEL = re.compile(r"^(Optimizer\.|autograd::engine|torch::autograd)")
"""Around operators of the backward pass and of the optimizer: on the CPU as well these are the training itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostWork:
    """The idle time of class `launch` (on the CPU `python`) by what the launching thread did; ns per traced step."""

    waiting_ns: float
    """All of it, and of the refill after a synchronisation what lies in long stretches."""
    preparing_ns: float | None = None
    """From the end of a fetch to the first kernel after it, outside of runtime calls; None where no fetch was seen."""
    preparing_silent_ns: float | None = None
    """Of it, outside of all operators and runtime calls: Python, or a library that is not PyTorch."""
    long_ns: float = 0.0
    """Elsewhere: in stretches of LONG_NS and more in which no operator and no runtime call ran, or in which operators
    worked on tensors of the CPU; after a synchronisation as well, and directly behind one from READ_NS on."""
    short_ns: float = 0.0
    """Elsewhere: in shorter such stretches, from one operator to the next."""
    computing_ns: float = 0.0
    """Of `long_ns`, where operators worked on tensors of the CPU."""
    reading_ns: float = 0.0
    """Of `long_ns`, directly behind a wait for the device: Python that needs what was waited for."""
    longest: tuple[int, int] | None = None
    """The longest of these stretches, preparing included: where to look on the timeline."""


def host_work(rank: RankTimeline, windows: Windows, traced: Partition | None) -> HostWork | None:
    """None without operators or without spans of the partition (a compact reduction)."""
    events = rank.events
    if events is None or traced is None or not traced.spans or len(windows) == 0:
        return None
    operators = events.rows(Kind.CPU_OP)
    if not operators.size:
        return None
    steps = len(windows)
    waiting = traced.spans.get("python" if traced.cpu_only else "launch", EMPTY)
    silent = _silent(rank, events, windows)
    preparing = _preparing(rank, events, windows, cpu_only=traced.cpu_only)
    known = preparing is not None
    # What a call into the driver takes there is a copy or an allocation, and has rules of its own.
    inside = (preparing or EMPTY) - events.spans(events.rows(Kind.RUNTIME))
    computing = computing_spans(rank, windows)
    behind = _behind_reads(events, silent)
    long = _longer(silent, LONG_NS) | behind | computing
    waiting = waiting | ((traced.spans.get("sync", EMPTY) & long) - (preparing or EMPTY))
    elsewhere = waiting - (preparing or EMPTY)
    stretches = (waiting & inside & silent) | (elsewhere & long)
    return HostWork(
        waiting_ns=waiting.length / steps,
        preparing_ns=(waiting & inside).length / steps if known else None,
        preparing_silent_ns=(waiting & inside & silent).length / steps if known else None,
        long_ns=(elsewhere & long).length / steps,
        short_ns=(elsewhere & (silent - long)).length / steps,
        computing_ns=(elsewhere & computing).length / steps,
        reading_ns=(elsewhere & behind).length / steps,
        longest=_longest(stretches),
    )


def long_and_short(rank: RankTimeline, windows: Windows) -> tuple[Intervals, Intervals]:
    """Python, or work on tensors of the CPU, outside of the work on batches: stretches from LONG_NS on, and shorter."""
    events = rank.events
    if events is None or not events.rows(Kind.CPU_OP).size:
        return EMPTY, EMPTY
    silent = _silent(rank, events, windows)
    long = _longer(silent, LONG_NS) | _behind_reads(events, silent) | computing_spans(rank, windows)
    preparing = preparing_spans(rank, windows) or EMPTY
    return long - preparing, silent - long - preparing


def computing_spans(rank: RankTimeline, windows: Windows) -> Intervals:
    """Stretches of LONG_NS and more in which the training threads call nothing and work on tensors of the CPU.

    An operator on the device launches something or is a view. So operators that compute and call nothing have their
    tensors on the CPU: metrics, masks, sums over what was copied there. The Python between them belongs to that work.
    Empty on the CPU, where the model itself is such work.
    """
    events = rank.events
    device = None if events is None else events.launch[events.rows(*DEVICE_KINDS)]
    if events is None or device is None or not (device != NONE).any():
        return EMPTY
    lanes = np.unique(events.lane[device[device != NONE]])
    calls, operators = (
        rows[np.isin(events.lane[rows], lanes)] for rows in map(events.rows, (Kind.RUNTIME, Kind.CPU_OP))
    )
    if not operators.size:
        return EMPTY
    names = events.strings.names
    model = np.fromiter((_MODEL.match(name) is not None for name in names), bool, len(names))
    around = events.rows_named((Kind.ANNOTATION, Kind.CPU_OP), model)
    busy = events.spans(calls) | loader_spans(events) | events.spans(around)
    if not busy:
        return EMPTY
    first, last = _range(rank, windows)
    quiet = _longer(busy.gaps(max(first, int(busy.starts[0])), last), LONG_NS)
    computes = np.fromiter((n.startswith("aten::") and _NO_WORK.match(n) is None for n in names), bool, len(names))
    begun = np.sort(events.ts[calls])
    alone = np.searchsorted(begun, events.ts[operators]) == np.searchsorted(begun, events.end[operators])
    computing = events.spans(operators[alone & computes[events.name[operators]]])
    worked, taken = (lengths_inside(spans, quiet.starts, quiet.ends) for spans in (computing, events.spans(operators)))
    found = (worked > 0) & (worked >= COMPUTING_SHARE * taken)
    return Intervals(quiet.starts[found], quiet.ends[found])


def preparing_spans(rank: RankTimeline, windows: Windows) -> Intervals | None:
    """From each fetch to the first kernel after it, without runtime calls; None where no fetch was seen."""
    events = rank.events
    found = None if events is None else _preparing(rank, events, windows, cpu_only=not events.rows(Kind.KERNEL).size)
    return None if found is None or events is None else found - events.spans(events.rows(Kind.RUNTIME))


def _silent(rank: RankTimeline, events: EventTable, windows: Windows) -> Intervals:
    """Without an operator and a runtime call.

    The silence before the first event is the profiler's, which starts to record, and not the program's.
    """
    busy = events.spans(events.rows(Kind.CPU_OP, Kind.RUNTIME)) | loader_spans(events)
    first, last = _range(rank, windows)
    return busy.gaps(max(first, int(busy.starts[0])), last)


def _range(rank: RankTimeline, windows: Windows) -> tuple[int, int]:
    """From a step before the windows (the host runs ahead) to their end, when the host may be later or earlier."""
    first, last = int(windows.start_ns[0]), max(int(windows.end_ns[-1]), int(host_steps(rank, windows)[1][-1]))
    return first - (last - first), last


def _preparing(rank: RankTimeline, events: EventTable, windows: Windows, *, cpu_only: bool) -> Intervals | None:
    """From each fetch to the first kernel that the same thread launches after it, at most to the end of its step."""
    fetches = loader_spans(events)
    start, end = host_steps(rank, windows)
    if not fetches:
        return None
    firsts = _forward_starts(events, cpu_only=cpu_only)
    place = np.searchsorted(firsts, fetches.ends, side="left")
    reached = np.append(firsts, np.iinfo(np.int64).max)[place]
    step = np.searchsorted(start, fetches.ends, side="right") - 1
    limit = np.where(step >= 0, end[np.maximum(step, 0)], fetches.ends)
    # A second fetch before any kernel starts a stretch of its own.
    following = np.append(fetches.starts[1:], np.iinfo(np.int64).max)
    return Intervals.of(fetches.ends, np.minimum(np.minimum(reached, limit), following))


def _forward_starts(events: EventTable, *, cpu_only: bool) -> Int64:
    """When kernels were launched, ascending; on the CPU when operators of the model began."""
    if cpu_only:
        # Whatever records a gradient is the model; the profiler does not say so, so the first operator ends it.
        return np.sort(events.ts[events.rows(Kind.CPU_OP)])
    kernels = events.rows(Kind.KERNEL)
    calls = events.launch[kernels]
    return np.sort(events.ts[calls[calls != NONE]])


def _longer(spans: Intervals, least_ns: int) -> Intervals:
    keep = spans.ends - spans.starts >= least_ns
    return Intervals(spans.starts[keep], spans.ends[keep])


def _behind_reads(events: EventTable, silent: Intervals) -> Intervals:
    """Stretches of Python of READ_NS and more that begin where a call has waited for the device."""
    calls = events.rows(Kind.RUNTIME)
    ends, spans = np.sort(events.end[calls[named(events, calls, SYNC)]]), _longer(silent, READ_NS)
    if not ends.size or not spans:
        return EMPTY
    last = ends[np.maximum(np.searchsorted(ends, spans.starts, side="right") - 1, 0)]
    found = (last <= spans.starts) & (spans.starts - last <= BEHIND_NS)
    return Intervals(spans.starts[found], spans.ends[found])


def _longest(spans: Intervals) -> tuple[int, int] | None:
    if not spans:
        return None
    row = int((spans.ends - spans.starts).argmax())
    return int(spans.starts[row]), int(spans.ends[row])
