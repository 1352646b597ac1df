"""Are tensors copied only because of their layout or number format?

Detects:
    Copies within the device: `.contiguous()`, `cat` and `stack`, and casts between number formats.

Why it costs time:
    A copy reads and writes a whole tensor and computes nothing; strided ones also miss much of the bandwidth.

How it is measured:
    Time of copy kernels by the types of source and target; those of logits and of attention scores are left out,
    because they belong to the loss and to attention. Half of the copies within one format are taken as avoidable;
    nothing is promised.

Does not apply when:
    Copies take less than 5 % of the step.

Fix:
    Keep the layout that the next operator reads (one product for queries, keys and values, split by `chunk`;
    `enable_gqa=True` in place of repeated keys), cast once, or let a compiler fuse the casts.

Verify:
    Record again: the copy class should shrink.
"""

from __future__ import annotations

from llmprof.analyzers.facts.faster.faster_kernels import copy_savings, is_cast
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.saving import sum_of
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.operator_figures import cost_of, kernel_gain, longest_operators, operators_of
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="layout-copies",
    category="compute",
    title="Few tensors are copied for their layout",
    failed_title="Tensors are copied for their layout or format",
    fixes=("keep-layout",),
    thresholds=(
        thresholds.COPY_SHARE,
        thresholds.COPY_AVOIDABLE,
        thresholds.SHAPED_SHARE,
        thresholds.HOST_LATE_SHARE,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the copies of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    savings = copy_savings(operators)
    copies, saving = [one for some in savings for one in some.work], sum_of(savings)
    cast_ns, total = sum(one.ns for one in copies if is_cast(one)), saving.ns
    moved_ns = total - cast_ns
    figures = [
        evidence.share("copies", facts, total, thresholds.COPY_SHARE, source="trace"),
        evidence.time("of them casts", cast_ns, source="input types", rank=facts.critical.rank),
        *longest_operators(copies, facts.critical.rank),
    ]
    if total < thresholds.COPY_SHARE.value * facts.step.mean_ns:
        return RULE.passed(f"Copies within the device take {format_ns(total)} of the step.", evidence=figures)
    estimate, late = kernel_gain(facts, saving)
    kinds = {"layout": moved_ns, "casts": cast_ns}
    spent = [f"{format_ns(ns)} for {what}" for what, ns in kinds.items() if ns > 0]
    fix = recommend(
        "keep-layout",
        rule=RULE.id,
        facts=facts,
        action="Avoid copies that only change layout or number format",
        why=f"Copies take {' and '.join(spent)}. {late}".rstrip(),
        how="drop .contiguous() and .float() that the next operator does not need; split one projection with chunk() "
        "instead of cat(); enable_gqa=True instead of repeat_interleave(); torch.compile fuses casts with their "
        "neighbours",
        gain=estimate,
        watch="the copy class",
    )
    return RULE.fired(
        facts,
        f"Copies within the device take {format_ns(total)} of the step, {format_ns(cast_ns)} of it casts.",
        cost_ns=cost_of(estimate),
        confidence=confidence_of(facts, "compute", strength=0.7 * operators.shaped_share),
        evidence=figures,
        recommendations=[fix],
    )
