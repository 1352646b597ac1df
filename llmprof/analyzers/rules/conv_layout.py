"""Are convolutions given the layout that tensor cores read?

Detects:
    Kernels that convert between NCHW and NHWC around convolutions, and batch norms beside them that run in NCHW.

Why it costs time:
    Tensor-core convolutions read channels last. Images in the default layout are converted before and after each of
    them. PyTorch's own batch norm in that layout has one thread block for each channel (aten/src/ATen/native/cuda/
    Normalization.cuh), which leaves most of a large GPU idle; that for channels_last uses all of it. Its group norm on
    CUDA has no kernel for channels_last up to PyTorch 2.14 (native/group_norm.cpp): images are copied to NCHW before
    it, in backward again, and back for the next convolution, which can take longer than the conversions did. So do
    instance norms, which are batch norms of one image in NCHW (native/Normalization.cpp).

How it is measured:
    Time of the conversion kernels by their names (nchwToNhwc, nhwcToNchw). Of 16-bit batch norms whose kernels are not
    those of channels_last, the time above their traffic at the achievable bandwidth: three quarters of that are
    expected back (TraceLens), all of it at most. Of convolutions what they take beyond 1.4 times their arithmetic or
    traffic at achievable rates. Taken off is what the copies around group and instance norms take, their images from
    the recorded shapes: between the bandwidth of the conversions in the trace and a sector of 32 bytes read for each
    number.

Does not apply when:
    The step has no convolutions, or none whose images are converted, or group or instance norms would copy as much.

Fix:
    `model = model.to(memory_format=torch.channels_last)` and the same for the batch.

Verify:
    Record again: no kernel should be called nchwToNhwc, and those of batch norms channels_last.
"""

from __future__ import annotations

from llmprof.analyzers.facts.faster.channels_last import in_channels_last, layout_savings, nchw_norms
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.saving import sum_of
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
    thresholds=(
        thresholds.CONVERSIONS,
        thresholds.LAYOUT_NORM,
        thresholds.LAYOUT_NORM_LOW,
        thresholds.HOST_LATE_SHARE,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the layout of the convolutions of the critical rank."""
    operators = operators_of(RULE, facts, shapes=False)
    if isinstance(operators, Judgement):
        return operators
    if not any("conv" in one.operator or one.kind == "convolution" for one in operators.work):
        return RULE.not_applicable("The step has no convolutions.")
    total = operators.conversion_ns
    norms, savings = nchw_norms(operators), layout_savings(operators)
    saving, copied_ns = sum_of(savings), -sum(min(0.0, one.expected_ns) for one in savings)
    norm_ns = sum(one.ns for one in norms)
    slow_ns = sum(max(0.0, one.ns - (one.best_ns or one.ns)) for one in norms)
    figures = [
        evidence.share("conversions between layouts", facts, total, thresholds.CONVERSIONS, source="kernel names"),
        evidence.time("batch norms in NCHW", norm_ns, source="kernel names", rank=facts.critical.rank),
        evidence.time("of it above their traffic", slow_ns, source="roofline", rank=facts.critical.rank),
    ]
    copies = ""
    if copied_ns > 0:
        copies = f"Group and instance norms here read NCHW alone and would copy images for {format_ns(copied_ns)}."
        label = "copies around such norms in channels_last"
        figures.append(evidence.time(label, copied_ns, source="input shapes", rank=facts.critical.rank))
    if in_channels_last(operators):
        return RULE.passed("The images lie in channels_last already.", evidence=figures[:1])
    if saving.expected_ns < thresholds.CONVERSIONS.value * facts.step.mean_ns:
        told = f"Conversions between layouts take {format_ns(total)} of the step. {copies}".rstrip()
        return RULE.passed(told, evidence=figures)
    estimate, late = kernel_gain(facts, saving, at_most_ns=saving.high_ns)
    fix = recommend(
        "channels-last",
        rule=RULE.id,
        facts=facts,
        action="Store images and weights as channels_last",
        why=f"Tensor-core convolutions then read them as they lie, and batch norms use the whole GPU. "
        f"{' '.join(one for one in (copies, late) if one)}".rstrip(),
        how="model = model.to(memory_format=torch.channels_last); images = images.to(memory_format="
        "torch.channels_last)",
        gain=estimate,
        watch="the convolution and normalization classes",
    )
    norm = f", batch norms in NCHW {format_ns(norm_ns)}" if norms else ""
    return RULE.fired(
        facts,
        f"Conversions between NCHW and NHWC take {format_ns(total)} of the step{norm}.",
        cost_ns=cost_of(estimate),
        confidence=confidence_of(facts, "compute", strength=0.9),
        evidence=figures,
        recommendations=[fix],
    )
