"""What can be said of a recording in which no step can be measured? Why memory ran out, and what fills the device.

A run that ends in its first steps has no step time, and a memory snapshot alone has none; both know the memory.
"""

from __future__ import annotations

from dataclasses import replace

from llmprof.analyzers import ranking
from llmprof.analyzers.diagnosis import Diagnosis, Recommendation, Verdict
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.memory.memory import MemoryFacts, memory_facts
from llmprof.analyzers.facts.steps.steps import StepFacts
from llmprof.analyzers.rules import registry
from llmprof.analyzers.rules.memory_fixes import MEMORY_RULES
from llmprof.analyzers.sentences import abstention
from llmprof.analyzers.verdict import judge
from llmprof.timeline.timeline import Timeline
from llmprof.units import format_bytes, format_count

__all__ = ["unmeasured", "with_memory"]

_NO_STEP = StepFacts(mean_ns=0.0, basis="unprofiled")
"""Stands for the step in facts that only rules about memory see; it is not shown."""


def unmeasured(timeline: Timeline) -> Facts | None:
    """The memory of every rank; None when nothing tells why it ran out or what fills it."""
    ranks = {
        rank.rank: RankFacts(
            rank=rank.rank, environment=rank.environment, step=_NO_STEP, memory=memory_facts(rank), died=rank.died
        )
        for rank in timeline.ranks
    }
    telling = [rank for rank in ranks.values() if rank.memory and (rank.memory.out_of_memory or rank.memory.snapshot)]
    if not telling:
        return None
    first = next((rank for rank in telling if rank.memory and rank.memory.out_of_memory), telling[0])
    return Facts(ranks=ranks, critical=first, step=_NO_STEP, world_size=timeline.world_size)


def with_memory(diagnosis: Diagnosis, facts: Facts) -> Diagnosis:
    """An abstention, with what the rules about memory say; memory is the verdict when it ended the run."""
    known = registry.registered()
    answers = iter(registry.evaluate_all(facts, [one for one in known if one.rule.id in MEMORY_RULES]))
    judgements = [
        next(answers) if one.rule.id in MEMORY_RULES else one.rule.no_data("No step was measured.") for one in known
    ]
    fixes, _ = ranking.rank([fix for one in judgements for fix in one.recommendations], facts)
    return replace(
        diagnosis,
        capture=replace(diagnosis.capture, basis="unprofiled"),
        verdict=_verdict(diagnosis, facts),
        findings=tuple(one.finding for one in judgements),
        recommendations=tuple(map(_timeless, fixes)),
    )


def _verdict(diagnosis: Diagnosis, facts: Facts) -> Verdict:
    found = judge(facts)
    if found.bound is not None:
        return found
    memory = facts.critical.memory
    if diagnosis.source.kind != "snapshot" or memory is None or memory.segments is None:
        return diagnosis.verdict
    return abstention(f"a memory snapshot says what fills the device, not how long a step takes; {_contents(memory)}")


def _contents(memory: MemoryFacts) -> str:
    """What a snapshot holds, in a clause."""
    held = memory.segments
    assert held is not None
    text = f"{format_bytes(held.allocated_bytes)} are in use in {format_count(held.blocks)} blocks"
    if memory.live and held.allocated_bytes:
        largest = memory.live[0]
        text += f", {format_bytes(largest.bytes)} of it {'from ' if largest.stack else 'in '}{largest.place}"
    if memory.peak_allocated_bytes is not None:
        text += f"; the peak of its history is {format_bytes(memory.peak_allocated_bytes)}"
    return text


def _timeless(fix: Recommendation) -> Recommendation:
    """The step after a fix is as unknown as the step before it."""
    gain = fix.gain
    low, expected, high = (value + 0.0 for value in (gain.low_ms, gain.expected_ms, gain.high_ms))  # no -0.0
    timeless = replace(gain, low_ms=low, expected_ms=expected, high_ms=high, step_ms_after=None, speedup=None)
    return replace(fix, gain=timeless)
