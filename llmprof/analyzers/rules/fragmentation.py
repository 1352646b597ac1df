"""Is device memory free, but in pieces that fit nothing?

Detects:
    Memory that the allocator holds between blocks in use, while the run is short of memory: an allocation failed though
    as much was free in pieces, or the pieces are a tenth of a device that is full, or the allocator holds twice what
    tensors ever used.

Why it costs time:
    The allocator frees its cache, waits for the device and asks the driver anew, or the run ends, while the memory that
    it asked for is there.

How it is measured:
    Inactive split bytes, reserved and allocated bytes as the caching allocator counts them, over the run or when an
    allocation failed; or the segments of a memory snapshot.

Does not apply when:
    Training runs on the CPU.

Fix:
    Expandable segments, which grow instead of being split. With shapes that change in every step, also pad them.

Verify:
    Record again: reserved memory falls towards allocated memory, and no allocation is retried.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.memory_fixes import expandable
from llmprof.analyzers.rules.memory_near_limit import near_limit
from llmprof.analyzers.rules.memory_use import live_evidence, states_to_come, uses_expandable_segments
from llmprof.units import format_bytes

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="fragmentation",
    category="memory",
    title="Free memory is in one piece, or plentiful",
    failed_title="Free memory is in pieces that fit nothing",
    fixes=("expandable-segments",),
    thresholds=(thresholds.FRAGMENTED, thresholds.RESERVED_TWICE, thresholds.RESERVED_MUCH),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the rank with most memory in pieces."""
    critical = facts.critical
    known = [rank for rank in facts.ranks.values() if rank.memory and rank.memory.unusable_bytes is not None]
    if not known:
        if critical.partition is not None and critical.partition.cpu_only:
            return RULE.not_applicable("Training runs on the CPU: there is no device memory.")
        return RULE.no_data("The allocator was not recorded; a trace alone does not show it, `llmprof run` does.")
    reasons = {rank.rank: reason for rank in known if (reason := _reason(rank))}
    rank = max((one for one in known if one.rank in reasons or not reasons), key=_unusable)
    memory = rank.memory
    assert memory is not None
    figures = _figures(rank, memory)
    pieces = format_bytes(memory.unusable_bytes)
    if not reasons:
        return RULE.passed(f"{pieces} are in pieces, and nothing was short of them.", evidence=figures)
    if uses_expandable_segments(rank):
        return RULE.passed(f"{pieces} are in pieces, with expandable segments already in use.", evidence=figures)
    return RULE.fired(
        facts,
        reasons[rank.rank],
        cost_ns=None,
        confidence=0.9 if memory.out_of_memory or memory.retries else 0.7,
        evidence=figures,
        recommendations=[expandable(RULE.id, facts, memory.unusable_bytes)],
        ranks=tuple(sorted(reasons)),
        severity="critical" if memory.out_of_memory else "warning",
    )


def _unusable(rank: RankFacts) -> int:
    return 0 if rank.memory is None else rank.memory.unusable_bytes or 0


def _reason(rank: RankFacts) -> str | None:
    """What shows that pieces are the trouble; None when they are not."""
    memory = rank.memory
    if memory is None or not near_limit(memory):
        return None
    failed, pieces = memory.failure, memory.unusable_bytes or 0
    if failed is not None and failed.requested_bytes and failed.free_bytes is not None:
        needed = max(failed.requested_bytes, states_to_come(rank, failed))
        if failed.free_bytes + pieces >= needed and failed.requested_bytes > failed.free_bytes:
            wanted = format_bytes(failed.requested_bytes)
            return f"{wanted} could not be allocated; {format_bytes(pieces)} were free in pieces between blocks in use."
        return None  # more is needed than all pieces together
    if memory.capacity_bytes and pieces >= thresholds.FRAGMENTED.value * memory.capacity_bytes:
        of = f"{format_bytes(pieces)} of {format_bytes(memory.capacity_bytes)}"
        return f"{of} are free in pieces between blocks in use."
    reserved, allocated, share = memory.peak_reserved_bytes, memory.peak_allocated_bytes, memory.reserved_share
    if not reserved or not allocated or (share or 0.0) < thresholds.RESERVED_MUCH.value:
        return None
    if reserved < thresholds.RESERVED_TWICE.value * allocated:
        return None
    return f"The allocator holds {format_bytes(reserved)}, tensors never used more than {format_bytes(allocated)}."


def _figures(rank: RankFacts, memory: MemoryFacts) -> list[Evidence]:
    segments = memory.segments
    figures = {
        "in pieces between blocks in use": memory.unusable_bytes,
        "largest free piece": None if segments is None else segments.largest_free_bytes,
        "held by the allocator": memory.peak_reserved_bytes or memory.reserved_bytes,
        "in use by tensors": memory.peak_allocated_bytes or memory.allocated_bytes,
    }
    found = [
        evidence.number(label, value, "bytes", source="caching allocator", rank=rank.rank)
        for label, value in figures.items()
        if value is not None
    ]
    return found if memory.failure is not None else [*found, *live_evidence(memory, rank.rank)]
