"""Do starts of epochs count by what they take of every step, and is the first batch of an epoch no promise?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.loading.batch_times import EpochStarts
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.epoch_boundary_stall import evaluate
from llmprof.timeline.environment import LoaderSettings
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def facts_of(start_ms: float, per_step_ms: float, *, workers: int = 4, persistent: bool = False) -> Facts:
    epochs = EpochStarts(count=5, mean_ns=start_ms * NS_PER_MS, per_step_ns=per_step_ms * NS_PER_MS)
    settings = LoaderSettings(num_workers=workers, persistent_workers=persistent)
    return make_facts(100, data=10.0, loader=LoaderFacts(settings=settings, epochs=epochs))


def test_fires_and_promises_the_start_of_the_workers() -> None:
    facts = facts_of(400, 8.0)
    found = evaluate(facts)
    assert (found.finding.status, found.finding.cost_ms) == ("fired", pytest.approx(8.0))
    advice = fix(found, "persistent-workers")
    assert_consistent(advice, facts)
    assert_contains(advice, 8.0)


def test_the_first_batch_of_an_epoch_has_to_be_made_in_any_case() -> None:
    facts = facts_of(400, 8.0)
    loader = facts.critical.loader
    assert loader is not None and loader.epochs is not None
    epochs = replace(loader.epochs, first_load_ns=100 * NS_PER_MS)
    changed = make_facts(100, data=10.0, loader=replace(loader, epochs=epochs))
    assert fix(evaluate(changed), "persistent-workers").gain.expected_ms == pytest.approx(8.0 * 300 / 400)


def test_workers_that_persist_need_a_longer_epoch() -> None:
    assert [one.id for one in evaluate(facts_of(400, 8.0, persistent=True)).recommendations] == ["packed-dataset"]


def test_without_workers_the_first_batch_is_not_its_matter() -> None:
    assert evaluate(facts_of(400, 8.0, workers=0)).recommendations == ()


@pytest.mark.parametrize(("start_ms", "per_step_ms"), [(99.0, 8.0), (400.0, 0.9)], ids=["short", "seldom"])
def test_passes_just_below(start_ms: float, per_step_ms: float) -> None:
    assert status(evaluate(facts_of(start_ms, per_step_ms))) == "passed"


def test_not_applicable_in_the_first_epoch_or_without_a_loader() -> None:
    assert status(evaluate(make_facts(100, loader=LoaderFacts()))) == "not_applicable"
    assert status(evaluate(make_facts(100))) == "not_applicable"
