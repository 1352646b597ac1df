"""Is the allocator's cache emptied during training?

Detects:
    `torch.cuda.empty_cache()` in the training loop: memory is given back to the driver and asked for again, while
    the device was never full.

Why it costs time:
    cudaFree waits until the device is idle, and cudaMalloc takes the host far longer than a block from the cache.

How it is measured:
    The allocator's own counts of cudaMalloc and cudaFree over the counted steps. It frees memory by itself only
    when the device is full, which it counts as a retry, or where a garbage collection threshold is set: frees
    without either were asked for. The cost is idle time of the device behind these calls, at most as long as the
    host was inside them, corrected to the unprofiled step.

Does not apply when:
    Training runs on the CPU.

Fix:
    Take `torch.cuda.empty_cache()` out of the loop. It makes no memory available that PyTorch could not use anyway.

Verify:
    Record again: num_device_free stops growing, and the memory_management part of the step is gone.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.allocator_cost import FLUSHED, allocator_cost, figures, who_frees
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.units import format_count, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="cache-flush",
    category="host",
    title="The allocator keeps its cache",
    failed_title="The allocator's cache is emptied in the training loop",
    fixes=("stop-cache-flush",),
    thresholds=(thresholds.ALLOCATOR_CALLS, thresholds.ALLOCATOR_COST),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the frees of the critical rank."""
    critical = facts.critical
    if critical.partition is not None and critical.partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: there is no device memory.")
    who = who_frees(facts)
    if who is None:
        return RULE.no_data("The allocator was not recorded; a trace alone does not show it, `llmprof run` does.")
    calls = critical.causes.allocator if critical.causes is not None else None
    frees = calls.frees if calls is not None and calls.frees is not None else 0.0
    shown = figures(facts)
    if who != FLUSHED:
        return RULE.passed(f"Memory is given back {format_count(frees)} times per step, {who}.", evidence=shown)
    cost = allocator_cost(facts)
    if cost is None:
        return RULE.no_data("Memory is given back in the loop; what that costs only a burst tells.")
    share = cost / facts.step.mean_ns
    shown.append(evidence.share("device idle behind these calls", facts, cost, thresholds.ALLOCATOR_COST))
    if share < thresholds.ALLOCATOR_COST.value:
        return RULE.passed(
            f"The cache is emptied in the loop; that costs {format_percent(share)} of the step.", evidence=shown
        )
    return RULE.fired(
        facts,
        f"Memory is given back to the driver {format_count(frees)} times per step though the device was never full; "
        f"the device is idle for {format_ns(cost)} because of it.",
        cost_ns=cost,
        confidence=confidence_of(facts, "memory_management", "host"),
        evidence=shown,
        recommendations=[
            recommend(
                "stop-cache-flush",
                rule=RULE.id,
                facts=facts,
                action="Take torch.cuda.empty_cache() out of the training loop",
                why="The cache serves the next step without the driver, and without waiting for the device.",
                how="delete torch.cuda.empty_cache(); if memory runs out: PYTORCH_ALLOC_CONF=expandable_segments:True",
                gain=gain(facts, expected_ns=cost, low_ns=0.5 * cost, high_ns=cost, at_most_ns=cost),
                watch="the memory_management part",
            )
        ],
    )
