"""Are convolutions given the layout that tensor cores read?

Detects:
    Kernels that convert between NCHW and NHWC around convolutions.

Why it costs time:
    Tensor-core convolutions read channels last. Images in the default layout are converted before and after each of
    them.

How it is measured:
    Time of the conversion kernels by their names (nchwToNhwc, nhwcToNchw).

Does not apply when:
    The step has no convolutions, or no such conversions.

Fix:
    `model = model.to(memory_format=torch.channels_last)` and the same for the batch.

Verify:
    Record again: no kernel should be called nchwToNhwc.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.operator_figures import cost_of, kernel_gain, operators_of
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="conv-layout",
    category="compute",
    title="Convolutions read their images as they lie",
    failed_title="Images are converted around convolutions",
    fixes=("channels-last",),
    thresholds=(thresholds.CONVERSIONS, thresholds.HOST_LATE_SHARE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the layout of the convolutions of the critical rank."""
    operators = operators_of(RULE, facts, shapes=False)
    if isinstance(operators, Judgement):
        return operators
    if not any("conv" in one.operator or one.kind == "convolution" for one in operators.work):
        return RULE.not_applicable("The step has no convolutions.")
    total = operators.conversion_ns
    figures = [
        evidence.share("conversions between layouts", facts, total, thresholds.CONVERSIONS, source="kernel names"),
    ]
    if total < thresholds.CONVERSIONS.value * facts.step.mean_ns:
        return RULE.passed(f"Conversions between layouts take {format_ns(total)} of the step.", evidence=figures)
    estimate, late = kernel_gain(facts, low_ns=0.0, expected_ns=total, high_ns=total, at_most_ns=total)
    fix = recommend(
        "channels-last",
        rule=RULE.id,
        facts=facts,
        action="Store images and weights as channels_last",
        why=f"Tensor-core convolutions then read them as they lie. {late}".rstrip(),
        how="model = model.to(memory_format=torch.channels_last); images = images.to(memory_format="
        "torch.channels_last)",
        gain=estimate,
        watch="the convolution class",
    )
    return RULE.fired(
        facts,
        f"Conversions between NCHW and NHWC take {format_ns(total)} of the step.",
        cost_ns=cost_of(estimate),
        confidence=confidence_of(facts, "compute", strength=0.9),
        evidence=figures,
        recommendations=[fix],
    )
