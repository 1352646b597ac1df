"""Do the rules on communication promise no more than what is exposed in the step that is explained?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.exchange import communication_gain, explained, gradient_bytes, gradient_elements
from llmprof.timeline.environment import Environment, OptimizerSettings
from llmprof.timeline.settings import ModelSettings
from tests.analyzers.rules.facts_builder import make_collectives, make_facts

MS = 1e6


def traced(exposed_ms: float, skew_ms: float = 0.0, communication: float = 10.0) -> Facts:
    collectives = replace(make_collectives(count=10, exposed_ms=exposed_ms), skew_ns=skew_ms * MS)
    return make_facts(100, communication=communication, collectives=collectives)


def test_a_traced_time_shrinks_with_the_part_that_it_belongs_to() -> None:
    """20 ms exposed in the traced step, 10 in the real one: half is left of any piece of it."""
    assert explained(traced(20.0), 6 * MS) == pytest.approx(3 * MS)


def test_waiting_for_peers_is_no_part_of_it() -> None:
    assert explained(traced(30.0, skew_ms=20.0), 6 * MS) == pytest.approx(6 * MS)


def test_it_never_grows() -> None:
    assert explained(traced(5.0), 4 * MS) == pytest.approx(4 * MS)
    assert explained(traced(5.0), -4 * MS) == 0.0


def test_a_gain_is_at_most_the_communication_part() -> None:
    gain, _ = communication_gain(traced(20.0), expected_ns=30 * MS, low_ns=20 * MS, high_ns=40 * MS)
    assert (gain.low_ms, gain.expected_ms, gain.high_ms) == (10.0, 10.0, 10.0)


def test_nothing_is_won_while_the_input_sets_the_pace() -> None:
    facts = make_facts(100, communication=10.0, data=50.0, loader=LoaderFacts(in_process=False))
    gain, why = communication_gain(facts, expected_ns=5 * MS, low_ns=2 * MS, high_ns=8 * MS)
    assert (gain.low_ms, gain.expected_ms) == (0.0, 0.0)
    assert "input is late" in why


def test_gradients_are_those_of_the_model_else_of_the_optimizer() -> None:
    model = ModelSettings(trainable_count=10, trainable_bytes={"float32": 40})
    facts = make_facts(100, environment=Environment(models=(model,)))
    assert (gradient_elements(facts), gradient_bytes(facts)) == (10.0, 40.0)
    settings = Environment(optimizers=(OptimizerSettings(parameter_count=7),), parameter_bytes={"float32": 28})
    facts = make_facts(100, environment=settings)
    assert (gradient_elements(facts), gradient_bytes(facts)) == (7.0, 28.0)
    assert gradient_elements(make_facts(100)) is None
