"""Which collective on one rank is which on another, and who was late? Matching, clocks and waiting across ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.collective_calls import SYMMETRIC, CollectiveKind, describe
from llmprof.analyzers.facts.inside import step_of
from llmprof.analyzers.facts.kernel_names import CLASSES
from llmprof.analyzers.facts.kernels import row_classes
from llmprof.analyzers.facts.steps import Windows
from llmprof.timeline.events import NONE, EventTable
from llmprof.timeline.intervals import EMPTY, Int64, Intervals
from llmprof.timeline.timeline import RankTimeline

__all__ = [
    "Matched",
    "Waits",
    "align_offsets",
    "collective_rows",
    "match_collectives",
    "skew_spans",
    "waits_of",
]

_Key = tuple[str, str | None, tuple[int, ...] | None]
_COMMUNICATION = CLASSES.index("communication")


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """The same collectives on several ranks: column j of `rows` is one collective, row i its event on `ranks[i]`."""

    ranks: tuple[int, ...]
    rows: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Waits:
    """When one rank's collectives waited for a later rank, on its own clock; columns have shape (n,)."""

    start_ns: Int64
    end_ns: Int64
    late: npt.NDArray[np.int64]
    """The rank that came last."""


def collective_rows(events: EventTable) -> npt.NDArray[np.intp]:
    """The rows that are collective kernels, ascending."""
    return np.flatnonzero(row_classes(events) == _COMMUNICATION)


def match_collectives(ranks: Sequence[RankTimeline]) -> tuple[Matched, ...]:
    """The collectives that several ranks recorded together.

    Only operations that no rank can leave early are matched. They are told apart by process group and operation and
    paired by their order. Where every rank has step marks, only what was launched inside steps that all ranks traced is
    looked at, so all ranks hold the same calls; otherwise recordings may begin at different calls, and the last ones
    are paired. Calls whose message sizes contradict each other are not matched.
    """
    numbers = _common_steps(ranks)
    found: dict[_Key, dict[int, tuple[npt.NDArray[np.intp], Int64]]] = {}
    for rank in ranks:
        for key, rows, sizes in _by_key(rank, numbers):
            found.setdefault(key, {})[rank.rank] = (rows, sizes)
    result = []
    for (_, _, members), per_rank in found.items():
        chosen = {r: v for r, v in per_rank.items() if members is None or r in members}
        count = min((rows.size for rows, _ in chosen.values()), default=0)
        if len(chosen) < 2 or count == 0:
            continue
        sizes = np.stack([sizes[sizes.size - count :] for _, sizes in chosen.values()])
        if (sizes == sizes[0]).all():
            result.append(Matched(tuple(chosen), np.stack([rows[rows.size - count :] for rows, _ in chosen.values()])))
    return tuple(result)


def align_offsets(ranks: Sequence[RankTimeline], matches: Sequence[Matched]) -> Mapping[int, int]:
    """For each rank the ns to take off its unix times so that they read on the clock of the first rank.

    Ranks of one host share its clock. Elsewhere all ranks leave a collective nearly together, so the offset is the
    median difference of the ends. A rank that shares no collective, not even through a third rank, keeps its clock.
    """
    if not ranks:
        return {}
    by_number = {rank.rank: rank for rank in ranks}
    offsets = {ranks[0].rank: 0}
    progress = True
    while progress:
        progress = False
        for rank in ranks:
            if rank.rank in offsets:
                continue
            offset = _offset(rank, by_number, matches, offsets)
            if offset is not None:
                offsets[rank.rank], progress = offset, True
    return {rank.rank: offsets.get(rank.rank, 0) for rank in ranks}


def waits_of(
    ranks: Sequence[RankTimeline], matches: Sequence[Matched], offsets: Mapping[int, int]
) -> Mapping[int, Waits]:
    """For each matched rank, when its collectives waited for the last rank to arrive.

    A match whose kernels never ran at the same time is no match, and is left out; so is a whole group of them when
    most are of that kind.
    """
    by_number = {rank.rank: rank for rank in ranks}
    parts: dict[int, list[Waits]] = {}
    for match in matches:
        starts, ends = _common_clock(match, by_number, offsets)
        latest = starts.max(axis=0)
        together = latest <= ends.min(axis=0)
        if together.mean() < 0.5:
            continue
        late = np.asarray(match.ranks, dtype=np.int64)[starts.argmax(axis=0)]
        for i, number in enumerate(match.ranks):
            shift = by_number[number].origin_ns - offsets[number]
            until = np.minimum(latest, ends[i])
            chosen = together & (until > starts[i])
            part = Waits(starts[i][chosen] - shift, until[chosen] - shift, late[chosen])
            parts.setdefault(number, []).append(part)
    return {
        number: Waits(
            np.concatenate([part.start_ns for part in some]),
            np.concatenate([part.end_ns for part in some]),
            np.concatenate([part.late for part in some]),
        )
        for number, some in parts.items()
    }


