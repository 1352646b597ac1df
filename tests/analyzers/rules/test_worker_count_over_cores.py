"""Are workers counted against the cores of the rank, and is less of them no promise without measured load times?"""

from __future__ import annotations

from typing import Any

import pytest

from llmprof.analyzers.facts.loading.batch_times import BatchTimes
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.worker_count_over_cores import evaluate
from llmprof.timeline.environment import LoaderSettings
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.facts_builder import assert_consistent, fix, make_facts, status


def facts_of(workers: int | None, cores: int | None, *, data_ms: float = 0.0, **loader: Any) -> Facts:
    settings = LoaderSettings(num_workers=workers, prefetch_factor=2)
    return make_facts(100, data=data_ms, loader=LoaderFacts(settings=settings, cores=cores, **loader))


def test_fires_and_names_the_number_that_fits() -> None:
    found = evaluate(facts_of(17, 8))
    assert (found.finding.status, found.finding.severity) == ("fired", "info")
    advice = fix(found, "dataloader-workers")
    assert "from 17 to 7" in advice.action
    assert advice.gain.expected_ms == 0


def test_what_turns_on_few_cores_cost_is_replayed() -> None:
    load = 30.0 * NS_PER_MS
    times = BatchTimes(
        count=50, mean_ns=load, p50_ns=load, p95_ns=load, cpu_ns=load, by_worker_ns=(), sequence_ns=(load,) * 50
    )
    facts = facts_of(6, 2, data_ms=40.0, times=times, batch_ns=load)
    advice = fix(evaluate(facts), "dataloader-workers")
    assert_consistent(advice, facts)
    assert 0 <= advice.gain.expected_ms <= 40.0


def test_passes_at_twice_the_cores() -> None:
    assert status(evaluate(facts_of(16, 8))) == "passed"


def test_not_applicable_in_process_or_without_a_loader() -> None:
    assert status(evaluate(facts_of(0, 8))) == "not_applicable"
    assert status(evaluate(make_facts(100))) == "not_applicable"


@pytest.mark.parametrize(("workers", "cores"), [(16, None), (None, 8)])
def test_no_data_without_workers_or_cores(workers: int | None, cores: int | None) -> None:
    assert status(evaluate(facts_of(workers, cores))) == "no_data"
