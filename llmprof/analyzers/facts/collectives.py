"""What do the collectives cost? Count, bytes, exposed and hidden time, and which rank waits for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.alignment import (
    Matched,
    Waits,
    align_offsets,
    collective_rows,
    match_collectives,
    skew_spans,
    waits_of,
)
from llmprof.analyzers.facts.collective_calls import CollectiveKind, bus_factor, describe
from llmprof.analyzers.facts.inside import step_of
from llmprof.analyzers.facts.kernels import class_spans
from llmprof.analyzers.facts.steps import Windows
from llmprof.timeline.events import NONE, EventTable
from llmprof.timeline.intervals import Int64, Intervals, lengths_inside
from llmprof.timeline.timeline import RankTimeline

__all__ = ["CollectiveFacts", "CollectiveGroup", "align_offsets", "collective_facts", "skew_spans"]


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


def collective_facts(
    ranks: Sequence[RankTimeline], windows: Mapping[int, Windows]
) -> Mapping[int, CollectiveFacts | None]:
    """The collectives of every rank, all ranks looked at together.

    A collective belongs to the windows when it starts inside them. None for a rank that has no windows or runs no
    collective in them. A rank's skew is known when at least one peer recorded the same collectives.
    """
    matches = match_collectives(ranks)
    waits = waits_of(ranks, matches, align_offsets(ranks, matches))
    fastest = _fastest(ranks, matches)
    return {
        rank.rank: _of_rank(rank, windows.get(rank.rank), waits.get(rank.rank), fastest.get(rank.rank))
        for rank in ranks
    }


def _of_rank(
    rank: RankTimeline, windows: Windows | None, waits: Waits | None, fastest: Int64 | None
) -> CollectiveFacts | None:
    events = rank.events
    if events is None or windows is None or len(windows) == 0:
        return None
    everything = collective_rows(events)
    rows = everything[step_of(windows.start_ns, windows.end_ns, events.ts[everything]) != NONE]
    if rows.size == 0:
        return None
    steps, spans = len(windows), class_spans(rank)
    exposed = spans["communication"] - spans["compute"]
    total_ns = _inside(spans["communication"], windows)
    exposed_ns = _inside(exposed, windows)
    kinds, index = describe(events, rows)
    sizes = np.array([NONE if kind.bytes is None else kind.bytes for kind in kinds])[index]
    by_rank = _wait_by_rank(waits, exposed & Intervals.of(windows.start_ns, windows.end_ns), steps)
    return CollectiveFacts(
        count_per_step=rows.size / steps,
        total_ns=total_ns,
        exposed_ns=exposed_ns,
        hidden_ns=total_ns - exposed_ns,
        skew_ns=None if waits is None else _inside(Intervals.of(waits.start_ns, waits.end_ns) & exposed, windows),
        summed_ns=float(events.dur[rows].sum()) / steps,
        groups=_groups(events, rows, kinds, index, spans["compute"], windows, fastest),
        median_bytes=float(np.median(sizes[sizes != NONE])) if (sizes != NONE).any() else None,
        waits_for=max(by_rank, key=lambda number: by_rank[number]) if by_rank else None,
        wait_by_rank_ns=by_rank,
    )


def _inside(spans: Intervals, windows: Windows) -> float:
    """Covered ns per step."""
    return float(lengths_inside(spans, windows.start_ns, windows.end_ns).sum()) / len(windows)


def _wait_by_rank(waits: Waits | None, exposed: Intervals, steps: int) -> Mapping[int, float]:
    """Exposed waiting per step by the rank that was waited for; ranks without any are left out."""
    if waits is None:
        return {}
    lengths = lengths_inside(exposed, waits.start_ns, waits.end_ns)
    sums = {int(rank): float(lengths[waits.late == rank].sum()) / steps for rank in np.unique(waits.late)}
    return {rank: ns for rank, ns in sums.items() if ns > 0}


def _fastest(ranks: Sequence[RankTimeline], matches: Sequence[Matched]) -> Mapping[int, Int64]:
    """For each matched rank and row the shortest duration of that collective on any rank, NONE where not matched.

    The last rank to arrive waits for nobody, so the shortest duration is the transfer.
    """
    by_number = {rank.rank: rank.events for rank in ranks if rank.events is not None}
    result: dict[int, Int64] = {}
    for match in matches:
        durations = [by_number[number].dur[rows] for number, rows in zip(match.ranks, match.rows, strict=True)]
        shortest = np.stack(durations).min(axis=0)
        for number, rows in zip(match.ranks, match.rows, strict=True):
            column = result.setdefault(number, np.full(len(by_number[number]), NONE, dtype=np.int64))
            column[rows] = shortest
    return result


def _groups(
    events: EventTable,
    rows: npt.NDArray[np.intp],
    kinds: Sequence[CollectiveKind],
    index: npt.NDArray[np.intp],
    compute: Intervals,
    windows: Windows,
    fastest: Int64 | None,
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
            bus_bytes_per_s=_bus_rate(mine, kinds, index[chosen], fastest),
            group_size=group_size,
        )
        result.append(group)
    return tuple(sorted(result, key=lambda group: -group.ns))


def _bus_rate(
    rows: npt.NDArray[np.intp], kinds: Sequence[CollectiveKind], index: npt.NDArray[np.intp], fastest: Int64 | None
) -> float | None:
    """Bus bytes over transfer time, summed over the collectives that a peer recorded too; None without any.

    One rank alone cannot tell the transfer from waiting for its peers, so it gets no figure.
    """
    if fastest is None:
        return None
    factors = [bus_factor(kind) for kind in kinds]
    moved = np.array(
        [0.0 if f is None or k.bytes is None else f * k.bytes for f, k in zip(factors, kinds, strict=True)]
    )
    known = (moved[index] > 0) & (fastest[rows] > 0)
    if not known.any():
        return None
    return float(moved[index[known]].sum() / fastest[rows[known]].sum() * 1e9)
