"""May cuDNN choose the fastest algorithm for each convolution?

Detects:
    Convolutions that take much of the step while `torch.backends.cudnn.benchmark` is off.

Why it costs time:
    cuDNN then picks an algorithm by rule instead of by trying which is fastest for the shape.

How it is measured:
    Time of the convolution kernels, and the recorded setting. How much another algorithm saves cannot be known before
    it is tried, so nothing is promised.

Does not apply when:
    Convolutions take little, the setting is on, or it is off for the sake of determinism.

Fix:
    `torch.backends.cudnn.benchmark = True` before training, when shapes stay the same.

Verify:
    Record again and compare the convolution class; the first steps are slower.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.saving import Saving
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.operator_figures import kernel_gain, operators_of
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="cudnn-benchmark",
    category="compute",
    title="cuDNN chooses its algorithms by trying",
    failed_title="cuDNN may not try its algorithms",
    fixes=("cudnn-benchmark",),
    thresholds=(thresholds.CONVOLUTION_SHARE, thresholds.BENCHMARK_HIGH, thresholds.HOST_LATE_SHARE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge cuDNN's setting on the critical rank."""
    operators = operators_of(RULE, facts, shapes=False)
    if isinstance(operators, Judgement):
        return operators
    total = sum(one.ns for one in operators.work if one.operator.startswith("aten::convolution"))
    figures = [evidence.share("convolutions", facts, total, thresholds.CONVOLUTION_SHARE, source="trace")]
    if total < thresholds.CONVOLUTION_SHARE.value * facts.step.mean_ns:
        return RULE.not_applicable(f"Convolutions take {format_ns(total)} of the step.")
    precision = facts.critical.environment.precision
    if precision.cudnn_benchmark is None:
        return RULE.no_data("Whether cuDNN may try its algorithms is not recorded; `llmprof run` does.")
    if precision.cudnn_benchmark or precision.cudnn_deterministic or precision.deterministic_algorithms:
        return RULE.passed("cuDNN tries its algorithms, or is kept from it for determinism.", evidence=figures)
    estimate, late = kernel_gain(facts, Saving(ns=total, high_ns=total * thresholds.BENCHMARK_HIGH.value))
    fix = recommend(
        "cudnn-benchmark",
        rule=RULE.id,
        facts=facts,
        action="Let cuDNN try its algorithms",
        why=f"It then takes the fastest for each shape; how much faster that is, only a try tells. {late}".rstrip(),
        how="torch.backends.cudnn.benchmark = True before the first step, if shapes stay the same",
        gain=estimate,
        watch="the convolution class",
    )
    return RULE.fired(
        facts,
        f"Convolutions take {format_ns(total)} of the step with torch.backends.cudnn.benchmark off.",
        cost_ns=None,
        confidence=confidence_of(facts, "compute", strength=0.5),
        evidence=figures,
        recommendations=[fix],
        severity="info",
    )
