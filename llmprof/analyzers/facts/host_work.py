"""What does the host do while the device waits for a launch: work on the batch, Python, or launching?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmprof.analyzers.facts.idle import loader_spans
from llmprof.analyzers.facts.inside import host_steps
from llmprof.analyzers.facts.partition import Partition
from llmprof.analyzers.facts.steps import Windows
from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.intervals import EMPTY, Int64, Intervals
from llmprof.timeline.timeline import RankTimeline

__all__ = ["LONG_NS", "HostWork", "host_work", "long_and_short", "preparing_spans"]

LONG_NS = 1_000_000
"""From here on a stretch of Python without an operator is one piece of work, not the way from operator to operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostWork:
    """The idle time of class `launch` (on the CPU `python`) by what the launching thread did; ns per traced step."""

    waiting_ns: float
    """All of it."""
    preparing_ns: float | None = None
    """From the end of a fetch to the first kernel after it, outside of runtime calls; None where no fetch was seen."""
    preparing_silent_ns: float | None = None
    """Of it, outside of all operators and runtime calls: Python, or a library that is not PyTorch."""
    long_ns: float = 0.0
    """Elsewhere: in stretches of LONG_NS and more in which no operator and no runtime call ran."""
    short_ns: float = 0.0
    """Elsewhere: in shorter such stretches, from one operator to the next."""
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
    long = _longer(silent, LONG_NS)
    elsewhere = waiting - (preparing or EMPTY)
    stretches = (waiting & inside & silent) | (elsewhere & long)
    return HostWork(
        waiting_ns=waiting.length / steps,
        preparing_ns=(waiting & inside).length / steps if known else None,
        preparing_silent_ns=(waiting & inside & silent).length / steps if known else None,
        long_ns=(elsewhere & long).length / steps,
        short_ns=(elsewhere & (silent - long)).length / steps,
        longest=_longest(stretches),
    )


def long_and_short(rank: RankTimeline, windows: Windows) -> tuple[Intervals, Intervals]:
    """Stretches without an operator and a runtime call outside of the work on batches: LONG_NS and more, and less."""
    events = rank.events
    if events is None or not events.rows(Kind.CPU_OP).size:
        return EMPTY, EMPTY
    silent = _silent(rank, events, windows)
    long = _longer(silent, LONG_NS)
    preparing = preparing_spans(rank, windows) or EMPTY
    return long - preparing, silent - long - preparing


def preparing_spans(rank: RankTimeline, windows: Windows) -> Intervals | None:
    """From each fetch to the first kernel after it, without runtime calls; None where no fetch was seen."""
    events = rank.events
    found = None if events is None else _preparing(rank, events, windows, cpu_only=not events.rows(Kind.KERNEL).size)
    return None if found is None or events is None else found - events.spans(events.rows(Kind.RUNTIME))


def _silent(rank: RankTimeline, events: EventTable, windows: Windows) -> Intervals:
    """Without an operator and a runtime call, from a step before the windows (the host runs ahead) to their end.

    At that end the host may be later than the device, or earlier.

    The silence before the first event is the profiler's, which starts to record, and not the program's.
    """
    busy = events.spans(events.rows(Kind.CPU_OP, Kind.RUNTIME)) | loader_spans(events)
    first, last = int(windows.start_ns[0]), max(int(windows.end_ns[-1]), int(host_steps(rank, windows)[1][-1]))
    return busy.gaps(max(first - (last - first), int(busy.starts[0])), last)


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


def _longest(spans: Intervals) -> tuple[int, int] | None:
    if not spans:
        return None
    row = int((spans.ends - spans.starts).argmax())
    return int(spans.starts[row]), int(spans.ends[row])
