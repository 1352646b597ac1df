"""What do the collectives cost? Count, bytes, exposed and hidden time, and which rank waits for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.alignment import Waits
from llmprof.analyzers.facts.collective_calls import CollectiveKind, bus_factor, describe
from llmprof.analyzers.facts.inside import step_of
from llmprof.analyzers.facts.kernels import class_spans
from llmprof.analyzers.facts.rank_calls import RankCalls, collective_rows
from llmprof.analyzers.facts.steps import Windows
from llmprof.timeline.events import NONE, EventTable
from llmprof.timeline.intervals import Int64, Intervals, lengths_inside
from llmprof.timeline.timeline import RankTimeline

__all__ = ["CollectiveFacts", "CollectiveGroup", "exposed_spans", "own_collectives", "with_peers"]

MOST_WAITED_FOR = 16
"""Ranks that are named among those that a rank waits for, the longest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveGroup:
    """Collectives of one operation and number format; per step, on one rank."""

    op: str
    dtype: str | None
    count: float
    bytes: float | None
    """Message bytes summed; None when the recording does not carry sizes."""
    ns: float
    """Summed kernel time, waiting for peers included."""
    exposed_ns: float
    bus_bytes_per_s: float | None = None
    """Bus bandwidth by nccl-tests' formulas on the shortest duration over ranks; None without sizes."""
    group_size: int | None = None


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
    everything = collective_rows(events)
    rows = everything[step_of(windows.start_ns, windows.end_ns, events.ts[everything]) != NONE]
    if rows.size == 0:
        return None
    steps, spans = len(windows), class_spans(rank)
    total_ns = _inside(spans["communication"], windows)
    exposed_ns = _inside(spans["communication"] - spans["compute"], windows)
    kinds, index = describe(events, rows)
    sizes = np.array([NONE if kind.bytes is None else kind.bytes for kind in kinds])[index]
    return CollectiveFacts(
        count_per_step=rows.size / steps,
        total_ns=total_ns,
        exposed_ns=exposed_ns,
        hidden_ns=total_ns - exposed_ns,
        skew_ns=None,
        summed_ns=float(events.dur[rows].sum()) / steps,
        groups=_groups(events, rows, kinds, index, spans["compute"], windows),
        median_bytes=float(np.median(sizes[sizes != NONE])) if (sizes != NONE).any() else None,
    )


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
    return replace(
        own,
        skew_ns=None if skew is None else _inside(skew, windows),
        groups=tuple(replace(g, bus_bytes_per_s=_bus_rate(g, calls, windows, transfers)) for g in own.groups),
        waits_for=next(iter(by_rank), None),
        wait_by_rank_ns=by_rank,
    )


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


def _groups(
    events: EventTable,
    rows: npt.NDArray[np.intp],
    kinds: Sequence[CollectiveKind],
    index: npt.NDArray[np.intp],
    compute: Intervals,
    windows: Windows,
) -> tuple[CollectiveGroup, ...]:
    """The collectives by operation, format and group size; the costliest first."""
    places: dict[tuple[str, str | None, int | None], list[int]] = {}
    for place, kind in enumerate(kinds):
        places.setdefault((kind.op, kind.dtype, kind.group_size), []).append(place)
    steps = len(windows)
    result = []
    for (op, dtype, group_size), members in places.items():
        chosen = np.isin(index, members)
        mine = rows[chosen]
        sizes = [kinds[i].bytes for i in index[chosen]]
        group = CollectiveGroup(
            op=op,
            dtype=dtype,
            count=mine.size / steps,
            bytes=None if None in sizes else sum(size for size in sizes if size is not None) / steps,
            ns=float(events.dur[mine].sum()) / steps,
            exposed_ns=_inside(events.spans(mine) - compute, windows),
            group_size=group_size,
        )
        result.append(group)
    return tuple(sorted(result, key=lambda group: -group.ns))


def _bus_rate(group: CollectiveGroup, calls: RankCalls, windows: Windows, transfers: Int64 | None) -> float | None:
    """Bus bytes over transfer time, summed over the collectives that a peer recorded too; None without any.

    One rank alone cannot tell the transfer from waiting for its peers, so it gets no figure.
    """
    if transfers is None:
        return None
    moved = np.zeros(len(calls.kinds))
    for place, kind in enumerate(calls.kinds):
        factor = bus_factor(kind)
        if (kind.op, kind.dtype, kind.group_size) == (group.op, group.dtype, group.group_size):
            moved[place] = 0.0 if factor is None or kind.bytes is None else factor * kind.bytes
    inside = step_of(windows.start_ns, windows.end_ns, calls.start_ns) != NONE
    known = inside & (moved[calls.kind] > 0) & (transfers > 0)
    if not known.any():
        return None
    return float(moved[calls.kind[known]].sum() / transfers[known].sum() * 1e9)
