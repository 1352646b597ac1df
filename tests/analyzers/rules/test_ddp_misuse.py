"""Are settings of data parallelism that cost time for nothing recognised, and needed ones left alone?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmprof.analyzers.facts.communication.collectives import CollectiveGroup
from llmprof.analyzers.facts.host.host import HostFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.ddp_misuse import evaluate
from llmprof.timeline.environment import OptimizerSettings
from llmprof.timeline.settings import DdpSettings, ModelSettings
from tests.analyzers.rules.causes_builder import with_rank
from tests.analyzers.rules.exchange_facts import environment
from tests.analyzers.rules.facts_builder import assert_consistent, fix, make_collectives, make_facts, status

MS = 1_000_000


def wrapped(**settings: Any) -> Facts:
    own = environment(ddp=DdpSettings(**({"backend": "nccl", "find_unused_parameters": False} | settings)))
    return make_facts(100, communication=5.0, world_size=2, environment=own)


def searching(gradients: float | None) -> Facts:
    """find_unused_parameters over 60 tensors; agreeing on what was used takes 1 ms of 5 exposed ones."""
    own = environment(
        ddp=DdpSettings(backend="nccl", find_unused_parameters=True),
        optimizers=(OptimizerSettings(parameter_tensors=60),),
    )
    used = CollectiveGroup(op="all_reduce", dtype="int32", count=1.0, bytes=240.0, ns=1.0 * MS, exposed_ns=1.0 * MS)
    collectives = replace(make_collectives(count=5, exposed_ms=5.0), groups=(used,), gradients=gradients)
    return make_facts(100, communication=5.0, host=2.0, world_size=2, environment=own, collectives=collectives)


def test_a_search_for_nothing_fires_with_what_agreeing_costs() -> None:
    found = evaluate(searching(60.0))
    assert found.finding.cost_ms == pytest.approx(1.0)
    advice = fix(found, "static-graph")
    assert advice.gain.expected_ms == pytest.approx(1.0)
    assert_consistent(advice, searching(60.0))


@pytest.mark.parametrize(("passes", "offered"), [(1.0, True), (2.0, False)])
def test_a_static_graph_is_no_way_where_gradients_are_accumulated(passes: float, offered: bool) -> None:
    """DDP fails when a static graph begins inside `no_sync()`; Trainer and Lightning accumulate there."""
    facts = searching(60.0 * passes)
    assert facts.critical.collectives is not None
    facts = with_rank(facts, collectives=replace(facts.critical.collectives, microbatches=passes))
    assert ("static_graph" in fix(evaluate(facts), "static-graph").how) is offered


def test_the_search_takes_the_host_some_tenths_of_a_microsecond_an_operator() -> None:
    """5,000 operators: 1 ms besides the exchange, and no more than 2.5; never more than the device waits."""
    facts = searching(60.0)
    facts = with_rank(facts, host=HostFacts(operators=5_000.0))
    gain = fix(evaluate(facts), "static-graph").gain
    assert (gain.expected_ms, gain.high_ms) == (pytest.approx(2.0), pytest.approx(3.0))


def test_a_search_that_was_recorded_takes_what_it_took() -> None:
    facts = searching(60.0)
    assert facts.critical.collectives is not None
    collectives = replace(facts.critical.collectives, search_ns=0.25 * MS)
    gain = fix(
        evaluate(with_rank(facts, host=HostFacts(operators=5_000.0), collectives=collectives)), "static-graph"
    ).gain
    assert (gain.expected_ms, gain.high_ms) == (pytest.approx(1.25), pytest.approx(1.5))


def test_a_search_that_finds_something_is_needed() -> None:
    assert status(evaluate(searching(58.0))) == "passed"


def test_no_data_without_the_gradients() -> None:
    assert status(evaluate(searching(None))) == "no_data"


def test_good_settings_pass() -> None:
    assert status(evaluate(wrapped())) == "passed"


def test_gloo_for_cuda_tensors_fires() -> None:
    found = evaluate(wrapped(backend="gloo"))
    assert 'init_process_group("nccl")' in fix(found, "nccl-backend").how


def test_what_was_seen_to_wait_for_gloo_is_expected_to_go() -> None:
    """Of a step of 100 ms 30 are waiting for collectives, and 20 of a late host that stays as late."""
    own = wrapped(backend="gloo").critical.environment
    seen = fix(evaluate(make_facts(100, host=20.0, communication=30.0, world_size=2, environment=own)), "nccl-backend")
    unseen = fix(evaluate(make_facts(100, host=50.0, world_size=2, environment=own)), "nccl-backend")
    assert seen.gain.expected_ms == pytest.approx(30.0, abs=2.0)
    assert seen.gain.low_ms == pytest.approx(15.0, abs=1.0) and seen.gain.high_ms > 45.0
    # Where nothing tells which part of the waiting gloo is: the middle between its copies and all of it.
    assert unseen.gain.expected_ms == pytest.approx((unseen.gain.low_ms + unseen.gain.high_ms) / 2)


def test_gloo_without_a_gpu_is_right() -> None:
    own = environment(ddp=DdpSettings(backend="gloo", find_unused_parameters=False))
    facts = make_facts(100, world_size=2, environment=replace(own, device=replace(own.device, name=None)))
    assert status(evaluate(facts)) == "passed"


def test_data_parallel_fires_on_one_rank_too() -> None:
    own = environment(models=(ModelSettings(wrappers=("DataParallel",)),), world_size=1)
    found = evaluate(make_facts(100, host=40.0, world_size=1, environment=own))
    assert "torchrun" in fix(found, "wrap-ddp").how
    assert fix(found, "wrap-ddp").gain.low_ms == 0.0


@pytest.mark.parametrize(("world", "expected"), [(1, "not_applicable"), (2, "no_data")])
def test_without_settings(world: int, expected: str) -> None:
    assert status(evaluate(make_facts(100, world_size=world))) == expected


def test_models_without_ddp_do_not_apply() -> None:
    assert status(evaluate(make_facts(100, world_size=2, environment=environment()))) == "not_applicable"
