"""Does the allocator have to give memory back and try again?

Detects:
    Allocations of the measured steps that succeeded only after the allocator had freed its whole cache.

Why it costs time:
    Freeing the cache waits until the device has finished everything, and every block is asked for from the driver anew:
    milliseconds in which nothing runs.

How it is measured:
    The allocator's count of retries over the measured steps, and in the trace the idle time inside the driver's calls
    that allocate and free.

Does not apply when:
    Training runs on the CPU, or a failed allocation ended the run: see out-of-memory.

Fix:
    Expandable segments where memory is free in pieces; shapes that do not change from step to step; a smaller batch.

Verify:
    Record again: no retry in the measured steps.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.gains import part_ns
from llmprof.analyzers.rules.memory_fixes import expandable, smaller_batch
from llmprof.analyzers.rules.memory_use import use_of, uses_expandable_segments
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="allocator-retries",
    category="memory",
    title="Allocations succeed at once",
    failed_title="The allocator gives memory back and tries again",
    fixes=("expandable-segments", "smaller-batch"),
    thresholds=(thresholds.RETRIES,),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the rank with most retries."""
    critical = facts.critical
    known = [rank for rank in facts.ranks.values() if rank.memory is not None and rank.memory.retries is not None]
    if not known:
        if critical.partition is not None and critical.partition.cpu_only:
            return RULE.not_applicable("Training runs on the CPU: there is no device memory.")
        return RULE.no_data("The allocator was not recorded; a trace alone does not show it, `llmprof run` does.")
    rank = max(known, key=_retries)
    count = _retries(rank)
    if count < thresholds.RETRIES.value:
        return RULE.passed("Every allocation of the measured steps succeeded at once.")
    memory = rank.memory
    assert memory is not None
    lost = part_ns(facts, "memory_management")
    over = f" in {memory.measured_steps} steps" if memory.measured_steps else ""
    wasted = memory.unusable_bytes
    fixes = [] if uses_expandable_segments(rank) else [expandable(RULE.id, facts, wasted)]
    fixes.append(smaller_batch(RULE.id, facts, rank, use_of(rank, memory)))
    return RULE.fired(
        facts,
        f"The allocator freed its cache and tried again {count} times{over}; calls that allocate and free device "
        f"memory hold it up for {format_ns(lost)} per step.",
        cost_ns=lost if critical.partition is not None else None,
        confidence=0.95,
        evidence=[
            evidence.number("allocator retries", count, "in the measured steps", source="allocator", rank=rank.rank),
            evidence.number("in pieces between blocks in use", wasted, "bytes", source="allocator", rank=rank.rank),
            evidence.time(
                "idle in the driver's calls",
                lost,
                source="partition",
                window=evidence.longest(critical, "memory_management"),
            ),
        ],
        recommendations=fixes,
        ranks=tuple(sorted(one.rank for one in known if _retries(one) >= thresholds.RETRIES.value)),
        severity="critical",
    )


def _retries(rank: RankFacts) -> int:
    return 0 if rank.memory is None else rank.memory.retries or 0
