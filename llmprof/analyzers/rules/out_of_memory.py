"""Did the run ask for more memory than the device has?

Detects:
    An allocation that failed and ended the run, or failed during the measured steps and was caught by the script.

Why it costs time:
    The run is over. Where the script catches the error, the step is lost, and the allocator has given back its cache
    and has to ask the driver for everything anew.

How it is measured:
    PyTorch's allocator tells the recorder the moment an allocation fails, before the error reaches the script: what
    was asked for, what was free, what weights, gradients, optimizer states and the biggest blocks held, and what the
    step was doing. With `llmprof run --memory-history` each block has the line that allocated it. A memory snapshot
    (torch.cuda.memory._dump_snapshot) with an `oom` entry in its history is read as well.

Does not apply when:
    Training runs on the CPU.

Fix:
    What depends on the batch can shrink: a smaller micro-batch with gradient accumulation, activation checkpointing.
    Activations in fp32 are half as large under autocast. Weights, gradients and optimizer states do not shrink: where
    they take most, shard them over the ranks (ZeRO, FSDP), on one device keep the optimizer states in 8 bits; where not
    even that fits, split the model. Memory that is free but in pieces is the rule `fragmentation`.

Verify:
    Record again: the run goes on, and the peak is below 97 % of the device.
"""

from __future__ import annotations

import math

from llmprof.analyzers.diagnosis import Evidence, Recommendation
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.memory_fixes import (
    checkpointing,
    eight_bit,
    fitting_factor,
    half_precision,
    model_parallel,
    sharding,
    smaller_batch,
)
from llmprof.analyzers.rules.memory_use import (
    Use,
    all_in_fp32,
    checkpoints_activations,
    live_evidence,
    sharded_already,
    use_of,
)
from llmprof.units import format_bytes

__all__ = ["RULE", "circumstances", "evaluate"]

RULE = Rule(
    id="out-of-memory",
    category="memory",
    title="No allocation failed",
    failed_title="The device ran out of memory",
    fixes=(
        "smaller-batch",
        "activation-checkpointing",
        "bf16-autocast",
        "zero-sharding",
        "8bit-optimizer",
        "model-parallel",
    ),
    thresholds=(
        thresholds.FIT_SHARE,
        thresholds.STATES_DOMINATE,
        thresholds.EIGHT_BIT_FREES,
        thresholds.HALF_FREES,
        thresholds.CHECKPOINTED_SHARE,
        thresholds.STATE_PER_PARAMETER,
    ),
)
_PHASES = {
    "data": " while a batch was loaded",
    "forward": " in the forward pass",
    "backward": " in the backward pass",
    "optimizer": " in the optimizer",
    "evaluation": " during evaluation",
    "between steps": " after the optimizer",
}
_SOURCE = "caching allocator, when the allocation failed"


def evaluate(facts: Facts) -> Judgement:
    """Judge the lowest rank on which an allocation failed."""
    critical = facts.critical
    failed = {number: rank for number, rank in facts.ranks.items() if rank.memory and rank.memory.out_of_memory}
    if not failed:
        if critical.partition is not None and critical.partition.cpu_only:
            return RULE.not_applicable("Training runs on the CPU: there is no device memory.")
        return _not_failed(facts)
    rank = failed[min(failed)]
    memory = rank.memory
    assert memory is not None
    use, what = use_of(rank, memory), circumstances(facts, rank)
    return RULE.fired(
        facts,
        f"{what[:1].upper()}{what[1:]}.",
        cost_ns=None,
        confidence=0.95,
        evidence=_figures(rank, memory, use),
        recommendations=_fixes(facts, rank, use),
        ranks=tuple(sorted(failed)),
        severity="critical",
    )


def circumstances(facts: Facts, rank: RankFacts) -> str:
    """What happened, as a clause: `rank 1 ran out of memory at step 12 in the backward pass (2.0 GiB asked for, …)`."""
    who = f"rank {rank.rank}" if max(facts.world_size or 1, len(facts.ranks)) > 1 else "the run"
    memory, failed = rank.memory, rank.memory.failure if rank.memory is not None else None
    if memory is None or failed is None:
        return f"{who} ran out of memory"
    where = "" if failed.step is None else f" at step {failed.step}{_PHASES.get(failed.phase or '', '')}"
    if failed.step is None and memory.snapshot is None:
        where = " before its first step"
    went_on = "" if failed.ended_the_run else " and went on"
    if not failed.requested_bytes:
        return f"{who} ran out of memory{where}{went_on}"
    limit = failed.limit_bytes or memory.capacity_bytes
    of = f" of {format_bytes(limit)}" if limit else ""
    size = f"{format_bytes(failed.requested_bytes)} asked for, {format_bytes(failed.free_bytes)}{of} free"
    return f"{who} ran out of memory{where}{went_on} ({size})"


