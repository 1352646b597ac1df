"""Does memory bandwidth or arithmetic limit the kernels?

Detects:
    Steps in which most of the kernel time goes to operators that wait for memory rather than for arithmetic.

Why it costs time:
    A kernel that reads and writes more than it computes runs at the speed of the memory; faster arithmetic does not
    help it. Fewer passes over the data do.

How it is measured:
    Every operator with known shapes is limited by the longer of its arithmetic and its traffic at the device's
    achievable rates. The shares are of the kernel time of those operators.

Does not apply when:
    Shapes or the device's rates are not known.

Fix:
    None of its own: fused kernels (unfused-elementwise, unfused-attention, unfused-cross-entropy), lower precision, or
    a larger micro-batch.

Verify:
    Record again: the share of kernel time that is limited by memory should fall.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.gains import part_ns
from llmprof.analyzers.rules.operator_figures import longest_operators, operators_of
from llmprof.units import format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="bandwidth-bound",
    category="compute",
    title="Arithmetic limits the kernels",
    failed_title="Memory bandwidth limits the kernels",
    fixes=(),
    thresholds=(thresholds.MEMORY_LIMITED, thresholds.SHAPED_SHARE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge what limits the kernels of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    known = operators.memory_limited_ns + operators.arithmetic_limited_ns
    if operators.device is None or known < thresholds.SHAPED_SHARE.value * operators.ns:
        return RULE.no_data(
            "What limits most of the kernels is not known: the device's rates or the shapes are missing."
        )
    share = operators.memory_limited_ns / known
    limited = [one for one in operators.work if one.memory_limited]
    figures = [
        evidence.number("kernel time limited by memory", share, "of kernel time", source="roofline"),
        evidence.time("limited by memory", operators.memory_limited_ns, source="roofline"),
        evidence.time("limited by arithmetic", operators.arithmetic_limited_ns, source="roofline"),
        *longest_operators(limited, facts.critical.rank),
    ]
    summary = f"{format_percent(share)} of the kernel time is limited by memory bandwidth."
    device_is_busy = part_ns(facts, "compute") >= thresholds.MEMORY_LIMITED.value * facts.step.mean_ns
    if share < thresholds.MEMORY_LIMITED.value or not device_is_busy:
        return RULE.passed(summary, evidence=figures)
    return RULE.fired(
        facts,
        summary,
        cost_ns=None,
        confidence=confidence_of(facts, "compute", strength=operators.shaped_share),
        evidence=figures,
        severity="info",
    )
