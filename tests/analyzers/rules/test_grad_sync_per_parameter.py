"""Are gradients that are reduced one by one recognised, and does the gain hold what DDP really brought?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llmprof.analyzers.diagnosis import Gain
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.analyzers.rules import exposed_collectives
from llmprof.analyzers.rules.grad_sync_per_parameter import evaluate
from llmprof.timeline.environment import Environment, OptimizerSettings
from llmprof.timeline.intervals import Intervals
from llmprof.timeline.settings import DdpSettings, FsdpSettings, ModelSettings
from tests.analyzers.rules.exchange_facts import facts_of
from tests.analyzers.rules.facts_builder import (
    assert_consistent,
    assert_contains,
    fix,
    make_collectives,
    make_facts,
    make_partition,
    status,
)
from tests.scenarios.exchange import MIB, MS, Link, ddp_run, hand_run


def test_measured_truth_of_gradients_reduced_by_hand() -> None:
    """Two H200: one all-reduce per parameter after backward, 30.0 ms; with DistributedDataParallel 24.0 ms."""
    facts = make_facts(
        29.993,
        communication=5.52,
        skew=0.92,
        host=13.65,
        world_size=2,
        collectives=make_collectives(count=133, exposed_ms=10.6),
        # In the traced step a quarter of the launch waits lie between the first and the last collective.
        traced=make_partition(
            76.4,
            spans={
                "communication": Intervals.of([50_000_000, 60_000_000], [50_100_000, 60_100_000]),
                "launch": Intervals.of(
                    [*range(0, 45_000_000, 1_000_000), *range(50_200_000, 59_000_000, 600_000)],
                    [*range(900_000, 45_900_000, 1_000_000), *range(50_700_000, 59_500_000, 600_000)],
                ),
            },
        ),
        windows=Windows(np.array([14]), np.array([0]), np.array([76_400_000])),
    )
    found = evaluate(facts)
    assert (found.finding.status, found.finding.severity) == ("fired", "critical")
    advice = fix(found, "wrap-ddp")
    assert_contains(advice, 29.993 - 23.951)
    assert_consistent(advice, facts)


@pytest.mark.parametrize(("exposed_ms", "expected"), [(2.99, "passed"), (3.0, "fired")])
def test_threshold(exposed_ms: float, expected: str) -> None:
    collectives = make_collectives(count=200, exposed_ms=exposed_ms)
    assert status(evaluate(make_facts(100, communication=exposed_ms, collectives=collectives))) == expected


def test_buckets_pass() -> None:
    collectives = make_collectives(count=12, exposed_ms=20.0, hidden_ms=30.0)
    assert status(evaluate(make_facts(100, communication=20.0, collectives=collectives))) == "passed"


def test_as_many_collectives_as_parameters_are_by_hand() -> None:
    environment = Environment(optimizers=(OptimizerSettings(parameter_tensors=60),))
    collectives = make_collectives(count=61, exposed_ms=20.0)
    found = evaluate(make_facts(100, communication=20.0, collectives=collectives, environment=environment))
    assert "wrap-ddp" in {one.id for one in found.recommendations}


@pytest.mark.parametrize(
    ("settings", "count", "expected"),
    [
        ({}, 24, "fired"),
        ({"ddp": DdpSettings()}, 24, "passed"),
        ({"fsdp": FsdpSettings()}, 24, "passed"),
        ({"models": ()}, 24, "passed"),
        ({}, 12, "passed"),
    ],
)
def test_few_parameters_are_by_hand_only_where_nothing_could_have_made_buckets_of_them(
    settings: dict[str, Any], count: int, expected: str
) -> None:
    """A small model on gloo, whose collectives do not tell who launches them: as many as parameter tensors."""
    known = {"models": (ModelSettings(name="Net"),), "optimizers": (OptimizerSettings(parameter_tensors=24),)}
    environment = Environment(**{**known, **settings})
    collectives = make_collectives(count=count, exposed_ms=20.0)
    facts = make_facts(100, communication=20.0, collectives=collectives, environment=environment)
    assert status(evaluate(facts)) == expected


def test_ddp_whose_collectives_do_not_tell_who_launches_them_is_not_by_hand() -> None:
    """Buckets so small that each holds one of 60 parameters, on gloo."""
    environment = Environment(optimizers=(OptimizerSettings(parameter_tensors=60),), ddp=DdpSettings())
    collectives = make_collectives(count=60, exposed_ms=20.0)
    facts = make_facts(100, communication=20.0, collectives=collectives, environment=environment)
    assert status(evaluate(facts)) == "passed"


def gain_on_the_host(gradient_bytes: int) -> Gain:
    """Of 41 calls, 60 ms in all: 0.2 ms the shortest, half a millisecond the median, 1.5 ms in the mean."""
    model = ModelSettings(name="Net", trainable_bytes={"float32": gradient_bytes})
    environment = Environment(models=(model,), optimizers=(OptimizerSettings(parameter_tensors=41),))
    collectives = replace(make_collectives(count=41, exposed_ms=60.0), call_ns=(0.2 * MS, 0.5 * MS, 1.5 * MS))
    facts = make_facts(100, communication=60.0, host=40.0, collectives=collectives, environment=environment)
    return fix(evaluate(facts), "wrap-ddp").gain


def test_calls_on_the_host_that_buckets_save_cost_what_each_takes_however_small() -> None:
    """4.1 kB take no time even over gigabit Ethernet, and fill one bucket. There is no computation to hide behind."""
    gain = gain_on_the_host(4100)
    assert (gain.low_ms, gain.expected_ms) == pytest.approx((40 * 0.2, 40 * 1.5), rel=2e-3)
    assert gain.high_ms == pytest.approx(60.0)


def test_calls_on_the_host_that_may_be_long_for_their_bytes_save_what_a_short_one_takes() -> None:
    """100 MB take longer than the 60 ms over a slow link, so that these may be the bytes: five buckets."""
    gain = gain_on_the_host(100_000_000)
    assert (gain.low_ms, gain.expected_ms) == pytest.approx((36 * 0.2, 36 * 0.5))


@pytest.mark.parametrize(("world", "expected"), [(1, "not_applicable"), (2, "no_data")])
def test_without_collectives(world: int, expected: str) -> None:
    assert status(evaluate(make_facts(100, world_size=world))) == expected


def test_as_many_buckets_as_parameters_are_buckets_all_the_same() -> None:
    """Four micro-batches of 20 buckets, and 76 parameters: the backward pass launches them."""
    run = ddp_run([25 * MIB] * 20, link=Link(bytes_per_s=5e9), backward_ns=4 * MS)
    settings = {"optimizers": (OptimizerSettings(parameter_tensors=20),)}
    facts = facts_of(run, settings=settings)
    assert facts.critical.collectives is not None and (facts.critical.collectives.overlap or 0.0) < 0.3
    assert status(evaluate(facts)) == "passed"


@pytest.mark.parametrize(
    ("settings", "moved", "expected"),
    [
        ({}, 100_000_000, "fired"),
        ({}, 50_000_000, "passed"),  # half of the gradients: the other half is somebody else's
        ({"ddp": DdpSettings()}, 100_000_000, "passed"),
        ({"models": ()}, 100_000_000, "passed"),
    ],
)
def test_all_gradients_in_one_message_of_the_loop_are_by_hand(
    settings: dict[str, Any], moved: int, expected: str
) -> None:
    """One all-reduce behind the backward pass of a model of 100 million parameters that nothing wraps."""
    facts = facts_of(hand_run(4 * moved, link=Link(bytes_per_s=25e9)), settings=settings)
    found = evaluate(facts)
    assert found.finding.status == expected
    others = {one.id for one in exposed_collectives.evaluate(facts).recommendations}
    if expected == "fired":
        assert_consistent(fix(found, "wrap-ddp"), facts)
        assert "ddp-bucket-size" not in others
