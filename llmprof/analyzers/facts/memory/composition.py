"""What is the memory in use made of at its fullest moment? Weights, gradients, optimizer states, and all the rest.

What the process itself counted when an allocation failed comes first, then what its models and optimizers hold by
their own account. A trace knows neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from llmprof.timeline.environment import Environment
from llmprof.timeline.memory import OutOfMemory

__all__ = ["Composition", "composition_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """Bytes of one rank; of sharded tensors its own shards."""

    parameters: int
    """Weights, frozen ones and buffers too."""
    gradients: int
    optimizer: int
    activations: int
    """All the rest that tensors used at the peak: activations, temporaries, whole copies of sharded weights, and
    buckets. It grows with the batch, but for the last two."""
    measured: bool = False
    """Counted in the moment of the failure; else gradients are taken as large as the weights that train."""

    @property
    def states(self) -> int:
        """What does not depend on the batch."""
        return self.parameters + self.gradients + self.optimizer

    @property
    def total(self) -> int:
        """All that tensors used."""
        return self.states + self.activations


def composition_of(
    failure: OutOfMemory | None, peak_allocated_bytes: int | None, environment: Environment
) -> Composition | None:
    """The composition at the failure, else at the peak; None where a part of it is not known."""
    if failure is not None and failure.allocated_bytes is not None and failure.state_bytes is not None:
        return Composition(
            parameters=failure.parameter_bytes or 0,
            gradients=failure.gradient_bytes or 0,
            optimizer=failure.optimizer_bytes or 0,
            activations=max(0, failure.allocated_bytes - failure.state_bytes),
            measured=True,
        )
    if peak_allocated_bytes is None or not environment.models or not _states_known(environment):
        return None
    trainable = _total(model.trainable_bytes for model in environment.models)
    fixed = _total(bytes_ for model in environment.models for bytes_ in (model.frozen_bytes, model.buffer_bytes))
    optimizer = _total(one.state_bytes for one in environment.optimizers)
    states = trainable + fixed + trainable + optimizer
    if not trainable or states > peak_allocated_bytes:  # some of it lies on the host
        return None
    return Composition(
        parameters=trainable + fixed,
        gradients=trainable,
        optimizer=optimizer,
        activations=peak_allocated_bytes - states,
    )


def _states_known(environment: Environment) -> bool:
    """Whether the optimizers have told their states: all but plain SGD hold some."""
    return bool(environment.optimizers) and all(
        one.state_bytes or (one.name or "").upper() == "SGD" for one in environment.optimizers
    )


def _total(sizes: Iterable[Mapping[str, int]]) -> int:
    return sum(sum(one.values()) for one in sizes)