def _not_failed(facts: Facts) -> Judgement:
    memories = [rank.memory for rank in facts.ranks.values() if rank.memory is not None]
    caught = [memory.failure for memory in memories if memory.failure is not None]
    if caught:
        count = sum(failure.count for failure in caught)
        times = "once" if count == 1 else f"{count} times"
        return RULE.passed(f"An allocation failed {times} outside the measured steps; the script went on.")
    if all(memory.out_of_memory is None for memory in memories):
        return RULE.no_data("The allocator was not recorded; a trace alone does not show it, `llmprof run` does.")
    return RULE.passed("No allocation failed.")


def _figures(rank: RankFacts, memory: MemoryFacts, use: Use) -> list[Evidence]:
    failed = memory.failure
    if failed is None:
        return [
            evidence.number("peak reserved", memory.peak_reserved_bytes, "bytes", source="caching allocator"),
            evidence.number("peak allocated", memory.peak_allocated_bytes, "bytes", source="caching allocator"),
        ]
    figures = {
        "asked for": failed.requested_bytes,
        "free on the device": failed.free_bytes,
        "in use by tensors": failed.allocated_bytes,
        "held by the allocator": failed.reserved_bytes,
        "of it in pieces that fit nothing": failed.inactive_split_bytes,
        "used by contexts, NCCL and other processes": memory.elsewhere_bytes,
        "weights": failed.parameter_bytes,
        "gradients": failed.gradient_bytes,
        "optimizer states": failed.optimizer_bytes,
        "activations and all else": use.activations,
    }
    found = [
        evidence.number(label, value, "bytes", source=_SOURCE, rank=rank.rank)
        for label, value in figures.items()
        if value is not None
    ]
    if failed.stack:
        found.append(evidence.number("asked for by", failed.stack[0], "", source=_SOURCE, rank=rank.rank))
    return [*found, *live_evidence(memory, rank.rank)]


def _fixes(facts: Facts, rank: RankFacts, use: Use) -> list[Recommendation]:
    """What can help; nothing that shrinks with the batch where the rest alone does not fit."""
    states, room, memory = use.states, use.room, rank.memory
    assert memory is not None
    fits = None if room is None else thresholds.FIT_SHARE.value * room
    too_large = states is not None and fits is not None and states > fits
    dominate = states is not None and states >= thresholds.STATES_DOMINATE.value * (states + (use.activations or 0))
    loader = rank.environment.loaders[0] if rank.environment.loaders else None
    single = loader is not None and loader.batch_size == 1
    result = []
    if not too_large:
        if not single:
            result.append(smaller_batch(RULE.id, facts, rank, use, factor=fitting_factor(use) or 2))
        if not checkpoints_activations(rank):
            result.append(checkpointing(RULE.id, facts, use))
        elif single:
            result.append(model_parallel(RULE.id, facts))
        if all_in_fp32(rank):
            result.append(half_precision(RULE.id, facts, use))
    if (dominate or too_large) and not sharded_already(rank):
        result += _fewer_states(facts, rank, use, alone=fits if too_large else None)
    elif too_large:
        result.append(model_parallel(RULE.id, facts))
    return result


def _fewer_states(facts: Facts, rank: RankFacts, use: Use, *, alone: float | None) -> list[Recommendation]:
    """Less of what does not depend on the batch; `alone` is what has to suffice where it does not fit by itself."""
    memory, states = rank.memory, use.states or 0
    assert memory is not None
    ranks = max(facts.world_size or 1, len(facts.ranks))
    if ranks > 1:
        too_few = alone is not None and states / ranks > alone
        last = [model_parallel(RULE.id, facts)] if too_few else []
        return [sharding(RULE.id, facts, memory, use, ranks), *last]
    adam = any("adam" in (one.name or "").lower() for one in rank.environment.optimizers)
    freed = (use.optimizer or 0) * thresholds.EIGHT_BIT_FREES.value
    result = [eight_bit(RULE.id, facts, use)] if adam else []
    if alone is not None and states - freed > alone:
        result.append(sharding(RULE.id, facts, memory, use, max(2, math.ceil(states / alone))))
    return result
