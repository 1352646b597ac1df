"""Is the spread of load times told from too low a rate?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.loading.batch_times import BatchTimes
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.loading.loader_model import batch_interval_ns
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.heavy_tailed_batches import evaluate
from llmprof.timeline.environment import LoaderSettings
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status

REST_MS = 50.0
TAIL = tuple((600.0 if n % 20 == 0 else 40.0) * NS_PER_MS for n in range(200))
EVEN = tuple(68.0 * NS_PER_MS for n in range(200))
SLOW = tuple(150.0 * NS_PER_MS for n in range(200))


def facts_of(loads: tuple[float, ...], *, workers: int = 2) -> Facts:
    """A loader whose replay gives the step: what waits is known exactly."""
    step = batch_interval_ns(loads, REST_MS * NS_PER_MS, workers, 2) / NS_PER_MS
    times = BatchTimes(
        count=len(loads),
        mean_ns=sum(loads) / len(loads),
        p50_ns=sorted(loads)[len(loads) // 2],
        p95_ns=sorted(loads)[int(0.95 * len(loads))],
        cpu_ns=None,
        by_worker_ns=(),
        sequence_ns=loads,
    )
    settings = LoaderSettings(num_workers=workers, prefetch_factor=2)
    loader = LoaderFacts(settings=settings, times=times, batch_ns=times.mean_ns, fetches_per_step=1.0, cores=16)
    return make_facts(step, data=step - REST_MS, loader=loader)


def test_fires_and_the_deeper_queue_brings_what_its_replay_says() -> None:
    facts = facts_of(TAIL)
    found = evaluate(facts)
    wait = facts.step.mean_ns / NS_PER_MS - REST_MS
    assert (found.finding.status, found.finding.cost_ms) == ("fired", pytest.approx(wait, rel=0.05))
    advice = fix(found, "dataloader-prefetch")
    assert_consistent(advice, facts)
    deeper = batch_interval_ns(TAIL, REST_MS * NS_PER_MS, 2, 8) / NS_PER_MS
    assert_contains(advice, facts.step.mean_ns / NS_PER_MS - deeper)


def test_batches_that_are_alike_pass() -> None:
    assert status(evaluate(facts_of(EVEN))) == "passed"


def test_too_low_a_rate_is_not_its_matter() -> None:
    assert status(evaluate(facts_of(SLOW))) == "passed"


def test_not_applicable_in_process_or_without_a_loader() -> None:
    in_process = LoaderFacts(settings=LoaderSettings(num_workers=0), in_process=True)
    assert status(evaluate(make_facts(100, data=20.0, loader=in_process))) == "not_applicable"
    assert status(evaluate(make_facts(100))) == "not_applicable"


def test_no_data_without_load_times() -> None:
    loader = LoaderFacts(settings=LoaderSettings(num_workers=4))
    assert status(evaluate(make_facts(100, data=20.0, loader=loader))) == "no_data"


@pytest.mark.parametrize(("in_order", "said"), [(True, True), (None, False), (False, False)])
def test_any_order_is_mentioned_where_pytorch_knows_it_and_it_is_not_so_already(
    in_order: bool | None, said: bool
) -> None:
    facts = facts_of(TAIL)
    loader = facts.critical.loader
    assert loader is not None and loader.settings is not None
    object.__setattr__(loader.settings, "in_order", in_order)
    found = evaluate(facts)
    texts = [one.how for one in found.recommendations if one.id == "bucket-lengths"]
    assert any("in_order=False" in text for text in texts) is said
