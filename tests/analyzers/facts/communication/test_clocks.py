"""The clocks of hosts are brought together from what the ranks recorded, and the doubt that is left is told."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from llmprof.analyzers.facts.communication.clocks import Clock, Matched, clocks_of
from llmprof.analyzers.facts.communication.rank_calls import RankCalls
from llmprof.timeline.events import NONE

MS, S = 1_000_000, 1_000_000_000
UNIX = 1_790_857_026 * S
CALLS = 60


def a_rank(
    number: int, ends_ns: npt.NDArray[np.int64], *, shift_ns: int = 0, drift: float = 0.0, host: str | None = None
) -> RankCalls:
    """Calls of 1 ms that end then, read on a clock that is ahead by `shift_ns` and by `drift` ns every ns."""
    own = ends_ns + shift_ns + np.rint(drift * ends_ns).astype(np.int64)
    empty = np.empty(0, np.int64)
    return RankCalls(
        rank=number,
        host=host,
        origin_ns=UNIX,
        steps=empty,
        kinds=(),
        kind=np.zeros(own.size, np.int32),
        start_ns=own - MS,
        dur_ns=np.full(own.size, MS),
        step=np.full(own.size, NONE),
    )


def all_of(*ranks: RankCalls) -> Matched:
    return Matched(tuple(rank.rank for rank in ranks), np.stack([np.arange(len(rank)) for rank in ranks]))


def ends(step_ns: int = 10 * MS) -> npt.NDArray[np.int64]:
    return np.arange(1, CALLS + 1, dtype=np.int64) * step_ns


def test_the_offset_of_each_host_is_found_and_its_ranks_share_it() -> None:
    rng = np.random.default_rng(0)
    shifts = {"a": 0, "b": 700 * MS, "c": -3 * S}
    ranks = [
        a_rank(i, ends() + rng.integers(-5_000, 5_000, CALLS), shift_ns=shifts[host], host=host)
        for i, host in enumerate("aabbcc")
    ]
    clocks = clocks_of(ranks, [all_of(*ranks)])
    assert clocks[0] == clocks[1] == Clock()
    assert clocks[2] is clocks[3] and clocks[4] is clocks[5]
    assert clocks[2].offset_ns == pytest.approx(700 * MS, abs=5_000)
    assert clocks[4].offset_ns == pytest.approx(-3 * S, abs=5_000)
    assert 500 < clocks[2].residual_ns < 10_000


def test_a_host_without_a_common_collective_is_reached_through_a_third() -> None:
    first, middle, last = (a_rank(i, ends(), shift_ns=i * 50 * MS) for i in range(3))
    clocks = clocks_of([first, middle, last], [all_of(first, middle), all_of(middle, last)])
    assert [clocks[i].offset_ns for i in range(3)] == [0, 50 * MS, 100 * MS]


def test_hosts_that_share_nothing_with_the_first_are_aligned_with_each_other() -> None:
    alone, one, other = (a_rank(i, ends(), shift_ns=i * 50 * MS) for i in range(3))
    clocks = clocks_of([alone, one, other], [all_of(one, other)])
    assert clocks[2].offset_ns - clocks[1].offset_ns == 50 * MS


def test_drift_in_a_long_recording_is_a_line() -> None:
    """Over a minute a clock that gains 40 µs a second is off by 2.4 ms: no single offset fits."""
    true, ahead = ends(S), a_rank(1, ends(S), shift_ns=5 * MS, drift=40e-6)
    clock = clocks_of([a_rank(0, true), ahead], [all_of(a_rank(0, true), ahead)])[1]
    assert clock.drift == pytest.approx(40e-6, rel=1e-3)
    common = clock.common(ahead.start_ns + ahead.dur_ns + UNIX)
    assert np.abs(common - (true + UNIX)).max() < 1_000
    assert np.abs(clock.own(common) - (ahead.start_ns + ahead.dur_ns + UNIX)).max() < 1_000
    assert clock.residual_ns < 1_000


def test_a_few_mistaken_pairs_do_not_move_the_clock() -> None:
    wrong = ends().copy()
    wrong[::5] += 400 * MS
    ranks = [a_rank(0, ends()), a_rank(1, wrong, shift_ns=9 * MS)]
    clock = clocks_of(ranks, [all_of(*ranks)])[1]
    assert (clock.offset_ns, clock.residual_ns) == (9 * MS, 0)
