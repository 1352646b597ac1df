"""Which rank of the run is each trace? What the file says, else its name, else what the user says, else its place.

A process that was traced several times (a profiler schedule that repeats) gives its latest trace; ranks do not follow
one another in time, so traces of one process that do not overlap are told from traces of two ranks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llmprof.collectors.files.kineto import KinetoTrace
from llmprof.collectors.files.trace_folder import stamp_of
from llmprof.errors import InputError
from llmprof.timeline.timeline import RankTimeline

__all__ = ["TraceMarks", "in_order", "marks_of", "ranks_of", "world_size_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceMarks:
    """What tells one trace from another."""

    path: str
    rank: int | None
    """The rank that it says it is."""
    processes: frozenset[int]
    """Those of its host threads."""
    span_ns: tuple[int, int]
    """Unix ns of its first start and its last end."""
    world_size: int | None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.path.rpartition("/")[2]


def marks_of(path: str, rank: int | None, timeline: RankTimeline) -> TraceMarks:
    """The marks of a trace that was read."""
    events, origin = timeline.events, timeline.origin_ns
    return TraceMarks(
        path=path,
        rank=rank,
        processes=frozenset(lane.process for lane in timeline.lanes if not lane.on_device and lane.process > 0),
        span_ns=(origin, origin + (int(events.end.max()) if events is not None and len(events) else 0)),
        world_size=timeline.environment.world_size,
    )


def in_order(
    traces: Sequence[KinetoTrace],
    warnings: list[str],
    *,
    found: Collection[Path] = (),
    ranks: Sequence[int] = (),
) -> tuple[RankTimeline, ...]:
    """The timelines, ascending by rank; arguments and errors as `ranks_of`."""
    said = ranks if len(ranks) == len(traces) else [trace.claimed_rank for trace in traces]
    read = [trace.timeline(rank or 0) for trace, rank in zip(traces, said, strict=True)]
    marks = [
        marks_of(str(trace.path), trace.claimed_rank, timeline) for trace, timeline in zip(traces, read, strict=True)
    ]
    places = ranks_of(marks, warnings, found=set(map(str, found)), ranks=ranks)
    return tuple(_as_rank(read[place], number) for number, place in sorted(places.items()))


def ranks_of(
    traces: Sequence[TraceMarks], warnings: list[str], *, found: Collection[str] = (), ranks: Sequence[int] = ()
) -> dict[int, int]:
    """For each rank the place of its trace.

    found   traces that were found in a folder and not named: of those that claim one rank the latest is read
    ranks   what the user says, in the order of `traces`; comes before all else

    Raises InputError when two files claim one rank, or when there are not as many `ranks` as traces.
    """
    if ranks and len(ranks) != len(traces):
        raise InputError(f"{len(ranks)} ranks were given for {len(traces)} traces; give one rank for each.")
    kept = [replace(one, rank=rank) for one, rank in zip(traces, ranks, strict=True)] if ranks else list(traces)
    places = {id(one): place for place, one in enumerate(kept)}
    if not ranks:
        kept = _without_stale(_latest_of_each_process(kept, warnings), set(found), warnings)
    claimed: dict[int, TraceMarks] = {}
    for one in kept:
        if one.rank is None:
            continue
        if (other := claimed.get(one.rank)) is not None:
            raise InputError(
                f"{other.path} and {one.path} both say they are rank {one.rank}; give the traces of one run, one file "
                "a rank, or say with --ranks which they are."
            )
        claimed[one.rank] = one
    free = (number for number in range(len(kept)) if number not in claimed)
    for one in [one for one in kept if one.rank is None]:
        number = next(free)
        claimed[number] = one
        if len(kept) > 1:
            warnings.append(
                f"nothing says which rank {one.name} is; it is taken as rank {number} (--ranks can say it)."
            )
    return {number: places[id(one)] for number, one in claimed.items()}


def world_size_of(ranks: Sequence[RankTimeline], warnings: list[str]) -> int | None:
    """The number of ranks in the job as the files say; the largest, with a warning, where they disagree."""
    sizes = sorted({size for rank in ranks if (size := rank.environment.world_size)})
    if len(sizes) > 1:
        warnings.append(f"the files disagree on the number of ranks ({sizes}): they may be of different runs.")
    return sizes[-1] if sizes else None


def _as_rank(timeline: RankTimeline, number: int) -> RankTimeline:
    if timeline.rank == number:
        return timeline
    return replace(timeline, rank=number, lanes=tuple(replace(lane, rank=number) for lane in timeline.lanes))


def _latest_of_each_process(read: Sequence[TraceMarks], warnings: list[str]) -> list[TraceMarks]:
    """Without the traces of which a later one is of the same process."""
    kept: dict[int | None, list[TraceMarks]] = {}
    for one in sorted(read, key=lambda one: one.span_ns, reverse=True):
        same = kept.setdefault(one.rank, [])
        later = next((other for other in same if _goes_on(one, other)), None)
        if later is None:
            same.append(one)
        else:
            warnings.append(
                f"{one.name} and {later.name} are traces of one process, one after the other; only the later one, "
                f"{later.name}, is read."
            )
    return [one for one in read if any(one is other for other in kept[one.rank])]


def _goes_on(early: TraceMarks, late: TraceMarks) -> bool:
    """Whether these are of one process, of one rank, one after the other."""
    return bool(early.processes & late.processes) and early.span_ns[1] <= late.span_ns[0]


def _without_stale(read: Sequence[TraceMarks], found: Collection[str], warnings: list[str]) -> list[TraceMarks]:
    """Without what an earlier run left in the same folder: of one rank the latest, and all of one number of ranks."""
    named = [one for one in read if one.path in found]
    by_age = sorted(named, key=lambda one: stamp_of(Path(one.path)), reverse=True)
    if not by_age or not all(one.name.count(".pt.trace.json") for one in by_age):
        return list(read)
    size = by_age[0].world_size
    seen: set[int] = set()
    stale = []
    for one in by_age:
        if one.world_size != size or (one.rank is not None and one.rank in seen):
            stale.append(one)
        elif one.rank is not None:
            seen.add(one.rank)
    if stale:
        names = ", ".join(sorted(one.name for one in stale)[:3]) + (", ..." if len(stale) > 3 else "")
        warnings.append(f"traces of an earlier run in the same folder are passed over: {names}.")
    gone = {one.path for one in stale}
    return [one for one in read if one.path not in gone]
