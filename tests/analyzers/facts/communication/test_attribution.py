"""Are ranks that are not alike told from their partitions, and is nothing promised that nobody waits for?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.communication.attribution import attribution_of_parts, effect_of
from llmprof.analyzers.facts.measured import RankFacts
from tests.analyzers.rules.facts_builder import make_collectives, make_partition, make_rank, make_step

MS = 1e6


def a_rank(
    number: int, *, compute: float = 0.0, data: float = 0.0, host: float = 0.0, hidden: float = 0.0
) -> RankFacts:
    """A step of 100 ms; what the work does not fill is waiting for peers, but for what is `hidden` as transfer."""
    skew = 100 - compute - data - host - hidden
    partition = make_partition(100, data=data, host=host, skew=skew, communication=hidden)
    assert partition.parts["compute"] == pytest.approx(compute * MS)
    collectives = replace(make_collectives(count=1, exposed_ms=skew), skew_ns=skew * MS)
    return make_rank(partition, rank=number, step=make_step(100), collectives=collectives)


def test_the_late_rank_repaired_is_the_step_of_the_median_rank() -> None:
    ranks = {0: a_rank(0, compute=60), 1: a_rank(1, compute=60, data=40), 2: a_rank(2, compute=60)}
    found = attribution_of_parts(ranks, 100 * MS)
    assert found is not None
    assert (found.slowdown, found.ideal_ns) == (pytest.approx(100 / 60), pytest.approx(60 * MS))
    assert next(iter(found.by_rank)) == 1
    assert found.by_rank[1].after_ns == pytest.approx(60 * MS)
    assert (found.by_rank[1].removed, found.by_rank[1].added) == (pytest.approx(1.0), pytest.approx(1.0))
    assert found.by_rank[0].removed == pytest.approx(0.0)
    assert found.by_kind["data"].slowdown == pytest.approx(100 / 60)
    assert found.by_kind["compute"].removed == pytest.approx(0.0)


def test_of_two_ranks_the_faster_one_is_the_peer() -> None:
    found = attribution_of_parts({0: a_rank(0, compute=100), 1: a_rank(1, compute=50)}, 100 * MS)
    assert found is not None
    assert found.slowdown == pytest.approx(2.0)


def test_two_equally_late_ranks_hide_each_other_from_repair_but_not_from_blame() -> None:
    late, usual = 100, 50
    ranks = {number: a_rank(number, compute=late if number < 2 else usual) for number in range(5)}
    found = attribution_of_parts(ranks, 100 * MS)
    assert found is not None
    assert (found.by_rank[0].removed, found.by_rank[0].added) == (pytest.approx(0.0), pytest.approx(1.0))


def test_ranks_that_trade_one_kind_for_another_lose_nothing() -> None:
    ranks = {0: a_rank(0, compute=40, host=60), 1: a_rank(1, compute=60, host=40)}
    found = attribution_of_parts(ranks, 100 * MS)
    assert found is not None
    assert found.slowdown == pytest.approx(1.0)
    assert found.by_rank[0].removed is None


def test_what_lies_beside_transfers_and_nobody_waits_for_is_not_lost() -> None:
    ranks = {0: a_rank(0, compute=60, hidden=40), 1: a_rank(1, compute=100)}
    found = attribution_of_parts(ranks, 100 * MS)
    assert found is not None
    assert found.slowdown == pytest.approx(1.0)


def test_hosts_that_the_profiler_slowed_are_left_as_they_were() -> None:
    ranks = {0: a_rank(0, compute=60, host=40), 1: a_rank(1, compute=60, host=10)}
    found = attribution_of_parts(ranks, 100 * MS, host_compared=False)
    assert found is not None
    assert found.slowdown == pytest.approx(1.0)
    assert "host" not in found.by_kind


def test_one_rank_or_unknown_waiting_gives_none() -> None:
    known = a_rank(0, compute=100)
    assert attribution_of_parts({0: known}, 100 * MS) is None
    assert attribution_of_parts({0: known, 1: replace(a_rank(1, compute=50), collectives=None)}, 100 * MS) is None


def test_an_effect_is_in_shares_of_the_loss() -> None:
    found = effect_of(100.0, 50.0, 75.0, 90.0)
    assert (found.removed, found.added, found.slowdown, found.after_ns) == (0.5, 0.8, 1.8, 75.0)
    assert effect_of(50.0, 50.0, 50.0, 50.0).removed is None
