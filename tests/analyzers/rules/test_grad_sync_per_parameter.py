"""Are gradients that are reduced one by one recognised, and does the gain hold what DDP really brought?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.facts.steps import Windows
from llmprof.analyzers.rules.grad_sync_per_parameter import evaluate
from llmprof.timeline.environment import Environment, OptimizerSettings
from llmprof.timeline.intervals import Intervals
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
from tests.scenarios.exchange import MIB, MS, Link, ddp_run


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
