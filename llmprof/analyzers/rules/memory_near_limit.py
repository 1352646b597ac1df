"""Is device memory about to run out?

Detects:
    A run whose allocator had to give memory back and try again, or whose peak leaves less than 3 % of the device free.
    A run that ran out of memory is the rule `out-of-memory`.

Why it costs time:
    A full device forces small batches and recomputation. Each retry of the allocator frees its cache, waits for the
    device and allocates anew; the next larger sequence ends the run.

How it is measured:
    Peak reserved and allocated bytes and retries as the caching allocator counts them, against the capacity of the
    device, on the fullest rank. A trace alone does not hold these.

Does not apply when:
    Training runs on the CPU.

Fix:
    In the order of what they cost: a smaller micro-batch with gradient accumulation, autocast where everything runs in
    fp32, activation checkpointing; for memory that is free in pieces see the rule `fragmentation`.

Verify:
    Record again: the peak should be below 97 % of the device, without retries.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.gains import part_ns
from llmprof.analyzers.rules.memory_fixes import checkpointing, half_precision, smaller_batch
from llmprof.analyzers.rules.memory_use import (
    all_in_fp32,
    checkpoints_activations,
    composition_evidence,
    live_evidence,
    use_of,
)
from llmprof.units import format_bytes, format_percent

__all__ = ["RULE", "evaluate", "near_limit"]

RULE = Rule(
    id="memory-near-limit",
    category="memory",
    title="Device memory suffices",
    failed_title="Device memory is at its limit",
    fixes=("smaller-batch", "activation-checkpointing", "bf16-autocast"),
    thresholds=(
        thresholds.RESERVED_FULL,
        thresholds.RECOMPUTE_EXPECTED,
        thresholds.CHECKPOINTED_SHARE,
        thresholds.HALF_FREES,
        thresholds.STATE_PER_PARAMETER,
    ),
)


def near_limit(memory: MemoryFacts | None) -> bool:
    """Whether capacity limits this rank: out of memory, allocator retries, or a reserved peak of 97 % and more."""
    if memory is None:
        return False
    full = memory.reserved_share is not None and memory.reserved_share >= thresholds.RESERVED_FULL.value
    return bool(memory.out_of_memory) or bool(memory.retries) or full


def evaluate(facts: Facts) -> Judgement:
    """Judge the memory of the fullest rank."""
    critical = facts.critical
    if critical.partition is not None and critical.partition.cpu_only and not _recorded(critical.memory):
        return RULE.not_applicable("Training runs on the CPU: there is no device memory.")
    if any(one.memory is not None and one.memory.out_of_memory for one in facts.ranks.values()):
        return RULE.not_applicable("The device ran out of memory: see out-of-memory.")
    rank = max(facts.ranks.values() or (critical,), key=_pressure)
    memory = rank.memory
    if memory is None or not _recorded(memory):
        return RULE.no_data("The allocator was not recorded; a trace alone does not show memory, `llmprof run` does.")
    figures = [
        *_figures(rank, memory),
        *composition_evidence(memory, rank.rank),
        *live_evidence(memory, rank.rank),
    ]
    if not near_limit(memory):
        return _passed(memory, figures)
    use = use_of(rank, memory)
    fixes = [smaller_batch(RULE.id, facts, rank, use)]
    if not checkpoints_activations(rank):
        fixes.append(checkpointing(RULE.id, facts, use))
    if all_in_fp32(rank):
        fixes.append(half_precision(RULE.id, facts, use))
    stalls = part_ns(facts, "memory_management")
    return RULE.fired(
        facts,
        _summary(memory),
        cost_ns=stalls if critical.partition is not None else None,
        confidence=0.95 if memory.retries else thresholds.CONFIDENCE_TRACE.value,
        evidence=figures,
        recommendations=fixes,
        ranks=tuple(sorted(number for number, one in facts.ranks.items() if near_limit(one.memory))) or (rank.rank,),
        severity="critical" if memory.retries else "warning",
    )


def _recorded(memory: MemoryFacts | None) -> bool:
    if memory is None:
        return False
    return memory.reserved_share is not None or memory.retries is not None or memory.out_of_memory is not None


def _pressure(rank: RankFacts) -> tuple[int, float]:
    memory = rank.memory
    return (-1, 0.0) if memory is None else (memory.retries or 0, memory.reserved_share or 0.0)


def _summary(memory: MemoryFacts) -> str:
    of = f"{format_bytes(memory.peak_reserved_bytes)} of {format_bytes(memory.capacity_bytes)}"
    if memory.retries:
        return f"The allocator had to free its cache and try again {memory.retries} times; the peak was {of}."
    return f"The allocator holds {of} ({format_percent(memory.reserved_share)}); the next larger batch may not fit."


def _figures(rank: RankFacts, memory: MemoryFacts) -> list[Evidence]:
    share = memory.reserved_share
    return [
        Evidence(
            label="peak reserved",
            value=share,
            unit="of the device",
            threshold=thresholds.RESERVED_FULL.value,
            source="caching allocator",
            rank=rank.rank,
        ),
        evidence.number("peak reserved", memory.peak_reserved_bytes, "bytes", source="caching allocator"),
        evidence.number("peak allocated", memory.peak_allocated_bytes, "bytes", source="caching allocator"),
        evidence.number("allocator retries", memory.retries, "per run", source="caching allocator"),
    ]


def _passed(memory: MemoryFacts, figures: list[Evidence]) -> Judgement:
    if memory.reserved_share is None:
        return RULE.passed("The allocator never ran short.", evidence=figures)
    return RULE.passed(f"The peak is {format_percent(memory.reserved_share)} of the device.", evidence=figures)
