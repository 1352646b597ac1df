"""Does memory that is in use between two steps keep growing?

Detects:
    Device memory that is never given back: it grows from reading to reading, by half a gibibyte and more.

Why it costs time:
    At some step the device is full: then the allocator flushes its cache over and over, and in the end the run dies.

How it is measured:
    Bytes in use right after a step, when no activations are alive, over the measured steps of the run: the Theil-Sen
    slope with its 95 % interval.

Does not apply when:
    Training runs on the CPU, or too few steps were measured.

Fix:
    Let go of what keeps graphs and tensors alive: losses in a list (use loss.detach() or .item() at logging steps),
    hooks that append, outputs kept for metrics. A memory snapshot with history names the line
    (`llmprof run --memory-history`).

Verify:
    Record some hundred steps: memory in use stays level.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.memory_use import live_evidence
from llmprof.units import format_bytes, format_count

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="memory-creep",
    category="memory",
    title="Memory in use stays level",
    failed_title="Memory in use grows from step to step",
    fixes=(),
    thresholds=(thresholds.CREEP_BYTES, thresholds.CREEP_SHARE, thresholds.CREEP_PACE, thresholds.CREEP_STEPS),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the rank whose memory grows fastest."""
    partition = facts.critical.partition
    if partition is not None and partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: there is no device memory.")
    known = [rank for rank in facts.ranks.values() if rank.memory is not None and rank.memory.growth is not None]
    if not known:
        return RULE.no_data("The allocator was read too seldom; `llmprof run` reads it every hundred steps.")
    rank = max(known, key=_slope)
    memory = rank.memory
    assert memory is not None and memory.growth is not None
    growth = memory.growth
    if growth.steps < thresholds.CREEP_STEPS.value:
        return RULE.not_applicable(f"{growth.steps} steps are too few to tell a leak.")
    grown = growth.end - growth.start
    figures = [
        evidence.number("in use at first", growth.start, "bytes", source="allocator", rank=rank.rank),
        evidence.number("in use at last", growth.end, "bytes", source="allocator", rank=rank.rank),
        evidence.number("growth per step", growth.slope, "bytes", source="allocator", rank=rank.rank),
        evidence.number("readings", growth.points, "", source="allocator", rank=rank.rank),
    ]
    leaks = (
        growth.low > 0
        and grown >= thresholds.CREEP_BYTES.value
        and grown >= thresholds.CREEP_SHARE.value * growth.start
        and (growth.per_hundred or 0.0) >= thresholds.CREEP_PACE.value
    )
    if not leaks:
        return RULE.passed(f"Over {growth.steps} steps memory in use changes by {_signed(grown)}.", evidence=figures)
    end = ""
    if memory.free_steps is not None:
        end = f" At this pace the device is full in about {format_count(memory.free_steps)} steps."
    return RULE.fired(
        facts,
        f"Memory in use between steps has grown by {format_bytes(grown)} in {growth.steps} steps.{end}",
        cost_ns=None,
        confidence=0.9,
        evidence=[*figures, *live_evidence(memory, rank.rank)],
        ranks=(rank.rank,),
        severity="critical" if memory.free_steps is not None and memory.free_steps < growth.steps else "warning",
    )


def _slope(rank: RankFacts) -> float:
    return 0.0 if rank.memory is None or rank.memory.growth is None else rank.memory.growth.slope


def _signed(size: float) -> str:
    return f"{'-' if size < 0 else ''}{format_bytes(abs(size))}"
