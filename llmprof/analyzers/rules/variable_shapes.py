"""Do changing shapes make the step plan, compile or allocate anew?

Detects:
    Batches of many different sizes, and what the first use of each costs: cuDNN planning an operator, compilation,
    calls to the driver's allocator.

Why it costs time:
    Plans, compiled code and cached blocks belong to one shape. A new one has them made again while the device waits:
    cuDNN takes 40 to 50 ms for a plan of its attention on an H200.

How it is measured:
    Idle time of the device while a cuDNN operator takes the host more than 5 ms, while Dynamo compiles, and behind
    allocator calls where the number of tokens differs from step to step; corrected to the unprofiled step.

Does not apply when:
    All steps have as many tokens and nothing is planned anew.

Fix:
    Round lengths up to a few values (buckets), or pack samples to one length.

Verify:
    Record again: the stalls are gone. Compare tokens per second, since padding adds tokens.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.allocator_cost import NOBODY, allocator_cost, who_frees
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.units import format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="variable-shapes",
    category="host",
    title="Shapes repeat",
    failed_title="New shapes hold the step up",
    fixes=("bucket-lengths",),
    thresholds=(thresholds.SHAPE_COST,),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge what new shapes cost the critical rank."""
    critical = facts.critical
    partition = critical.partition
    if partition is None or critical.traced is None:
        return RULE.no_data("No step of this recording could be taken apart, so what new shapes cost is unknown.")
    counts = critical.causes.token_counts if critical.causes is not None else None
    planned = partition.stall_classes.get("plan_build", 0.0)
    if counts == 1 and planned <= 0:
        return RULE.not_applicable("Every step has the same number of tokens, and nothing is planned anew.")
    vary = counts is not None and counts > 1
    compiled = partition.stall_classes.get("compile", 0.0) if vary else 0.0
    allocated = (allocator_cost(facts) or 0.0) if vary and who_frees(facts) == NOBODY else 0.0
    cost = planned + compiled + allocated
    rank = critical.rank
    share = cost / facts.step.mean_ns
    window = evidence.longest(critical, "plan_build", "compile")
    figures = [
        evidence.share("device idle because of new shapes", facts, cost, thresholds.SHAPE_COST, source="trace"),
        evidence.time("cuDNN plans", planned, source="trace", rank=rank, window=window),
        evidence.time("compilation", compiled, source="trace", rank=rank),
        evidence.time("allocation", allocated, source="trace", rank=rank),
        evidence.number("different numbers of tokens", counts, "in the counted steps", source="batches", rank=rank),
    ]
    if share < thresholds.SHAPE_COST.value:
        return RULE.passed(f"New shapes cost {format_percent(share)} of the step.", evidence=figures)
    sizes = f" ({counts} different numbers of tokens)" if vary else ""
    return RULE.fired(
        facts,
        f"New shapes{sizes} hold the step up for {format_ns(cost)}.",
        cost_ns=cost,
        confidence=confidence_of(facts, "stalls", strength=1.0 if planned > 0 else 0.8),
        evidence=figures,
        recommendations=[
            recommend(
                "bucket-lengths",
                rule=RULE.id,
                facts=facts,
                action="Round lengths up to a few values",
                why="A shape that was there before needs no new plan, no compilation and no new block.",
                how="length = -(-length // 256) * 256 in collate_fn, or pack samples to one length",
                gain=gain(facts, expected_ns=0.8 * cost, low_ns=0.0, high_ns=cost, at_most_ns=cost),
                watch="the stalls",
            )
        ],
    )
