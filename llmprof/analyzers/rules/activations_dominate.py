"""Is a full device full of activations?

Detects:
    A device that is nearly full, mostly of what grows with the batch.

Why it costs time:
    The batch stays small, or the allocator runs short and tries again.

How it is measured:
    The allocator's peak less weights, gradients and optimizer states as the process counted them, on the fullest rank.
    Buffers of collectives and whole copies of sharded weights count with it.

Does not apply when:
    Training runs on the CPU, or activations are recomputed already.

Fix:
    Recompute the activations of each block in the backward pass; fused attention, which keeps no scores; autocast where
    everything runs in fp32.

Verify:
    Record again: the peak falls by about what the fix says, and the step gets longer by less than a third.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.memory_fixes import checkpointing, half_precision
from llmprof.analyzers.rules.memory_use import (
    all_in_fp32,
    checkpoints_activations,
    composition_evidence,
    fullest,
    pressed,
    use_of,
)
from llmprof.units import format_bytes, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="activations-dominate",
    category="memory",
    title="Activations leave room",
    failed_title="Activations fill the device",
    fixes=("activation-checkpointing", "bf16-autocast"),
    thresholds=(
        thresholds.ACTIVATIONS_DOMINATE,
        thresholds.FIT_SHARE,
        thresholds.CHECKPOINTED_SHARE,
        thresholds.RECOMPUTE_EXPECTED,
        thresholds.HALF_FREES,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the fullest rank."""
    partition = facts.critical.partition
    if partition is not None and partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: there is no device memory.")
    rank = fullest(facts)
    memory = rank.memory
    if memory is None or memory.composition is None:
        return RULE.no_data("What device memory is made of was not recorded; `llmprof run` records it.")
    held = memory.composition
    share = held.activations / held.total if held.total else 0.0
    figures = composition_evidence(memory, rank.rank)
    text = (
        f"Activations and temporaries are {format_bytes(held.activations)} ({format_percent(share)}) of what is in use"
    )
    if share < thresholds.ACTIVATIONS_DOMINATE.value or not pressed(memory):
        return RULE.passed(f"{text}.", evidence=figures)
    use = use_of(rank, memory)
    fixes = [] if checkpoints_activations(rank) else [checkpointing(RULE.id, facts, use)]
    if all_in_fp32(rank):
        fixes.append(half_precision(RULE.id, facts, use))
    if not fixes:
        return RULE.not_applicable(f"{text}, though activations are recomputed already.")
    return RULE.fired(
        facts,
        f"{text}, and the device is nearly full.",
        cost_ns=None,
        confidence=0.9 if held.measured else 0.75,
        evidence=figures,
        recommendations=fixes,
        ranks=(rank.rank,),
        severity="warning",
    )
