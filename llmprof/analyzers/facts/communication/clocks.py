"""How far apart are the clocks of the ranks? One offset a host, from collectives that all ranks leave together.

Ranks of one host read one clock. Between hosts the wall clocks differ by milliseconds (NTP), more than a collective
lasts. But no rank can leave a collective before the last one has arrived, and all leave it nearly together. So the
offset of a host is the median difference of the ends (dPRO, MLSys 2022, aligns the clocks of hosts in the same way).
In a long recording the clocks also drift apart: then the offset is a line. What is left around it is the residual:
a wait that is shorter than twice the residual cannot be told from nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.rank_calls import RankCalls
from llmprof.timeline.intervals import Int64
from llmprof.units import NS_PER_S

__all__ = ["Clock", "Matched", "clocks_of"]

DRIFT_FROM_NS = 10 * NS_PER_S
"""Quartz clocks drift apart by up to some 50 µs a second; over a shorter recording that is within the residual."""
DRIFT_CALLS = 30
"""Fewer collectives than this make no line."""


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """The same collectives on several ranks: column j of `calls` is one collective, row i its index on `ranks[i]`."""

    ranks: tuple[int, ...]
    calls: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How one rank's unix time reads on the clock of the reference rank."""

    offset_ns: int = 0
    """What to take off at `since_ns`."""
    drift: float = 0.0
    """By how much that grows, ns a ns."""
    since_ns: int = 0
    residual_ns: int = 0
    """Median distance of the ends from the line; 0 where one clock is read."""

    def common(self, unix_ns: Int64) -> Int64:
        """These times of the rank on the reference clock; any shape."""
        plain = unix_ns - self.offset_ns
        return plain - np.rint(self.drift * (unix_ns - self.since_ns)).astype(np.int64) if self.drift else plain

    def own(self, common_ns: Int64) -> Int64:
        """The inverse of `common`."""
        plain = common_ns + self.offset_ns
        return plain + np.rint(self.drift * (plain - self.since_ns)).astype(np.int64) if self.drift else plain


def clocks_of(ranks: Sequence[RankCalls], matches: Sequence[Matched]) -> Mapping[int, Clock]:
    """The clock of every rank against that of the first one.

    Of hosts that share no collective with it, not even through a third one, the first one is the reference.
    """
    hosts: dict[str | int, list[RankCalls]] = {}
    for rank in ranks:
        hosts.setdefault(rank.rank if rank.host is None else rank.host, []).append(rank)
    ends = [_unix_ends(match, {rank.rank: rank for rank in ranks}) for match in matches]
    known: dict[int, Clock] = {}
    waiting = list(hosts.values())
    while waiting:
        known |= dict.fromkeys((rank.rank for rank in waiting.pop(0)), Clock())
        while joined := [(some, clock) for some in waiting if (clock := _clock(some, matches, ends, known))]:
            for some, clock in joined:
                known |= dict.fromkeys((rank.rank for rank in some), clock)
                waiting.remove(some)
    return known


def _unix_ends(match: Matched, ranks: Mapping[int, RankCalls]) -> Int64:
    """Ends of the matched calls in unix ns of each rank's own clock; shape (ranks, calls)."""
    columns = []
    for number, calls in zip(match.ranks, match.calls, strict=True):
        rank = ranks[number]
        columns.append(rank.start_ns[calls] + rank.dur_ns[calls] + rank.origin_ns)
    return np.stack(columns)


def _clock(
    members: Sequence[RankCalls], matches: Sequence[Matched], ends: Sequence[Int64], known: Mapping[int, Clock]
) -> Clock | None:
    """The clock of one host's ranks, from the collectives that they share with a known one; None without any."""
    numbers = {rank.rank for rank in members}
    times, differences, residual = [], [], 0
    for match, columns in zip(matches, ends, strict=True):
        mine = [place for place, number in enumerate(match.ranks) if number in numbers]
        other = next((place for place, number in enumerate(match.ranks) if number in known), None)
        if not mine or other is None:
            continue
        reference = known[match.ranks[other]]
        residual = max(residual, reference.residual_ns)
        times.append(columns[mine].ravel())
        differences.append((columns[mine] - reference.common(columns[other])).ravel())
    if not times:
        return None
    return _line(np.concatenate(times), np.concatenate(differences), residual)


def _line(unix_ns: Int64, difference: Int64, residual_ns: int) -> Clock:
    """The offset that most collectives agree on, as a line where the recording is long; `residual_ns` adds up."""
    offset, drift, since = int(np.median(difference)), 0.0, int(unix_ns.min())
    third = difference.size // 3
    if difference.size >= DRIFT_CALLS and int(np.ptp(unix_ns)) >= DRIFT_FROM_NS:
        order = np.argsort(unix_ns, kind="stable")
        first, last = order[:third], order[-third:]
        between = float(np.median(unix_ns[last] - since) - np.median(unix_ns[first] - since))
        drift = float(np.median(difference[last]) - np.median(difference[first])) / between if between > 0 else 0.0
        offset = int(np.median(difference - drift * (unix_ns - since)))
    left = np.abs(difference - offset - drift * (unix_ns - since))
    return Clock(offset_ns=offset, drift=drift, since_ns=since, residual_ns=residual_ns + int(np.median(left)))
