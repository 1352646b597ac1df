"""Which collective on one rank is which on another, and who was late? Matching and waiting across ranks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.clocks import Clock, Matched
from llmprof.analyzers.facts.communication.collective_calls import SYMMETRIC
from llmprof.analyzers.facts.communication.messages import is_sent
from llmprof.analyzers.facts.communication.rank_calls import RankCalls
from llmprof.timeline.events import NONE, CollectiveCall
from llmprof.timeline.intervals import Int64

__all__ = ["Place", "Waits", "match_collectives", "match_messages", "transfers_of", "waits_of"]

Place = tuple[int, int]
"""A rank, and the index of one of its calls."""
_Key = tuple[str, str | None, tuple[int, ...] | None]


@dataclass(frozen=True, slots=True, eq=False)
class Waits:
    """When one rank's collectives waited for a later rank, on its own clock; columns have shape (n,)."""

    start_ns: Int64
    end_ns: Int64
    late: Int64
    """The rank that came last."""


def match_collectives(ranks: Sequence[RankCalls], *, also: Collection[str] = ()) -> tuple[Matched, ...]:
    """The collectives that several ranks recorded together.

    Only operations that no rank can leave early are matched, and those named in `also`. They are told apart by process
    group and operation and paired by their order. Where every rank has step marks, only what was launched inside steps
    that all ranks traced is looked at, so all ranks hold the same calls; otherwise recordings may begin at different
    calls, and the last ones are paired. Calls whose message sizes contradict each other are not matched, but for an
    all-to-all, in which each rank sends and receives as much as it has: experts get different numbers of tokens.
    """
    numbers = _common_steps(ranks)
    found: dict[_Key, dict[int, tuple[npt.NDArray[np.intp], Int64]]] = {}
    for rank in ranks:
        for key, calls, sizes in _by_key(rank, numbers, also):
            found.setdefault(key, {})[rank.rank] = (calls, sizes)
    result = []
    for (op, _, members), per_rank in found.items():
        inside = None if members is None else frozenset(members)
        chosen = {r: v for r, v in per_rank.items() if inside is None or r in inside}
        count = min((calls.size for calls, _ in chosen.values()), default=0)
        if len(chosen) < 2 or count == 0:
            continue
        sizes = np.stack([sizes[sizes.size - count :] for _, sizes in chosen.values()])
        uneven = op == "all_to_all" and all(calls.size == count for calls, _ in chosen.values())
        if uneven or (sizes == sizes[0]).all():
            rows = np.stack([calls[calls.size - count :] for calls, _ in chosen.values()])
            result.append(Matched(tuple(chosen), rows))
    return tuple(result)


def match_messages(ranks: Sequence[RankCalls]) -> Mapping[Place, frozenset[Place]]:
    """For each kernel of sends and receives those of other ranks with which it exchanges messages.

    What a rank sends another one is received in the same order (NCCL matches them so). Empty where the direction, the
    other side or the other end of a message is not known; in steps as `match_collectives`.
    """
    numbers = _common_steps(ranks)
    ends: dict[tuple[int, int, str | None], dict[bool, list[tuple[Place, int | None]]]] = {}
    for rank in ranks:
        moved = [place for place, kind in enumerate(rank.kinds) if kind.op == "send_recv"]
        for call in np.flatnonzero(_counted(rank, numbers) & np.isin(rank.kind, moved)).tolist():
            messages = rank.kinds[rank.kind[call]].messages
            if not messages:
                return {}
            for message in messages:
                sent, peer = bool(is_sent(message)), _peer(message, rank.rank)
                if peer is None:
                    return {}
                way = (rank.rank, peer) if sent else (peer, rank.rank)
                sides = ends.setdefault((*way, message.group_name), {True: [], False: []})
                sides[sent].append(((rank.rank, call), message.in_elements))
    partners: dict[Place, set[Place]] = defaultdict(set)
    for sides in ends.values():
        if [size for _, size in sides[True]] != [size for _, size in sides[False]]:
            return {}
        for (one, _), (other, _) in zip(sides[True], sides[False], strict=True):
            partners[one].add(other)
            partners[other].add(one)
    return {place: frozenset(others - {place}) for place, others in partners.items()}


def _peer(message: CollectiveCall, rank: int) -> int | None:
    """The other side of a message of this rank; of a group of two it is the other one."""
    others = [number for number in message.ranks or () if number != rank]
    return message.peer if message.peer is not None or len(others) != 1 else others[0]


