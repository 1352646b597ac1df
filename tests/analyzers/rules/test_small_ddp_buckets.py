"""Are buckets that are too small recognised, and does the replay promise what larger ones really bring?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.small_ddp_buckets import evaluate
from tests.analyzers.rules.causes_builder import with_rank
from tests.analyzers.rules.exchange_facts import facts_of, gain_ms
from tests.analyzers.rules.facts_builder import (
    assert_consistent,
    assert_contains,
    fix,
    make_collectives,
    make_facts,
    status,
)
from tests.scenarios.exchange import MIB, Link, ddp_run, fsdp_run

MS = 1_000_000
SLOW = Link(latency_ns=600_000)
TINY = [MIB // 4, *[MIB] * 100]
JOINED = [MIB // 4, *[25 * MIB] * 4]


def test_the_gain_is_what_larger_buckets_really_bring() -> None:
    before, after = ddp_run(TINY, link=SLOW), ddp_run(JOINED, link=SLOW)
    facts = facts_of(before)
    advice = fix(evaluate(facts), "ddp-bucket-size")
    assert advice.gain.expected_ms == pytest.approx(gain_ms(before, after), rel=0.05)
    assert_contains(advice, gain_ms(before, after))
    assert_consistent(advice, facts)
    assert (advice.gain.basis, advice.how) == ("replay", "DistributedDataParallel(model, bucket_cap_mb=25)")


def late(issue_ms: float) -> Facts:
    """A late host that issues 101 buckets, on a link where their number costs the transfers next to nothing."""
    facts = facts_of(ddp_run(TINY, link=Link(latency_ns=1_000)))
    collectives, partition = facts.critical.collectives, facts.critical.partition
    assert collectives is not None and partition is not None
    parts = {**partition.parts, "host": 0.5 * facts.step.mean_ns}
    collectives = replace(collectives, issue_ns=issue_ms * MS)
    return with_rank(facts, collectives=collectives, partition=replace(partition, parts=parts), traced=None)


def test_a_late_host_saves_the_calls_of_the_buckets_that_are_joined() -> None:
    advice = fix(evaluate(late(10.0)), "ddp-bucket-size")
    assert advice.how == "DistributedDataParallel(model, bucket_cap_mb=25)"
    assert advice.gain.high_ms == pytest.approx(10.0 * (101 - 5) / 101, rel=0.02)
    assert advice.gain.low_ms < 0.1 * advice.gain.high_ms
    assert status(evaluate(late(0.1))) == "passed"


def test_buckets_of_the_default_size_pass() -> None:
    assert status(evaluate(facts_of(ddp_run(JOINED, link=SLOW)))) == "passed"


def test_just_below_the_mark_passes() -> None:
    """100 messages of 20 us each are 2 ms, most of them hidden: below 3 % of the step."""
    assert status(evaluate(facts_of(ddp_run(TINY, link=Link(latency_ns=400_000))))) == "passed"


def test_sharded_gradients_are_another_matter() -> None:
    assert status(evaluate(facts_of(fsdp_run([16 * MIB] * 8)))) == "not_applicable"


def test_messages_of_one_size_tell_no_latency() -> None:
    assert status(evaluate(facts_of(ddp_run([25 * MIB] * 4)))) == "no_data"


def test_one_rank_does_not_apply() -> None:
    assert status(evaluate(make_facts(100, world_size=1))) == "not_applicable"


def test_no_data_without_traced_steps() -> None:
    assert status(evaluate(make_facts(100, world_size=2))) == "no_data"


def test_without_a_fit_nothing_is_promised() -> None:
    collectives = make_collectives(count=20, exposed_ms=20.0)
    assert status(evaluate(make_facts(100, communication=20.0, collectives=collectives))) == "not_applicable"


def test_gradients_reduced_by_hand_are_another_matter() -> None:
    collectives = make_collectives(count=200, exposed_ms=20.0)
    assert status(evaluate(make_facts(100, communication=20.0, collectives=collectives))) == "not_applicable"
