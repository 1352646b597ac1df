"""Would fp8 be worth a try?

Detects:
    Steps whose time goes mostly to large linear layers in 16 bits that run well, on a GPU with fp8 tensor cores.

Why it costs time:
    fp8 tensor cores have twice the rate of 16-bit ones, and fp8 operands half the traffic.

How it is measured:
    The time of matrix products in 16 bits that arithmetic limits, and the share of the peak that they reach. That
    linear layers get about 1.6 times as fast is a published figure; what quantisation costs here is not known, so
    nothing is promised.

Does not apply when:
    The GPU has no fp8 tensor cores, linear layers take less than half of the step, or they run poorly (other fixes are
    nearer then).

Fix:
    `torchao.float8.convert_to_float8_training(model)` with torch.compile, or Transformer Engine.

Verify:
    Record again, and compare the loss curve with the 16-bit run over some thousand steps.
"""

from __future__ import annotations

from llmprof.analyzers.facts.faster.faster_kernels import FP8_CAPABILITY, fp8_saving
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import device_gain
from llmprof.analyzers.rules.operator_figures import longest_operators, operators_of
from llmprof.units import format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="fp8-opportunity",
    category="compute",
    title="Nothing speaks for fp8",
    failed_title="Large linear layers might run in fp8",
    fixes=("fp8",),
    thresholds=(
        thresholds.LINEAR_SHARE,
        thresholds.LINEAR_EFFICIENCY,
        thresholds.FP8_SPEEDUP,
        thresholds.SHAPED_SHARE,
        thresholds.HOST_LATE_SHARE,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the linear layers of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    capability = facts.critical.environment.device.capability
    if capability is None:
        return RULE.no_data("The GPU's generation is not recorded.")
    if capability < FP8_CAPABILITY:
        return RULE.not_applicable("This GPU has no fp8 tensor cores.")
    saving = fp8_saving(operators)
    linear, total = saving.work, saving.ns
    reached = sum(one.ns * (one.efficiency or 0.0) for one in linear) / total if total > 0 else 0.0
    figures = [
        evidence.share("linear layers in 16 bits", facts, total, thresholds.LINEAR_SHARE, source="trace"),
        evidence.number("reached by them", reached, "of the 16-bit peak", source="roofline"),
        *longest_operators(linear, facts.critical.rank),
    ]
    if total < thresholds.LINEAR_SHARE.value * facts.step.mean_ns or reached < thresholds.LINEAR_EFFICIENCY.value:
        share = format_percent(total / facts.step.mean_ns)
        return RULE.passed(
            f"Linear layers in 16 bits take {share} of the step at {format_percent(reached)} of the peak.",
            evidence=figures,
        )
    estimate, late = device_gain(
        facts,
        low_ns=saving.low_ns,
        expected_ns=saving.expected_ns,
        high_ns=saving.high_ns,
        at_most_ns=total,
        basis="prior",
    )
    fix = recommend(
        "fp8",
        rule=RULE.id,
        facts=facts,
        action="Try fp8 for the large linear layers",
        why=f"They take {format_percent(total / facts.step.mean_ns)} of the step and run well; what scaling and casts "
        f"cost is not known before it is tried. {late}".rstrip(),
        how="torchao.float8.convert_to_float8_training(model), then torch.compile(model)",
        gain=estimate,
        watch="the gemm class",
    )
    return RULE.fired(
        facts,
        f"Linear layers take {format_percent(total / facts.step.mean_ns)} of the step in 16 bits, at "
        f"{format_percent(reached)} of the peak; this GPU also has fp8.",
        cost_ns=None,
        confidence=confidence_of(facts, "compute", strength=0.5),
        evidence=figures,
        recommendations=[fix],
        severity="info",
    )
