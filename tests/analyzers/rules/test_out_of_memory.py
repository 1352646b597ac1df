"""Is a run that died of a full device told what filled it, and what would fit?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.memory.composition import composition_of
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules.out_of_memory import circumstances, evaluate
from llmprof.timeline.environment import Environment, LoaderSettings, OptimizerSettings, Parallelism
from llmprof.timeline.memory import LiveBlocks, OutOfMemory, Segments
from llmprof.timeline.settings import ModelSettings, Precision
from tests.analyzers.rules.facts_builder import fix, make_facts, status
from tests.analyzers.rules.run_builder import with_rank

GIB = 1 << 30


def failed(states: float = 24, allocated: float = 74, requested: float = 3, **more: object) -> OutOfMemory:
    """An 80 GiB device with 2 GiB in use elsewhere, so that 78 GiB are to be had."""
    values: dict[str, object] = {
        "requested_bytes": int(requested * GIB),
        "free_bytes": GIB,
        "limit_bytes": 80 * GIB,
        "step": 12,
        "phase": "backward",
        "allocated_bytes": int(allocated * GIB),
        "reserved_bytes": 77 * GIB,
        "parameter_bytes": int(states * GIB / 4),
        "gradient_bytes": int(states * GIB / 4),
        "optimizer_bytes": int(states * GIB / 2),
    }
    return OutOfMemory(**{**values, **more})  # type: ignore[arg-type]


def facts(failure: OutOfMemory | None, *, batch: int | None = 8, ranks: int = 1, **more: object) -> Facts:
    environment = Environment(
        loaders=(LoaderSettings(batch_size=batch),),
        optimizers=(OptimizerSettings(name="AdamW"),),
        **more,  # type: ignore[arg-type]
    )
    memory = MemoryFacts(
        capacity_bytes=80 * GIB, out_of_memory=True, failure=failure, segments=failure.segments if failure else None
    )
    return make_facts(100, memory=memory, environment=environment, world_size=ranks)


def fixes(found: Facts) -> list[str]:
    return [one.id for one in evaluate(found).recommendations]


def test_the_sentence_says_when_where_and_how_much() -> None:
    finding = evaluate(facts(failed())).finding
    assert finding.severity == "critical"
    assert finding.summary == (
        "The run ran out of memory at step 12 in the backward pass (3.0 GiB asked for, 1.0 GiB of 80.0 GiB free)."
    )


def test_the_rank_is_named_where_there_are_several() -> None:
    found = facts(failed(), ranks=4)
    assert circumstances(found, found.critical).startswith("rank 0 ran out of memory at step 12")


def test_a_batch_that_fits_is_found_and_what_it_would_take_is_said() -> None:
    """24 GiB of states and 53 of activations: half of these make 50.5 of 78 GiB."""
    advice = fix(evaluate(facts(failed())), "smaller-batch")
    assert advice.gain.memory_bytes == int(26.5 * GIB)
    assert "batch_size=4" in advice.how
    assert "about 50.5 GiB of 78.0 GiB would be in use" in advice.why


def test_the_batch_shrinks_as_far_as_it_has_to() -> None:
    """40 GiB of states: with half of 74 GiB it would be 77, more than 92 % of 78; with a quarter 58.5."""
    advice = fix(evaluate(facts(failed(states=40, allocated=74, requested=40))), "smaller-batch")
    assert "batch_size=2" in advice.how and "4 micro-steps" in advice.how


def test_in_the_forward_pass_the_rest_of_the_step_is_unknown() -> None:
    advice = fix(evaluate(facts(failed(phase="forward"))), "smaller-batch")
    assert "how much is not known" in advice.why


def test_the_last_sample_cannot_be_halved() -> None:
    assert "smaller-batch" not in fixes(facts(failed(), batch=1))


def test_checkpointing_frees_a_part_of_the_activations() -> None:
    advice = fix(evaluate(facts(failed())), "activation-checkpointing")
    assert advice.gain.memory_bytes == pytest.approx(0.6 * 53 * GIB, rel=0.01)


def test_states_that_dominate_are_sharded_over_the_ranks() -> None:
    advice = fix(evaluate(facts(failed(states=60), ranks=4)), "zero-sharding")
    assert advice.gain.memory_bytes == 45 * GIB
    assert "zero-sharding" not in fixes(facts(failed(states=20), ranks=4))
    assert "zero-sharding" not in fixes(facts(failed(states=60), ranks=4, parallelism=Parallelism(fsdp=4)))


def test_on_one_device_the_optimizer_states_can_shrink() -> None:
    advice = fix(evaluate(facts(failed(states=60))), "8bit-optimizer")
    assert advice.gain.memory_bytes == int(0.75 * 30 * GIB)


def test_where_the_states_alone_do_not_fit_no_batch_is_advised() -> None:
    assert fixes(facts(failed(states=73), ranks=2)) == ["zero-sharding"]


def test_what_the_optimizer_asks_for_does_not_shrink_with_the_batch() -> None:
    """Of 74 GiB 50 are activations; the 10 that AdamW asks for are states, and the half batch leaves 34 + 25."""
    advice = fix(evaluate(facts(failed(requested=10, phase="optimizer"))), "smaller-batch")
    assert advice.gain.memory_bytes == 25 * GIB
    assert "about 59.0 GiB" in advice.why


def test_moments_that_adam_had_still_to_make_are_counted() -> None:
    """24 GiB of weights and as much of gradients leave 30 of 78; Adam makes 48, and asked for the first of them."""
    first = {"parameter_bytes": 24 * GIB, "gradient_bytes": 24 * GIB, "optimizer_bytes": 16 * GIB}
    found = facts(failed(allocated=76.5, requested=1, phase="optimizer", **first))
    adam = Environment(
        loaders=(LoaderSettings(batch_size=8),), optimizers=(OptimizerSettings(name="AdamW", package="torch"),)
    )
    whole = with_rank(found, environment=adam)
    advice = fix(evaluate(whole), "8bit-optimizer")
    assert advice.gain.memory_bytes == 36 * GIB
    assert "Of 48.0 GiB of optimizer states 32.0 GiB were still to be made." in advice.why
    assert "smaller-batch" not in fixes(whole)
    unknown = with_rank(found, environment=replace(adam, optimizers=(OptimizerSettings(name="AdamW", state_bits=8),)))
    assert fix(evaluate(unknown), "8bit-optimizer").gain.memory_bytes == 12 * GIB


def test_the_biggest_blocks_are_shown_with_their_place() -> None:
    segments = Segments(
        device=0, reserved_bytes=77 * GIB, allocated_bytes=74 * GIB, requested_bytes=74 * GIB, awaiting_free_bytes=0,
        free_bytes=3 * GIB, inactive_split_bytes=GIB, largest_free_bytes=GIB, blocks=40,
        live=(LiveBlocks(bytes=20 * GIB, blocks=32, stack=("model.py:88 forward",)), LiveBlocks(bytes=GIB, blocks=8)),
    )  # fmt: skip
    shown = {one.label: one.value for one in evaluate(facts(failed(segments=segments))).finding.evidence}
    assert shown["in use: model.py:88 forward (32 blocks)"] == 20 * GIB
    assert shown["in use: 8 blocks of one size"] == GIB
    assert shown["used by contexts, NCCL and other processes"] == 2 * GIB


def test_an_error_without_a_report_is_still_told() -> None:
    finding = evaluate(facts(None)).finding
    assert (finding.status, finding.summary) == ("fired", "The run ran out of memory.")


def test_an_error_that_the_script_caught_outside_the_measured_steps_is_no_fault() -> None:
    caught = MemoryFacts(out_of_memory=False, failure=failed(ended_the_run=False, count=3))
    finding = evaluate(make_facts(100, memory=caught)).finding
    assert (finding.status, "3 times" in finding.summary) == ("passed", True)


@pytest.mark.parametrize(("memory", "expected"), [(None, "no_data"), (MemoryFacts(out_of_memory=False), "passed")])
def test_other_runs(memory: MemoryFacts | None, expected: str) -> None:
    assert status(evaluate(make_facts(100, memory=memory))) == expected


def test_not_applicable_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"


def measured(found: Facts) -> Facts:
    """With what the failure says of weights, gradients and optimizer states."""
    memory = found.critical.memory
    assert memory is not None and memory.failure is not None
    held = composition_of(memory.failure, None, found.critical.environment)
    return with_rank(found, memory=replace(memory, composition=held))


def test_where_shares_are_known_the_lowest_stage_of_zero_that_fits_is_advised() -> None:
    """60 GiB of states over 4 ranks: stage 1 leaves 15 + 15 + 7.5, with 17 of the rest it is 51.5 of 78."""
    advice = fix(evaluate(measured(facts(failed(states=60), ranks=4))), "zero-sharding")
    assert advice.gain.memory_bytes == int(22.5 * GIB)
    assert "ZeroRedundancyOptimizer" in advice.how


def test_a_model_that_fits_no_rank_even_sharded_has_to_be_split() -> None:
    found = evaluate(measured(facts(failed(states=160, allocated=74), ranks=2)))
    assert [one.id for one in found.recommendations] == ["zero-sharding", "model-parallel"]


def test_one_device_that_is_too_small_is_told_how_many_it_takes() -> None:
    """160 GiB of states, 100 with states in 8 bits: at least three devices of 71.8 GiB."""
    advice = fix(evaluate(measured(facts(failed(states=160, allocated=74)))), "zero-sharding")
    assert advice.action.startswith("Use 3 GPUs and shard")


def test_a_single_sample_with_recomputation_leaves_only_splitting() -> None:
    recomputing = (ModelSettings(checkpointing=("recompute seen",)),)
    assert fixes(facts(failed(), batch=1, models=recomputing)) == ["model-parallel"]


def test_fp32_activations_can_be_halved() -> None:
    """53 GiB of activations in a run of which whole steps were watched: no autocast, all weights fp32."""
    found = facts(
        failed(),
        models=(ModelSettings(trainable_bytes={"float32": GIB}),),
        precision=Precision(autocast_watched=True),
    )
    assert fix(evaluate(found), "bf16-autocast").gain.memory_bytes == pytest.approx(0.4 * 53 * GIB, rel=0.01)
