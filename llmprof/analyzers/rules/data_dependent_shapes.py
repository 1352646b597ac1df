"""Do operators whose result size depends on the data hold up the step?

Detects:
    `nonzero`, boolean indexing, `masked_select`, `unique` or `repeat_interleave` without `output_size` inside the
    step, after which the device is idle.

Why it costs time:
    The host has to know how large the result is before it can go on, so it waits for the device and copies the
    size. Afterwards the device has no work until the next kernels are launched. Such operators also break CUDA
    graphs.

How it is measured:
    Idle time of the device after such waits, at most as long as the host was blocked in them, corrected to the
    unprofiled step.

Does not apply when:
    Training runs on the CPU, or no such operator makes the host wait.

Fix:
    Shapes that do not depend on data: `torch.where` or a multiplication by the mask instead of boolean indexing, a
    fixed capacity, `output_size=` for `repeat_interleave`.

Verify:
    Record again: syncs per step fall, and the sync part of the step with them.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.host_waits import loss
from llmprof.analyzers.rules.waiting_calls import MISSING, figures, wait_gain
from llmprof.units import format_count, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="data-dependent-shapes",
    category="host",
    title="No result size has to be waited for",
    failed_title="The host waits to learn how large results are",
    fixes=("static-shapes",),
    thresholds=(thresholds.SYNC_COST, thresholds.SYNC_LOW),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the operators with data-dependent results of the critical rank."""
    partition = facts.critical.partition
    if partition is not None and partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: sizes are known at once.")
    lost = loss(facts, "shapes")
    if lost is None or partition is None:
        return RULE.no_data(MISSING)
    if not lost.calls:
        return RULE.not_applicable("No operator of the traced steps has a result whose size depends on the data.")
    shown = figures(facts, lost, thresholds.SYNC_COST)
    share = lost.cost_ns / facts.step.mean_ns
    count = format_count(lost.count)
    if share < thresholds.SYNC_COST.value:
        return RULE.passed(
            f"{count} such operators per step ({lost.operators}) cost {format_percent(share)} of the step.",
            evidence=shown,
        )
    estimate, reason = wait_gain(facts, lost)
    return RULE.fired(
        facts,
        f"{count} operators per step ({lost.operators}) make the host wait for the size of their result; the device is "
        f"idle for {format_ns(lost.cost_ns)} afterwards.",
        cost_ns=lost.cost_ns,
        confidence=confidence_of(facts, "sync", "host"),
        evidence=shown,
        recommendations=[
            recommend(
                "static-shapes",
                rule=RULE.id,
                facts=facts,
                action=f"Replace {lost.operators} by operators with fixed result sizes",
                why=f"A size that is known before needs no wait, and CUDA graphs become possible. {reason}".rstrip(),
                how="x[mask].sum() -> (x * mask).sum(); torch.where(mask, a, b); repeat_interleave(..., output_size=n)",
                gain=estimate,
                watch="the sync part",
                risk="Masked elements are computed as well.",
            )
        ],
    )
