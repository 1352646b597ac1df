"""What fills a full device: states, activations, logits? And is an empty one left in peace?"""

from __future__ import annotations

from typing import Any

import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.memory.composition import Composition
from llmprof.analyzers.facts.memory.logits import LogitsFacts
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules import activations_dominate, logits_spike, states_dominate, unused_memory
from llmprof.timeline.environment import Environment, LoaderSettings, Parallelism
from llmprof.timeline.settings import DeepSpeedSettings, ModelSettings, Precision
from tests.analyzers.rules.facts_builder import fix, make_facts, status
from tests.analyzers.rules.run_builder import GIB, with_rank

FP32 = Environment(
    models=(ModelSettings(trainable_bytes={"float32": 10 * GIB}),), precision=Precision(autocast_watched=True)
)


def facts(*, states: float, activations: float, reserved: float = 0.95, ranks: int = 1, **more: Any) -> Facts:
    """GiB on a device of 100; weights and gradients are a quarter of the states each."""
    held = Composition(
        parameters=int(states * GIB / 4),
        gradients=int(states * GIB / 4),
        optimizer=int(states * GIB / 2),
        activations=int(activations * GIB),
    )
    memory = MemoryFacts(
        capacity_bytes=100 * GIB,
        peak_allocated_bytes=held.total,
        peak_reserved_bytes=int(reserved * 100 * GIB),
        retries=0,
        composition=held,
    )
    return make_facts(100, memory=memory, world_size=ranks, **more)


@pytest.mark.parametrize(
    ("states", "activations", "reserved", "ranks", "expected"),
    [
        (40, 52, 0.95, 4, "fired"),
        (30, 62, 0.95, 4, "passed"),
        (40, 52, 0.91, 4, "passed"),  # it fits
        (80, 10, 0.95, 1, "not_applicable"),
    ],
)
def test_states_are_sharded_where_they_fill_a_full_device(
    states: float, activations: float, reserved: float, ranks: int, expected: str
) -> None:
    made = facts(states=states, activations=activations, reserved=reserved, ranks=ranks)
    assert status(states_dominate.evaluate(made)) == expected


def test_the_lowest_stage_that_fits_is_advised_with_what_it_frees() -> None:
    """80 of states and 12 of activations in 100: over 4 ranks stage 1 leaves 20 + 20 + 10 + 12."""
    advice = fix(states_dominate.evaluate(facts(states=80, activations=12, ranks=4)), "zero-sharding")
    assert advice.gain.memory_bytes == 30 * GIB
    assert "Shard the optimizer states over the 4 ranks" in advice.action and "ZeroRedundancyOptimizer" in advice.how
    assert "About 62.0 GiB of 100.0 GiB" in advice.why


def test_a_higher_stage_where_the_lower_ones_are_not_enough() -> None:
    """200 of states over 4 ranks: stage 1 leaves 137 and stage 2 99.5, which do not fit 92, stage 3 about 70."""
    advice = fix(states_dominate.evaluate(facts(states=200, activations=12, ranks=4)), "zero-sharding")
    assert "weights, gradients and optimizer states" in advice.action and "fully_shard" in advice.how


@pytest.mark.parametrize(
    "environment",
    [Environment(parallelism=Parallelism(fsdp=4)), Environment(deepspeed=DeepSpeedSettings(zero_stage=2))],
)
def test_what_is_sharded_is_not_sharded_again(environment: Environment) -> None:
    made = facts(states=80, activations=12, ranks=4, environment=environment)
    assert status(states_dominate.evaluate(made)) == "not_applicable"


@pytest.mark.parametrize(
    ("states", "activations", "reserved", "expected"),
    [(30, 62, 0.95, "fired"), (50, 42, 0.95, "passed"), (30, 60, 0.91, "passed")],
)
def test_activations_are_recomputed_where_they_fill_a_full_device(
    states: float, activations: float, reserved: float, expected: str
) -> None:
    made = facts(states=states, activations=activations, reserved=reserved)
    assert status(activations_dominate.evaluate(made)) == expected


def test_fp32_activations_can_be_halved() -> None:
    found = activations_dominate.evaluate(facts(states=30, activations=62, environment=FP32))
    assert fix(found, "bf16-autocast").gain.memory_bytes == int(0.4 * 62 * GIB)
    assert fix(found, "activation-checkpointing").gain.expected_ms < 0


def test_what_is_recomputed_already_is_not_advised_again() -> None:
    recomputing = Environment(models=(ModelSettings(checkpointing=("CheckpointWrapper x 12",)),))
    made = facts(states=30, activations=62, environment=recomputing)
    assert status(activations_dominate.evaluate(made)) == "not_applicable"


LOGITS = LogitsFacts(rows=16384, vocabulary=131072, width=4)
"""8 GiB a tensor, 24 in backward."""


@pytest.mark.parametrize(
    ("reserved", "activations", "expected"), [(0.95, 62, "fired"), (0.91, 62, "passed"), (0.95, 230, "passed")]
)
def test_logits_count_on_a_full_device_only(reserved: float, activations: float, expected: str) -> None:
    made = with_rank(facts(states=30, activations=activations, reserved=reserved), logits=LOGITS)
    assert status(logits_spike.evaluate(made)) == expected


def test_chunks_leave_an_eighth_of_the_logits() -> None:
    found = logits_spike.evaluate(with_rank(facts(states=30, activations=62), logits=LOGITS))
    assert fix(found, "fused-cross-entropy").gain.memory_bytes == 21 * GIB


@pytest.mark.parametrize(
    ("activations", "host", "expected"), [(10, 50, "fired"), (10, 19, "passed"), (45, 50, "passed")]
)
def test_room_is_worth_a_word_only_while_the_device_waits_for_the_host(
    activations: float, host: float, expected: str
) -> None:
    made = facts(states=10, activations=activations, reserved=0.6, host=host)
    assert status(unused_memory.evaluate(made)) == expected


def test_a_larger_batch_promises_no_shorter_step_and_says_what_fits() -> None:
    """10 GiB of states and 10 that grow with the batch: 92 hold 8.2 times as much of these."""
    environment = Environment(loaders=(LoaderSettings(batch_size=8),))
    found = unused_memory.evaluate(facts(states=10, activations=10, reserved=0.3, host=50, environment=environment))
    advice = fix(found, "larger-batch")
    assert (found.finding.severity, advice.gain.expected_ms, advice.gain.high_ms) == ("info", 0.0, 0.0)
    assert "8.2 times the batch" in advice.why and "batch_size=16" in advice.how


@pytest.mark.parametrize("rule", [states_dominate, activations_dominate, logits_spike, unused_memory])
def test_unknown_and_not_applicable(rule: Any) -> None:
    assert status(rule.evaluate(make_facts(100))) == "no_data"
    assert status(rule.evaluate(make_facts(100, memory=MemoryFacts(capacity_bytes=1)))) == "no_data"
    assert status(rule.evaluate(make_facts(100, cpu_only=True))) == "not_applicable"
