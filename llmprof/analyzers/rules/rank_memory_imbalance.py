"""Does one rank need much more memory than the others?

Detects:
    A rank whose peak is a fifth and more above that of the median rank.

Why it costs time:
    The fullest rank decides how large the batch may be on all of them; the memory of the others lies idle.

How it is measured:
    The allocator's peaks of all ranks.

Does not apply when:
    One rank was recorded, or all devices are nearly empty.

Fix:
    In a pipeline, move layers away from the first stage, which keeps most micro-batches, or from the one with embedding
    and loss. Otherwise look at what only this rank does: logging, evaluation, gathering a checkpoint.

Verify:
    Record again: the peaks come together.
"""

from __future__ import annotations

import statistics

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import no_gain
from llmprof.units import format_bytes, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="rank-memory-imbalance",
    category="memory",
    title="Ranks need about the same memory",
    failed_title="One rank needs much more memory",
    fixes=("balance-stages",),
    thresholds=(thresholds.RANK_SPREAD, thresholds.RANK_PRESSURE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the rank with the highest peak."""
    peaks = {
        number: rank.memory.peak_allocated_bytes
        for number, rank in facts.ranks.items()
        if rank.memory is not None and rank.memory.peak_allocated_bytes is not None
    }
    if len(facts.ranks) < 2:
        return RULE.not_applicable("One rank has no other one to be compared with.")
    if len(peaks) < 2:
        return RULE.no_data("The allocators of fewer than two ranks were recorded.")
    number = max(sorted(peaks), key=lambda one: peaks[one])
    median = statistics.median(peaks.values())
    above = peaks[number] / median - 1 if median > 0 else 0.0
    memory = facts.ranks[number].memory
    pressure = (memory.allocated_share if memory is not None else None) or 0.0
    figures = [
        evidence.number("peak in use", value, "bytes", source="allocator", rank=one)
        for one, value in sorted(peaks.items(), key=lambda item: -item[1])[:8]
    ]
    text = f"Rank {number} needs {format_bytes(peaks[number])}, {format_percent(above)} more than the median rank"
    if above < thresholds.RANK_SPREAD.value or pressure < thresholds.RANK_PRESSURE.value:
        return RULE.passed(f"{text}.", evidence=figures)
    pipeline = facts.critical.environment.pipeline is not None or (facts.critical.environment.parallelism.pp or 1) > 1
    return RULE.fired(
        facts,
        f"{text}: it decides how large the batch may be on all.",
        cost_ns=None,
        confidence=0.9,
        evidence=figures,
        recommendations=[_balance(facts, peaks[number] - int(median))] if pipeline else [],
        ranks=(number,),
        severity="info",
    )


def _balance(facts: Facts, excess: int) -> Recommendation:
    return recommend(
        "balance-stages",
        rule=RULE.id,
        facts=facts,
        action="Move layers from the fullest stage to the others",
        why="The first stage keeps the activations of most micro-batches; embedding and loss come on top of layers.",
        how="give the fullest stage fewer layers when the model is split into stages",
        gain=no_gain(facts, memory_bytes=excess),
        watch="the peaks of the ranks",
    )
