"""Are norms computed in one kernel?

Detects:
    Norms (RMSNorm mostly) written out in separate operators: square, mean, reciprocal root, scaling.

Why it costs time:
    Each of these operators reads and writes the whole tensor, often in fp32; one kernel reads it once and writes it
    once.

How it is measured:
    Operators that combine a tensor with a statistic of its last dimension, and those that compute the statistic, by
    their shapes; of products, sums and casts of whole tensors so many as norms have by the rules of differentiation. A
    fused norm reads and writes its input once forward; backward it reads input and gradient up to three times.

Does not apply when:
    No norm is written out, or a compiler fused it.

Fix:
    `torch.nn.RMSNorm` or `torch.nn.functional.rms_norm` in place of the written-out norm, or torch.compile.

Verify:
    Record again: a normalization class takes the place of the elementwise kernels, and is shorter than they were.
"""

from __future__ import annotations

from llmprof.analyzers.facts.device.roofline import roofline_of
from llmprof.analyzers.facts.faster.faster_kernels import norm_savings
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.saving import sum_of
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.operator_figures import cost_of, kernel_gain, operators_of, worth
from llmprof.units import format_count, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="unfused-norm",
    category="compute",
    title="Norms run in one kernel",
    failed_title="Norms are written out in separate operators",
    fixes=("fused-norm",),
    thresholds=(
        thresholds.KERNEL_GAIN,
        thresholds.NORM_LOW,
        thresholds.SHAPED_SHARE,
        thresholds.HOST_LATE_SHARE,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the norms of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    found = operators.norm
    if found is None:
        return RULE.not_applicable("No norm is written out in separate operators.")
    line = roofline_of(facts.critical.environment.device)
    if line is None:
        return RULE.no_data(
            "The memory bandwidth of this device is not known, so what a fused norm takes is not known."
        )
    saving = sum_of(norm_savings(found, line))
    figures = [
        evidence.time("operators of norms", found.ns, source="trace", rank=facts.critical.rank),
        evidence.number("norms", found.calls, "per step", source="trace"),
        evidence.number("width", found.width, "", source="input shapes"),
        evidence.time("fused norms would take about", found.ns - saving.expected_ns, source="roofline"),
    ]
    if not worth(facts, saving.expected_ns):
        return RULE.passed(f"Norms in separate operators take {format_ns(found.ns)} of the step.", evidence=figures)
    estimate, late = kernel_gain(facts, saving, at_most_ns=found.ns)
    fix = recommend(
        "fused-norm",
        rule=RULE.id,
        facts=facts,
        action="Use a fused norm",
        why=f"One kernel reads the tensor and writes its norm. {late}".rstrip(),
        how="x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight -> "
        "torch.nn.functional.rms_norm(x, (x.shape[-1],), weight, eps); or Liger-Kernel's LigerRMSNorm",
        gain=estimate,
        watch="the elementwise and reduction classes",
    )
    return RULE.fired(
        facts,
        f"{format_count(found.calls)} norms a step are written out in separate operators: {format_ns(found.ns)}.",
        cost_ns=cost_of(estimate),
        confidence=confidence_of(facts, "compute", strength=operators.shaped_share),
        evidence=figures,
        recommendations=[fix],
    )
