"""Does the step use much of the GPU's arithmetic?

Detects:
    A step whose device is busy most of the time, and that still uses less than 30 % of the peak for the model's FLOPs.

Why it costs time:
    The device is busy, but not with what the model needs: small or slow kernels, traffic, or work that is done twice.

How it is measured:
    The model's FLOPs from recorded shapes over what the peak of their number format would do in a step (attention in
    full, nothing that is recomputed). The largest differences between a kernel class and its best time are named.

Does not apply when:
    The device waits for the host, for data or for others, or the FLOPs are not known.

Fix:
    None of its own: the largest deficit says which other finding to follow.

Verify:
    Record again: the model FLOP utilisation should rise.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.gains import part_ns
from llmprof.analyzers.rules.operator_figures import operators_of
from llmprof.units import format_ns, format_percent

__all__ = ["RULE", "deficits", "evaluate"]

RULE = Rule(
    id="low-mfu",
    category="compute",
    title="The step uses much of the GPU's arithmetic",
    failed_title="The step uses little of the GPU's arithmetic",
    fixes=(),
    thresholds=(thresholds.LOW_MFU, thresholds.BUSY, thresholds.SHAPED_SHARE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the utilisation of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    used = facts.critical.utilization
    if used is None or used.mfu is None:
        reason = None if used is None else used.reason
        return RULE.no_data(f"The model FLOP utilisation is not known: {reason or 'no FLOPs were counted'}.")
    busy = part_ns(facts, "compute") / facts.step.mean_ns
    largest = deficits(operators)
    figures = [
        evidence.number("model FLOP utilisation", used.mfu, used.basis or "", source="input shapes"),
        evidence.number("hardware FLOP utilisation", used.hfu, used.basis or "", source="input shapes"),
        *(evidence.time(f"module {one.path[-80:]}", one.ns, source="stacks") for one in operators.modules[:3]),
        *(evidence.time(f"{kind} above its best time", ns, source="roofline") for kind, ns in largest[:4]),
    ]
    summary = f"The model uses {format_percent(used.mfu)} {used.basis}."
    if busy < thresholds.BUSY.value:
        return RULE.not_applicable(f"The device computes for {format_percent(busy)} of the step only. {summary}")
    if used.mfu >= thresholds.LOW_MFU.value:
        return RULE.passed(summary, evidence=figures)
    where = "" if not largest else f" Most is lost in {largest[0][0]}: {format_ns(largest[0][1])} above its best time."
    return RULE.fired(
        facts,
        summary + where,
        cost_ns=None,
        confidence=confidence_of(facts, "compute", strength=operators.shaped_share),
        evidence=figures,
        severity="info",
    )


def deficits(operators: OperatorFacts) -> list[tuple[str, float]]:
    """Kernel classes by how far they are above their best time, ns per step, largest first."""
    lost: dict[str, float] = {}
    for one in operators.work:
        if one.best_ns is not None:
            lost[one.kind] = lost.get(one.kind, 0.0) + max(0.0, one.ns - one.best_ns)
    return sorted(((kind, ns) for kind, ns in lost.items() if ns > 0), key=lambda item: -item[1])
