"""Is the rank found that sets the pace, and what it does longer?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.communication.rank_differences import more_work, rank_difference
from llmprof.analyzers.facts.measured import RankFacts
from llmprof.analyzers.facts.operators.utilization import Utilization
from tests.analyzers.rules.facts_builder import make_collectives, make_partition, make_rank, make_step

MS = 1e6


def a_rank(number: int, skew_ms: float, **detail: float) -> RankFacts:
    parts = {"data": detail.get("wait", 0.0), "host": detail.get("launch", 0.0)}
    partition = make_partition(100, skew=skew_ms, detail=detail, **parts)
    collectives = replace(make_collectives(count=1, exposed_ms=skew_ms), skew_ns=skew_ms * MS)
    return make_rank(partition, rank=number, step=make_step(100), collectives=collectives)


def test_the_late_rank_and_its_cause() -> None:
    found = rank_difference({0: a_rank(0, 30), 1: a_rank(1, 0, wait=40.0), 2: a_rank(2, 20)})
    assert found is not None
    assert (found.late, found.over_next_ns, found.over_median_ns) == (1, 20 * MS, 25 * MS)
    assert found.over_mean_ns == pytest.approx((100 - 250 / 3) * MS)
    assert next(iter(found.causes)) == "wait"
    assert found.causes["wait"] == 40 * MS


def test_ranks_that_are_alike_have_no_excess() -> None:
    found = rank_difference({0: a_rank(0, 5), 1: a_rank(1, 5)})
    assert found is not None
    assert (found.over_next_ns, found.jitter_ns) == (0.0, 5 * MS)


def test_one_rank_has_nobody_to_differ_from() -> None:
    assert rank_difference({0: a_rank(0, 5)}) is None


def test_without_known_waiting_nothing_is_compared() -> None:
    silent = replace(a_rank(1, 5), collectives=make_collectives(count=1, exposed_ms=5.0))
    assert silent.collectives is not None
    unknown = replace(silent, collectives=replace(silent.collectives, skew_ns=None))
    assert rank_difference({0: a_rank(0, 5), 1: unknown}) is None


def test_arithmetic_is_compared_with_the_median_of_the_others() -> None:
    late, *others = (
        replace(a_rank(n, 0), utilization=Utilization(hfu=hfu)) for n, hfu in enumerate((0.6, 0.4, 0.3, 0.5))
    )
    assert more_work(late, others) == pytest.approx(0.5)
    assert more_work(late, []) is None
    assert more_work(a_rank(0, 0), others) is None
