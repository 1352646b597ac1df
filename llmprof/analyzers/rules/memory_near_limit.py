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
    In the order of what they cost: a smaller micro-batch with gradient accumulation, activation checkpointing; for
    memory that is free in pieces see the rule `fragmentation`.

Verify:
    Record again: the peak should be below 97 % of the device, without retries.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence, Recommendation
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.memory import MemoryFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import host_late_share, no_gain, part_ns
from llmprof.analyzers.rules.memory_fixes import checkpointing, live_evidence, smaller_batch, use_of
from llmprof.units import format_bytes, format_percent

__all__ = ["RULE", "evaluate", "near_limit"]

RULE = Rule(
    id="memory-near-limit",
    category="memory",
    title="Device memory suffices",
    failed_title="Device memory is at its limit",
    fixes=("smaller-batch", "activation-checkpointing", "larger-batch"),
    thresholds=(
        thresholds.RESERVED_FULL,
        thresholds.ALLOCATED_LOW,
        thresholds.RECOMPUTE_EXPECTED,
        thresholds.CHECKPOINTED_SHARE,
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
    figures = [*_figures(rank, memory), *live_evidence(memory, rank.rank)]
    if not near_limit(memory):
        return _passed(facts, memory, figures)
    use = use_of(rank, memory)
    fixes = [smaller_batch(RULE.id, facts, rank, use), checkpointing(RULE.id, facts, use)]
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


def _passed(facts: Facts, memory: MemoryFacts, figures: list[Evidence]) -> Judgement:
    if memory.reserved_share is None:
        return RULE.passed("The allocator never ran short.", evidence=figures)
    summary = f"The peak is {format_percent(memory.reserved_share)} of the device."
    answer = RULE.passed(summary, evidence=figures)
    allocated = memory.allocated_share
    roomy = allocated is not None and allocated <= thresholds.ALLOCATED_LOW.value
    if not roomy or host_late_share(facts) < thresholds.HOST_LATE_SHARE.value or part_ns(facts, "host") <= 0:
        return answer
    # Room matters only where work per step costs little: a step that waits for its host.
    return Judgement(finding=answer.finding, recommendations=(_larger(facts, allocated or 0.0),))


def _larger(facts: Facts, allocated: float) -> Recommendation:
    return recommend(
        "larger-batch",
        rule=RULE.id,
        facts=facts,
        action="Consider a larger batch",
        why=f"Only {format_percent(allocated)} of the device memory is in use, and the host costs the same for more "
        "work per step. This makes a step do more, not the step shorter, so no gain is promised.",
        how="DataLoader(batch_size=2 * what it is now), or fewer accumulation steps at the same effective batch",
        gain=no_gain(facts),
        watch="tokens per second",
    )
