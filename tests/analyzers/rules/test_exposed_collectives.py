"""Are exposed collectives recognised, and are gradients reduced by hand told from buckets that come late?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.exposed_collectives import evaluate
from llmprof.timeline.environment import Environment, OptimizerSettings, Parallelism
from llmprof.timeline.settings import DdpSettings
from tests.analyzers.rules.exchange_facts import facts_of
from tests.analyzers.rules.facts_builder import (
    fix,
    make_collectives,
    make_facts,
    status,
)
from tests.analyzers.rules.test_sync_every_microbatch import LINK, SIZES, accumulated
from tests.scenarios.exchange import MIB, Link, ddp_run, tensor_run


@pytest.mark.parametrize(("exposed_ms", "expected"), [(4.99, "passed"), (5.0, "fired")])
def test_threshold(exposed_ms: float, expected: str) -> None:
    collectives = make_collectives(count=20, exposed_ms=exposed_ms, hidden_ms=10.0)
    assert status(evaluate(make_facts(100, communication=exposed_ms, collectives=collectives))) == expected


def test_not_applicable_on_one_rank() -> None:
    assert status(evaluate(make_facts(100, world_size=1))) == "not_applicable"


def test_no_data_without_device_activities() -> None:
    assert status(evaluate(make_facts(100, world_size=2))) == "no_data"


def test_skew_is_not_communication() -> None:
    collectives = make_collectives(count=20, exposed_ms=50.0)
    assert status(evaluate(make_facts(100, skew=50.0, world_size=2, collectives=collectives))) == "passed"


def test_no_promise_is_made_of_buckets_that_nothing_replays() -> None:
    """50 ms of reductions, of which the backward pass could hide 40 (two thirds of 60 ms): 10 stay with any buckets."""
    collectives = make_collectives(count=12, exposed_ms=40.0, hidden_ms=10.0)
    found = evaluate(make_facts(100, communication=40.0, world_size=8, collectives=collectives))
    gain = fix(found, "ddp-bucket-size").gain
    assert (gain.low_ms, gain.expected_ms) == (0.0, 0.0)
    assert gain.high_ms <= 40.0 - 10.0


def test_what_is_reduced_for_every_micro_batch_is_left_to_its_own_rule() -> None:
    facts = accumulated(ddp_run(SIZES, link=LINK, microbatches=4, backward_ns=4_000_000), 4)
    found = evaluate(facts)
    assert found.finding.status == "fired"
    assert "accumulate-gradients" not in {one.id for one in found.recommendations}


def test_buckets_that_come_late_are_tuned() -> None:
    collectives = make_collectives(count=12, exposed_ms=20.0, hidden_ms=30.0)
    found = evaluate(make_facts(100, communication=20.0, world_size=8, collectives=collectives))
    assert {one.id for one in found.recommendations} == {"ddp-bucket-size", "accumulate-gradients"}
    assert fix(found, "ddp-bucket-size").gain.high_ms == pytest.approx(10.0)


def test_gradients_reduced_by_hand_are_left_to_their_own_rule() -> None:
    environment = Environment(optimizers=(OptimizerSettings(parameter_tensors=60),))
    collectives = make_collectives(count=61, exposed_ms=20.0)
    found = evaluate(make_facts(100, communication=20.0, collectives=collectives, environment=environment))
    assert {one.id for one in found.recommendations} == {"accumulate-gradients"}


def test_sharded_models_are_not_told_to_tune_ddp() -> None:
    environment = Environment(parallelism=Parallelism(fsdp=8))
    collectives = make_collectives(count=60, exposed_ms=20.0, hidden_ms=30.0)
    found = evaluate(make_facts(100, communication=20.0, collectives=collectives, environment=environment))
    assert "ddp-bucket-size" not in {one.id for one in found.recommendations}


def test_activations_of_tensor_parallelism_are_not_accumulated() -> None:
    settings = {"parallelism": Parallelism(tp=2)}
    found = evaluate(facts_of(tensor_run(8, 50 * MIB), settings=settings))
    assert (found.finding.status, found.recommendations) == ("fired", ())


def test_buckets_that_can_be_replayed_are_left_to_their_own_rule() -> None:
    run = ddp_run([MIB, *[25 * MIB] * 8], link=Link(bytes_per_s=5e9), backward_ns=10_000_000)
    found = evaluate(facts_of(run))
    assert {one.id for one in found.recommendations} == {"accumulate-gradients"}


def test_buckets_set_to_a_multiple_of_the_default_are_told_to_go_back_to_it() -> None:
    settings = {"ddp": DdpSettings(bucket_cap_bytes=1000 * MIB)}
    run = ddp_run([400 * MIB], link=Link(bytes_per_s=25e9), backward_ns=20_000_000)
    advice = fix(evaluate(facts_of(run, settings=settings)), "ddp-bucket-size")
    assert "bucket_cap_mb=25)" in advice.how and "->" not in advice.how
