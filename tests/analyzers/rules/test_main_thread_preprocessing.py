"""Is work on a fetched batch in the loop named, and sent where there are cores for it?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.host.host_work import HostWork
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.main_thread_preprocessing import evaluate
from llmprof.timeline.environment import LoaderSettings
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.causes_builder import with_causes, with_rank
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def facts_of(preparing_ms: float | None, *, host_ms: float = 30.0, workers: int = 2, cores: int = 8) -> Facts:
    loader = LoaderFacts(settings=LoaderSettings(num_workers=workers), cores=cores)
    work = HostWork(
        waiting_ns=host_ms * NS_PER_MS, preparing_ns=None if preparing_ms is None else preparing_ms * NS_PER_MS
    )
    return with_causes(make_facts(100, host=host_ms, loader=loader), work=work)


def test_fires_and_promises_that_work() -> None:
    facts = facts_of(25.0)
    found = evaluate(facts)
    assert (found.finding.status, found.finding.severity, found.finding.cost_ms) == (
        "fired",
        "critical",
        pytest.approx(25),
    )
    assert [one.id for one in found.recommendations] == ["preprocess-in-workers", "offline-preprocessing"]
    for advice in found.recommendations:
        assert_consistent(advice, facts)
        assert_contains(advice, 22.0)


def test_at_most_all_of_it_goes_if_the_profiler_slowed_only_the_launches() -> None:
    """Of 30 ms before the first kernel 20 ms are expected to be left without the profiler: nobody knows which."""
    facts = make_facts(100, host=40.0, loader=facts_of(1.0).critical.loader)
    partition = facts.critical.partition
    assert partition is not None
    facts = with_rank(
        facts,
        traced=replace(partition, detail={"launch": 60.0 * NS_PER_MS}),
        partition=replace(partition, detail={"launch": 40.0 * NS_PER_MS}),
    )
    work = HostWork(waiting_ns=60 * NS_PER_MS, preparing_ns=30 * NS_PER_MS)
    advice = evaluate(with_causes(facts, work=work)).recommendations[0]
    assert advice.gain.expected_ms == pytest.approx((20 + 30) / 2 - 1)  # 1 ms is the way into the model
    assert advice.gain.high_ms == pytest.approx(30)


def test_without_a_core_left_it_is_not_sent_to_the_workers() -> None:
    found = evaluate(facts_of(25.0, workers=7))
    assert [one.id for one in found.recommendations] == ["offline-preprocessing"]


def test_passes_just_below_five_percent() -> None:
    assert status(evaluate(facts_of(4.9))) == "passed"


def test_the_way_into_a_compiled_model_is_no_work_on_the_batch() -> None:
    """On an H200 guards and input copies of a step of 6.1 ms took 0.35 ms of it."""
    work = HostWork(waiting_ns=3 * NS_PER_MS, preparing_ns=0.35 * NS_PER_MS)
    facts = with_causes(make_facts(6.1, host=3.0, loader=facts_of(1.0).critical.loader), work=work)
    assert status(evaluate(facts)) == "passed"


def test_no_more_than_the_device_waits_for_the_host() -> None:
    assert evaluate(facts_of(25.0, host_ms=10.0)).finding.cost_ms == pytest.approx(10.0)


def test_late_batches_take_the_gain_away() -> None:
    facts = facts_of(25.0)
    late = with_causes(
        make_facts(100, data=40.0, host=25.0), work=facts.critical.causes.work if facts.critical.causes else None
    )
    assert fix(evaluate(late), "offline-preprocessing").gain.expected_ms == 0


def test_not_applicable_without_a_fetch() -> None:
    assert status(evaluate(facts_of(None))) == "not_applicable"


def test_no_data_without_operators() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"
