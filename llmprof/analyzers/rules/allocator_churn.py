"""Does the allocator still ask the driver for memory after warm-up?

Detects:
    cudaMalloc in steady state without a full device and without an emptied cache: the cache holds no block that fits,
    because tensors change their size from step to step.

Why it costs time:
    A block from the cache takes a microsecond, one from the driver up to milliseconds, and the device runs out of work
    meanwhile.

How it is measured:
    The allocator's own count of cudaMalloc over the counted steps. The cost is idle time of the device behind these
    calls, at most as long as the host was inside them, corrected to the unprofiled step.

Does not apply when:
    Training runs on the CPU, or memory is given back as well: then another rule tells why.

Fix:
    Sizes that repeat (pad or bucket lengths, warm up once with the longest batch), or expandable segments, which grow
    instead of being searched for a fit.

Verify:
    Record again: num_device_alloc stops growing, and the memory_management part of the step is gone.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.allocator_cost import NOBODY, allocator_cost, figures, who_frees
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.analyzers.rules.memory_use import uses_expandable_segments
from llmprof.units import format_count, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="allocator-churn",
    category="host",
    title="The cache serves every allocation",
    failed_title="The allocator asks the driver for memory in every few steps",
    fixes=("static-shapes", "expandable-segments"),
    thresholds=(thresholds.ALLOCATOR_CALLS, thresholds.ALLOCATOR_COST),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the allocations of the critical rank."""
    critical = facts.critical
    if critical.partition is not None and critical.partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: there is no device memory.")
    calls = critical.causes.allocator if critical.causes is not None else None
    if calls is None or calls.allocations is None:
        return RULE.no_data("The allocator was not recorded; a trace alone does not show it, `llmprof run` does.")
    count = format_count(calls.allocations)
    shown = figures(facts)
    if calls.allocations < thresholds.ALLOCATOR_CALLS.value:
        return RULE.passed(f"{count} cudaMalloc per step.", evidence=shown)
    if who_frees(facts) not in (None, NOBODY):
        return RULE.not_applicable("Memory is given back to the driver as well, which has another cause.")
    cost = allocator_cost(facts)
    if cost is None:
        return RULE.no_data(f"There are {count} cudaMalloc per step; what they cost only a burst tells.")
    share = cost / facts.step.mean_ns
    shown.append(evidence.share("device idle behind these calls", facts, cost, thresholds.ALLOCATOR_COST))
    if share < thresholds.ALLOCATOR_COST.value:
        return RULE.passed(f"{count} cudaMalloc per step cost {format_percent(share)} of the step.", evidence=shown)
    return RULE.fired(
        facts,
        f"The allocator asks the driver for memory {count} times per step; the device is idle for {format_ns(cost)} "
        "because of it.",
        cost_ns=cost,
        confidence=confidence_of(facts, "memory_management", "host"),
        evidence=shown,
        recommendations=_fixes(facts, cost),
    )


def _fixes(facts: Facts, cost_ns: float) -> list[Recommendation]:
    estimate = gain(facts, expected_ns=cost_ns, low_ns=0.0, high_ns=cost_ns, at_most_ns=cost_ns)
    result = [
        recommend(
            "static-shapes",
            rule=RULE.id,
            facts=facts,
            action="Let tensors have the same sizes in every step",
            why="A size that was there before is served from the cache.",
            how="pad or bucket sequence lengths (collate_fn); run one step with the longest batch first",
            gain=estimate,
            watch="the memory_management part",
        )
    ]
    if not uses_expandable_segments(facts.critical):
        result.append(
            recommend(
                "expandable-segments",
                rule=RULE.id,
                facts=facts,
                action="Use expandable segments",
                why="They grow by what is missing instead of being allocated anew for every size.",
                how="PYTORCH_ALLOC_CONF=expandable_segments:True (before PyTorch 2.9: PYTORCH_CUDA_ALLOC_CONF)",
                gain=estimate,
                watch="the memory_management part",
            )
        )
    return result