def waits_of(
    ranks: Sequence[RankCalls], matches: Sequence[Matched], clocks: Mapping[int, Clock]
) -> Mapping[int, Waits]:
    """For each matched rank, when its collectives waited for the last rank to arrive.

    A match whose kernels never ran at the same time is no match, and is left out; so is a whole group of them when
    most are of that kind. A wait between two clocks that is shorter than twice their residual is not believed.
    """
    by_number = {rank.rank: rank for rank in ranks}
    parts: dict[int, list[Waits]] = {}
    for match in matches:
        starts, ends = _common_times(match, by_number, clocks)
        latest, last = starts.max(axis=0), starts.argmax(axis=0)
        together = latest <= ends.min(axis=0)
        if together.mean() < 0.5:
            continue
        late = np.asarray(match.ranks, dtype=np.int64)[last]
        blur = np.array([2 * clocks[number].residual_ns for number in match.ranks], dtype=np.int64)
        # Ranks of one host share one Clock, and between them nothing is estimated.
        host = np.array([id(clocks[number]) for number in match.ranks], dtype=np.int64)
        for i, number in enumerate(match.ranks):
            rank, clock = by_number[number], clocks[number]
            until = np.minimum(latest, ends[i])
            unsure = np.where(host[last] == host[i], 0, np.maximum(blur[last], blur[i]))
            chosen = together & (until - starts[i] > unsure)
            start = rank.start_ns[match.calls[i][chosen]]
            part = Waits(start, clock.own(until[chosen]) - rank.origin_ns, late[chosen])
            parts.setdefault(number, []).append(part)
    return {
        number: Waits(
            np.concatenate([part.start_ns for part in some]),
            np.concatenate([part.end_ns for part in some]),
            np.concatenate([part.late for part in some]),
        )
        for number, some in parts.items()
    }


def transfers_of(ranks: Sequence[RankCalls], matches: Sequence[Matched]) -> Mapping[int, Int64]:
    """For each matched rank and call the shortest duration of that collective on any rank, NONE where not matched.

    The last rank to arrive waits for nobody, so the shortest duration is the transfer.
    """
    by_number = {rank.rank: rank for rank in ranks}
    result: dict[int, Int64] = {}
    for match in matches:
        shortest: Int64 = np.min(
            [by_number[number].dur_ns[calls] for number, calls in zip(match.ranks, match.calls, strict=True)], axis=0
        )
        for number, calls in zip(match.ranks, match.calls, strict=True):
            column = result.setdefault(number, np.full(len(by_number[number]), NONE, dtype=np.int64))
            column[calls] = shortest
    return result


def _common_steps(ranks: Sequence[RankCalls]) -> set[int] | None:
    """The steps that every rank traced; None when a rank has no marks or there is no such step."""
    common: set[int] | None = None
    for rank in ranks:
        numbers = set(rank.steps.tolist())
        common = numbers if common is None else common & numbers
    return common or None


def _counted(rank: RankCalls, numbers: set[int] | None) -> npt.NDArray[np.bool_]:
    return np.ones(len(rank), dtype=bool) if numbers is None else np.isin(rank.step, sorted(numbers))


def _by_key(
    rank: RankCalls, numbers: set[int] | None, also: Collection[str]
) -> list[tuple[_Key, npt.NDArray[np.intp], Int64]]:
    """The rank's matchable collectives by group and operation, in order of start, with their sizes (NONE unknown)."""
    counted = _counted(rank, numbers)
    keys: dict[_Key, list[int]] = {}
    for place in np.unique(rank.kind[counted]).tolist():
        kind = rank.kinds[place]
        if kind.op in SYMMETRIC or kind.op in also:
            keys.setdefault((kind.op, *kind.group), []).append(place)
    sizes = rank.sizes
    result = []
    for key, places in keys.items():
        mine = np.flatnonzero(counted & np.isin(rank.kind, places))
        result.append((key, mine, sizes[mine]))
    return result


def _common_times(match: Matched, ranks: Mapping[int, RankCalls], clocks: Mapping[int, Clock]) -> tuple[Int64, Int64]:
    """Starts and ends of matched collectives in unix ns of the reference clock; shape (ranks, calls)."""
    starts, ends = [], []
    for number, calls in zip(match.ranks, match.calls, strict=True):
        rank, clock = ranks[number], clocks[number]
        unix = rank.start_ns[calls] + rank.origin_ns
        starts.append(clock.common(unix))
        ends.append(clock.common(unix + rank.dur_ns[calls]))
    return np.stack(starts), np.stack(ends)
