"""Is one rank's input blamed only when it is later than the others' and explains their waiting?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.input_imbalance import evaluate
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.facts_builder import (
    assert_consistent,
    assert_contains,
    fix,
    make_facts,
    make_partition,
    make_rank,
    make_step,
    status,
)


def facts_of(mine_ms: float, others_ms: float, skew_ms: float, *, loads: tuple[float, float] | None = None) -> Facts:
    step = make_step(100)
    mine, theirs = (None, None) if loads is None else (load * NS_PER_MS for load in loads)
    late = make_rank(make_partition(100, data=mine_ms), rank=1, step=step, loader=LoaderFacts(batch_ns=mine))
    ranks = {
        number: make_rank(
            make_partition(100, data=others_ms, skew=skew_ms),
            rank=number,
            step=step,
            loader=LoaderFacts(batch_ns=theirs),
        )
        for number in (0, 2, 3)
    }
    return Facts(ranks={**ranks, 1: late}, critical=late, step=step, world_size=4)


def test_fires_and_promises_the_excess() -> None:
    facts = facts_of(40.0, 5.0, 35.0, loads=(80.0, 20.0))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.ranks, found.finding.cost_ms) == ("fired", (1,), pytest.approx(35.0))
    advice = fix(found, "balance-batches")
    assert_consistent(advice, facts)
    assert_contains(advice, 35.0)
    assert "heavier" in advice.why


def test_equal_load_times_point_at_the_cores() -> None:
    assert "compare cores" in fix(evaluate(facts_of(40.0, 5.0, 35.0, loads=(20.0, 20.0))), "balance-batches").why


def test_passes_just_below_a_tenth_and_where_it_explains_little() -> None:
    assert status(evaluate(facts_of(14.9, 5.0, 9.9))) == "passed"
    assert status(evaluate(facts_of(20.0, 5.0, 60.0))) == "passed"


def test_not_applicable_for_one_rank() -> None:
    assert status(evaluate(make_facts(100, data=40.0))) == "not_applicable"


def test_no_data_when_the_others_were_not_traced() -> None:
    step = make_step(100)
    late = make_rank(make_partition(100, data=40.0), rank=1, step=step)
    facts = Facts(ranks={0: make_rank(None, step=step), 1: late}, critical=late, step=step)
    assert status(evaluate(facts)) == "no_data"
