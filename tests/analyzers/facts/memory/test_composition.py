"""Is memory told apart into what depends on the batch and what does not?"""

from __future__ import annotations

from llmprof.analyzers.facts.memory.composition import composition_of
from llmprof.timeline.environment import Environment, OptimizerSettings
from llmprof.timeline.memory import OutOfMemory
from llmprof.timeline.settings import ModelSettings

GIB = 1 << 30


def environment(*, states: int | None = 20, optimizer: str = "AdamW", frozen: int = 0) -> Environment:
    """A model of 10 GiB of trained fp32 weights."""
    return Environment(
        models=(ModelSettings(trainable_bytes={"float32": 10 * GIB}, frozen_bytes={"bfloat16": frozen * GIB}),),
        optimizers=(
            OptimizerSettings(name=optimizer, state_bytes={} if states is None else {"float32": states * GIB}),
        ),
    )


def test_the_peak_less_weights_gradients_and_states_is_what_the_batch_takes() -> None:
    found = composition_of(None, 60 * GIB, environment(frozen=2))
    assert found is not None and not found.measured
    assert (found.parameters, found.gradients, found.optimizer) == (12 * GIB, 10 * GIB, 20 * GIB)
    assert (found.activations, found.states, found.total) == (18 * GIB, 42 * GIB, 60 * GIB)


def test_what_the_process_counted_when_it_failed_comes_first() -> None:
    failed = OutOfMemory(
        requested_bytes=1, allocated_bytes=70, parameter_bytes=10, gradient_bytes=None, optimizer_bytes=20
    )
    found = composition_of(failed, 60 * GIB, environment())
    assert found is not None and found.measured
    assert (found.parameters, found.gradients, found.optimizer, found.activations) == (10, 0, 20, 40)


def test_nothing_is_made_up() -> None:
    assert composition_of(None, None, environment()) is None
    assert composition_of(None, 60 * GIB, Environment()) is None
    assert composition_of(None, 60 * GIB, environment(states=None)) is None  # Adam has states, they are not known
    assert composition_of(None, 30 * GIB, environment()) is None  # states lie on the host


def test_plain_sgd_has_no_states() -> None:
    found = composition_of(None, 60 * GIB, environment(states=None, optimizer="SGD"))
    assert found is not None and (found.optimizer, found.activations) == (0, 40 * GIB)
