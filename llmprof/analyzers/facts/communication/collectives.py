"""What do the collectives cost? Count, bytes, exposed and hidden time, and which rank waits for which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.alignment import Waits
from llmprof.analyzers.facts.communication.buckets import Buckets, buckets_of
from llmprof.analyzers.facts.communication.call_times import CallTimes, call_times
from llmprof.analyzers.facts.communication.collective_calls import describe
from llmprof.analyzers.facts.communication.collective_groups import (
    CollectiveGroup,
    SizeClass,
    groups_of,
    sizes_of,
    with_rates,
)
from llmprof.analyzers.facts.communication.rank_calls import RankCalls, collective_rows
from llmprof.analyzers.facts.communication.transfer_fit import TransferFit, fit_transfers
from llmprof.analyzers.facts.device.kernels import class_spans
from llmprof.analyzers.facts.partition.cpu_partition import operator_classes
from llmprof.analyzers.facts.partition.host_collectives import host_collectives, passes_reduced
from llmprof.analyzers.facts.steps.inside import host_steps, step_of
from llmprof.analyzers.facts.steps.step_times import counted_steps
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind
from llmprof.timeline.intervals import EMPTY, Int64, Intervals, lengths_inside, union
from llmprof.timeline.timeline import RankTimeline

__all__ = ["CollectiveFacts", "CollectiveGroup", "SizeClass", "exposed_spans", "own_collectives", "slim", "with_peers"]

MOST_WAITED_FOR = 16
"""Ranks that are named among those that a rank waits for, the longest first."""
MOST_SLIM = 1024
"""Calls of about 50 kB."""
_ISSUE = "c10d::"
"""Operators of torch.distributed, which none of their own kind encloses."""
_SEARCH = "torch.distributed.ddp.reducer::search_unused_parameters"
_COPY_BACK = "torch.distributed.ddp.reducer::copy_bucket_to_grad"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveFacts:
    """Collectives of one rank inside the traced windows; ns per step, unions where not said otherwise."""

    count_per_step: float
    total_ns: float
    exposed_ns: float
    hidden_ns: float
    skew_ns: float | None
    """Of the exposed time, waiting for a late peer; None when the peers were not recorded."""
    summed_ns: float
    """Sum of durations: what the rank spends inside collectives, waiting included."""
    groups: tuple[CollectiveGroup, ...] = ()
    median_bytes: float | None = None
    waits_for: int | None = None
    """The rank that is last to arrive most often at the collectives in which this one waits."""
    wait_by_rank_ns: Mapping[int, float] = field(default_factory=dict)
    sizes: tuple[SizeClass, ...] = ()
    """Messages of known size by size, ascending."""
    calls: CallTimes | None = None
    """Every call by itself."""
    fit: TransferFit | None = None
    """Time by message size of the most used operation; None without peers, or where sizes differ too little."""
    buckets: Buckets | None = None
    """Gradient buckets that the backward pass reduces; None without a fit."""
    microbatches: float | None = None
    """Batches that the loop fetched per counted step; None where that was not recorded."""
    gradients: float | None = None
    """Gradients that the backward pass accumulated per step; None where operators were not recorded."""
    bucket_copies_ns: float | None = None
    """Copies that DistributedDataParallel makes from its buckets back into the gradients; None where operators were
    not recorded, 0 when it makes none."""
    exposed_bucket_copies_ns: float | None = None
    """What of them neither kernels nor collectives hide."""
    issue_ns: float | None = None
    """What the traced host takes per step to issue collectives, profiler included; None where that was not recorded."""
    search_ns: float | None = None
    """The same for the search of DistributedDataParallel for unused parameters: one operator, hardly longer for it."""
    call_ns: tuple[float, float, float] | None = None
    """What a call takes: the shortest, the median one, and in the mean those that are not the first of a step, which
    waits for the slowest rank; only of collectives on the host, whose sizes are unknown."""
    passes_reduced: float | None = None
    """Backward passes per step that reduced gradients; only of collectives on the host."""

    @property
    def overlap(self) -> float | None:
        """The share of the time that computation hides."""
        return self.hidden_ns / self.total_ns if self.total_ns > 0 else None


def exposed_spans(rank: RankTimeline, windows: Windows) -> Intervals:
    """When the device ran collectives and no other kernel inside the windows."""
    spans = class_spans(rank)
    return (spans["communication"] - spans["compute"]) & Intervals.of(windows.start_ns, windows.end_ns)


def own_collectives(rank: RankTimeline, windows: Windows) -> CollectiveFacts | None:
    """The collectives of a rank, as far as it can tell alone; None when it runs none in its windows.

    A collective belongs to the windows when it starts inside them.
    """
    events = rank.events
    if events is None or len(windows) == 0:
        return None
    if events.rows(*DEVICE_KINDS).size == 0:
        return _on_the_host(rank, events, windows)
    everything = collective_rows(events)
    rows = everything[step_of(windows.start_ns, windows.end_ns, events.ts[everything]) != NONE]
    if rows.size == 0:
        return None
    steps, spans = len(windows), class_spans(rank)
    total_ns = _inside(spans["communication"], windows)
    exposed_ns = _inside(spans["communication"] - spans["compute"], windows)
    kinds, index = describe(events, rows)
    sizes = np.array([NONE if kind.bytes is None else kind.bytes for kind in kinds])[index]
    calls = call_times(events, windows, rows, kinds, index, spans["compute"])
    copies = _bucket_copies(events)
    return CollectiveFacts(
        count_per_step=rows.size / steps,
        total_ns=total_ns,
        exposed_ns=exposed_ns,
        hidden_ns=total_ns - exposed_ns,
        skew_ns=None,
        summed_ns=float(events.dur[rows].sum()) / steps,
        groups=groups_of(calls, spans["compute"]),
        median_bytes=float(np.median(sizes[sizes != NONE])) if (sizes != NONE).any() else None,
        sizes=sizes_of(calls),
        calls=calls,
        microbatches=_microbatches(rank),
        gradients=_gradients(rank, windows),
        issue_ns=_host_ns(rank, events, windows, _ISSUE),
        search_ns=_host_ns(rank, events, windows, _SEARCH),
        bucket_copies_ns=None if copies is None else _inside(copies, windows),
        exposed_bucket_copies_ns=None
        if copies is None
        else _inside(copies - spans["kernels"] - spans["communication"], windows),
    )


def _on_the_host(rank: RankTimeline, events: EventTable, windows: Windows) -> CollectiveFacts | None:
    """The collectives of a run without a GPU, which no operator of another kind hides; their sizes are not recorded."""
    found = host_collectives(events)
    rows = found[step_of(windows.start_ns, windows.end_ns, events.ts[found]) != NONE]
    if rows.size == 0:
        return None
    spans, passes = events.spans(found), _microbatches(rank)
    total_ns = _inside(spans, windows)
    exposed_ns = _inside(spans - union(operator_classes(events).values()), windows)
    copies = _copy_back_spans(events)
    return CollectiveFacts(
        count_per_step=rows.size / len(windows),
        total_ns=total_ns,
        exposed_ns=exposed_ns,
        hidden_ns=total_ns - exposed_ns,
        skew_ns=None,
        summed_ns=float(events.dur[rows].sum()) / len(windows),
        call_ns=_call_ns(events, rows, windows),
        passes_reduced=None if passes is None else passes_reduced(events, *host_steps(rank, windows), passes),
        microbatches=passes,
        gradients=_gradients(rank, windows),
        bucket_copies_ns=_inside(copies, windows),
        exposed_bucket_copies_ns=_inside(copies - spans, windows),
    )


def _call_ns(events: EventTable, rows: npt.NDArray[np.intp], windows: Windows) -> tuple[float, float, float]:
    """Shortest, median, and the mean of what is not the first of its step (of all, where there is nothing else)."""
    took, step = events.dur[rows], step_of(windows.start_ns, windows.end_ns, events.ts[rows])
    order = np.lexsort((events.ts[rows], step))
    later = order[1:][np.diff(step[order]) == 0]
    return float(took.min()), float(np.median(took)), float(took[later].mean() if later.size else took.mean())


def slim(own: CollectiveFacts | None) -> CollectiveFacts | None:
    """The same for one of thousands of ranks: without every call by itself, where there are more than MOST_SLIM."""
    many = own is not None and own.calls is not None and len(own.calls) > MOST_SLIM
    return replace(own, calls=None) if own is not None and many else own


def with_peers(
    own: CollectiveFacts,
    *,
    calls: RankCalls,
    windows: Windows,
    exposed: Intervals,
    waits: Waits | None,
    transfers: Int64 | None,
) -> CollectiveFacts:
    """The same with what only the peers tell: waiting, for whom, and bus bandwidth.

    exposed     `exposed_spans` of the rank
    waits       None when no peer recorded the same collectives
    transfers   transfer time of each call in ns, NONE where no peer recorded it; shape (calls,)
    """
    by_rank = _wait_by_rank(waits, exposed, len(windows))
    skew = None if waits is None else Intervals.of(waits.start_ns, waits.end_ns) & exposed
    own = replace(
        own,
        skew_ns=None if skew is None else _inside(skew, windows),
        waits_for=next(iter(by_rank), None),
        wait_by_rank_ns=by_rank,
    )
    if transfers is None or own.calls is None:
        return own
    timed = _with_transfers(own.calls, calls, transfers)
    fit = _fit(timed)
    return replace(
        own,
        groups=tuple(with_rates(group, timed) for group in own.groups),
        calls=timed,
        fit=fit,
        buckets=buckets_of(timed, fit, own.microbatches),
    )


def _with_transfers(own: CallTimes, calls: RankCalls, transfers: Int64) -> CallTimes:
    """The calls with the transfer time of those that are found in `calls` by their start."""
    place = np.minimum(np.searchsorted(calls.start_ns, own.start_ns), max(len(calls) - 1, 0))
    same = calls.start_ns[place] == own.start_ns if len(calls) else np.zeros(len(own), bool)
    return replace(own, transfer_ns=np.where(same, transfers[place] if len(calls) else NONE, NONE))


def _fit(calls: CallTimes) -> TransferFit | None:
    """Of the operation that moves most bytes: different operations send a message different ways."""
    known = (calls.sizes > 0) & (calls.transfer_ns > 0)
    if not known.any():
        return None
    moved = {kind.op: int(calls.sizes[known & calls.of(kind.op)].sum()) for kind in calls.kinds}
    chosen = known & calls.of(max(sorted(moved), key=lambda op: moved[op]))
    return fit_transfers(calls.sizes[chosen], calls.transfer_ns[chosen])


def _host_ns(rank: RankTimeline, events: EventTable, windows: Windows, prefix: str) -> float | None:
    """Of the host per step in operators that begin so."""
    names = np.fromiter((name.startswith(prefix) for name in events.strings.names), bool, len(events.strings))
    calls = events.rows_named((Kind.CPU_OP,), names)
    start, end = host_steps(rank, windows)
    mine = calls[step_of(start, end, events.ts[calls]) != NONE]
    return float(events.dur[mine].sum()) / start.size if mine.size else None


def _bucket_copies(events: EventTable) -> Intervals | None:
    """When the device copied reduced gradients out of their buckets; None without operators."""
    operators = events.rows(Kind.CPU_OP)
    if operators.size == 0:
        return None
    spans = _copy_back_spans(events)
    device = events.rows(*DEVICE_KINDS)
    launch = events.launch[device]
    inside = (launch != NONE) & spans.contains(events.ts[np.maximum(launch, 0)])
    return events.spans(device[inside])


def _copy_back_spans(events: EventTable) -> Intervals:
    """When the host was in the operators that copy reduced gradients out of their buckets."""
    operators, wanted = events.rows(Kind.CPU_OP), events.strings.find(_COPY_BACK)
    return events.spans(operators[events.name[operators] == wanted]) if wanted != NONE else EMPTY


def _gradients(rank: RankTimeline, windows: Windows) -> float | None:
    events = rank.events
    wanted = NONE if events is None else events.strings.find("torch::autograd::AccumulateGrad")
    if events is None or wanted == NONE:
        return None
    rows = events.rows(Kind.CPU_OP)
    start = events.ts[rows[events.name[rows] == wanted]]
    return float((step_of(*host_steps(rank, windows), start) != NONE).sum()) / len(windows)


def _microbatches(rank: RankTimeline) -> float | None:
    """Mean number of batches in a counted step, those without a reading left out."""
    times = rank.times
    if times is None or times.microbatches is None:
        return None
    known = times.microbatches[counted_steps(times)]
    known = known[known > 0]
    return float(known.mean()) if known.size else None


def _inside(spans: Intervals, windows: Windows) -> float:
    """Covered ns per step."""
    return float(lengths_inside(spans, windows.start_ns, windows.end_ns).sum()) / len(windows)


def _wait_by_rank(waits: Waits | None, exposed: Intervals, steps: int) -> Mapping[int, float]:
    """Exposed waiting per step by the rank that was waited for, the longest first; ranks without any are left out."""
    if waits is None:
        return {}
    ranks, where = np.unique(waits.late, return_inverse=True)
    sums = np.bincount(where, weights=lengths_inside(exposed, waits.start_ns, waits.end_ns), minlength=ranks.size)
    longest = np.argsort(-sums, kind="stable")[:MOST_WAITED_FOR]
    return {int(ranks[place]): float(sums[place]) / steps for place in longest if sums[place] > 0}
