"""Do weights, gradients and optimizer states fill the device on every rank alike?

Detects:
    A device that is nearly full, mostly of what every rank holds a whole copy of.

Why it costs time:
    What the copies take is missing for the batch: small batches, recomputed activations, retries of the allocator.

How it is measured:
    Weights and optimizer states as the process counted them, gradients as large as the weights that train, against the
    allocator's peak, on the fullest rank.

Does not apply when:
    Training runs on the CPU, on one device, or states are sharded already.

Fix:
    Shard them: the lowest stage of ZeRO that makes room. Optimizer states first, which costs no communication; then
    gradients; weights last, which adds half as much communication again.

Verify:
    Record again: the peak falls by about what the fix says.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.memory_fixes import sharding
from llmprof.analyzers.rules.memory_use import composition_evidence, fullest, pressed, sharded_already, use_of
from llmprof.units import format_bytes, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="states-dominate",
    category="memory",
    title="Copies of the model leave room",
    failed_title="Every rank holds a whole copy of the states",
    fixes=("zero-sharding",),
    thresholds=(thresholds.STATES_DOMINATE, thresholds.FIT_SHARE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the fullest rank."""
    partition = facts.critical.partition
    if partition is not None and partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: there is no device memory.")
    rank = fullest(facts)
    memory, ranks = rank.memory, max(facts.world_size or 1, len(facts.ranks))
    if memory is None or memory.composition is None:
        return RULE.no_data("What device memory is made of was not recorded; `llmprof run` records it.")
    if ranks < 2:
        return RULE.not_applicable("There is no other rank to share states with.")
    if sharded_already(rank):
        return RULE.not_applicable("States are sharded already.")
    held = memory.composition
    share = held.states / held.total if held.total else 0.0
    figures = composition_evidence(memory, rank.rank)
    text = (
        f"Weights, gradients and optimizer states are {format_bytes(held.states)} ({format_percent(share)}) of what is "
        f"in use, on each of {ranks} ranks"
    )
    if share < thresholds.STATES_DOMINATE.value or not pressed(memory):
        return RULE.passed(f"{text}.", evidence=figures)
    return RULE.fired(
        facts,
        f"{text}, and the device is nearly full.",
        cost_ns=None,
        confidence=0.9 if held.measured else 0.75,
        evidence=figures,
        recommendations=[sharding(RULE.id, facts, memory, use_of(rank, memory), ranks)],
        ranks=(rank.rank,),
        severity="warning",
    )