def skew_spans(ranks: Sequence[RankTimeline], windows: Mapping[int, Windows]) -> Mapping[int, Intervals]:
    """For each rank, on its own clock, when a collective kernel inside its windows waited for a later rank."""
    matches = match_collectives(ranks)
    waits = waits_of(ranks, matches, align_offsets(ranks, matches))
    result = {}
    for rank in ranks:
        wait, window = waits.get(rank.rank), windows.get(rank.rank)
        spans = EMPTY if wait is None else Intervals.of(wait.start_ns, wait.end_ns)
        result[rank.rank] = EMPTY if window is None else spans & Intervals.of(window.start_ns, window.end_ns)
    return result


def _common_steps(ranks: Sequence[RankTimeline]) -> set[int] | None:
    """The steps that every rank traced; None when a rank has no marks or there is no such step."""
    common: set[int] | None = None
    for rank in ranks:
        if rank.events is None:
            continue
        numbers = set(rank.marks.number.tolist())
        common = numbers if common is None else common & numbers
    return common or None


def _by_key(rank: RankTimeline, numbers: set[int] | None) -> list[tuple[_Key, npt.NDArray[np.intp], Int64]]:
    """The rank's matchable collectives by group and operation, in order of start, with their sizes (NONE unknown)."""
    events = rank.events
    if events is None:
        return []
    rows = collective_rows(events)
    if numbers is not None:
        chosen = np.isin(rank.marks.number, sorted(numbers))
        launch = events.launch[rows]
        step = step_of(rank.marks.start_ns[chosen], rank.marks.end_ns[chosen], events.ts[np.maximum(launch, 0)])
        rows = rows[(launch != NONE) & (step != NONE)]
    kinds, index = describe(events, rows)
    keys: dict[_Key, list[int]] = {}
    for place, kind in enumerate(kinds):
        if kind.op in SYMMETRIC:
            keys.setdefault(_key(kind), []).append(place)
    sizes = np.array([NONE if kind.bytes is None else kind.bytes for kind in kinds], dtype=np.int64)
    result = []
    for key, places in keys.items():
        mine = np.isin(index, places)
        result.append((key, rows[mine], sizes[index[mine]]))
    return result


def _key(kind: CollectiveKind) -> _Key:
    return (kind.op, *kind.group)


def _common_clock(match: Matched, ranks: Mapping[int, RankTimeline], offsets: Mapping[int, int]) -> tuple[Int64, Int64]:
    """Starts and ends of matched collectives in unix ns of the first rank's clock; shape (ranks, collectives)."""
    starts, ends = [], []
    for number, rows in zip(match.ranks, match.rows, strict=True):
        events = ranks[number].events
        assert events is not None  # a rank without events has no collectives to match
        shift = ranks[number].origin_ns - offsets[number]
        starts.append(events.ts[rows] + shift)
        ends.append(events.ts[rows] + events.dur[rows] + shift)
    return np.stack(starts), np.stack(ends)


def _offset(
    rank: RankTimeline,
    ranks: Mapping[int, RankTimeline],
    matches: Sequence[Matched],
    offsets: Mapping[int, int],
) -> int | None:
    """The clock offset of one rank against those whose offset is known; None when nothing connects them."""
    host = rank.environment.host
    for number, offset in offsets.items():
        if host is not None and ranks[number].environment.host == host:
            return offset
    differences = []
    for match in matches:
        known = next((r for r in match.ranks if r in offsets), None)
        if known is None or rank.rank not in match.ranks:
            continue
        _, ends = _common_clock(match, ranks, {**offsets, rank.rank: 0})
        differences.append(ends[match.ranks.index(rank.rank)] - ends[match.ranks.index(known)])
    return int(np.median(np.concatenate(differences))) if differences else None
