"""Does DistributedDataParallel copy every gradient out of its bucket again?

Detects:
    Copies from the gradient buckets back into the gradients, which `gradient_as_bucket_view=False`, the default, makes.

Why it costs time:
    Gradients are copied into the buckets to be reduced, and back into the gradients afterwards; both exist at once.

How it is measured:
    The copies that DistributedDataParallel launches for it, as far as neither kernels nor collectives run beside them;
    on the CPU the time inside them, as much shorter than traced as the step is. The memory that it wins is one copy of
    the gradients.

Does not apply when:
    The run has one rank, or is not wrapped in DistributedDataParallel.

Fix:
    `DistributedDataParallel(..., gradient_as_bucket_view=True)`.

Verify:
    Record again: fewer copies on the device, and a lower peak of memory.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import gradient_bytes
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import device_gain, gain
from llmprof.units import format_bytes, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="ddp-bucket-view",
    category="communication",
    title="Gradients are not copied out of their buckets",
    failed_title="Gradients are copied out of their buckets",
    fixes=("ddp-bucket-view",),
    thresholds=(thresholds.BUCKET_COPY, thresholds.REPLAY_LOW),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the setting of the critical rank by what its copies take."""
    environment = facts.critical.environment
    if (facts.world_size or environment.world_size) == 1:
        return RULE.not_applicable("The run has one rank: there is nobody to talk to.")
    if environment.ddp is not None and environment.ddp.gradient_as_bucket_view:
        return RULE.passed("Gradients are views into the buckets.")
    collectives = facts.critical.collectives
    if environment.ddp is None and not environment.parallelism.dp:
        return RULE.not_applicable("The model is not wrapped in DistributedDataParallel.")
    if collectives is None or collectives.bucket_copies_ns is None or collectives.exposed_bucket_copies_ns is None:
        return RULE.no_data("Copies out of the buckets are not known; record a burst with CPU and CUDA activities.")
    alone = facts.critical.partition is not None and facts.critical.partition.cpu_only
    scale = min(1.0, facts.step.mean_ns / (facts.step.traced_mean_ns or facts.step.mean_ns)) if alone else 1.0
    total, cost = (scale * ns for ns in (collectives.bucket_copies_ns, collectives.exposed_bucket_copies_ns))
    figures = [
        evidence.time("copies out of the buckets", total, source="trace", rank=facts.critical.rank),
        evidence.share("what of them nothing hides", facts, cost, thresholds.BUCKET_COPY, source="trace"),
    ]
    if cost < thresholds.BUCKET_COPY.value * facts.step.mean_ns:
        return RULE.passed(f"Copies of gradients out of their buckets cost {format_ns(cost)}.", evidence=figures)
    size = gradient_bytes(facts)
    room = "the gradients" if size is None else format_bytes(size)
    low = thresholds.REPLAY_LOW.value * cost
    result, late = (
        (gain(facts, expected_ns=cost, low_ns=low, high_ns=total, at_most_ns=total), "")
        if alone
        else device_gain(facts, expected_ns=cost, low_ns=low, high_ns=total, at_most_ns=total, basis="bound")
    )
    return RULE.fired(
        facts,
        f"Gradients are copied out of their buckets for {format_ns(total)} per step, {format_ns(cost)} of it exposed.",
        cost_ns=cost,
        confidence=confidence_of(facts, "memcpy", strength=0.9),
        evidence=figures,
        recommendations=[
            recommend(
                "ddp-bucket-view",
                rule=RULE.id,
                facts=facts,
                action="Let gradients be views into the buckets",
                why=f"It saves the copies, and memory of the size of {room}. {late}".rstrip(),
                how="DistributedDataParallel(model, gradient_as_bucket_view=True)",
                gain=result,
                watch="the copies",
            )
        ],
    )
