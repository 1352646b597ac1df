"""Do kernels that only move data reach the memory bandwidth?

Detects:
    Elementwise, norm, reduction and copy kernels on large tensors that reach less than half of the bandwidth.

Why it costs time:
    Such kernels have nothing to do but to read and write; at half of the bandwidth they take twice as long.

How it is measured:
    Bytes from the recorded shapes (inputs read once, results written once) over the kernel's time, against the peak
    bandwidth of the device. What a kernel at the achievable bandwidth would save is the cost.

Does not apply when:
    The device's bandwidth or the shapes are not known, or these tensors are small.

Fix:
    Inputs whose last dimension is contiguous, so that threads read neighbours; elsewhere a fused or compiled version.

Verify:
    Record again: the time of the operators that are named here should fall.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.operator_figures import longest_operators, operators_of
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="low-bandwidth-kernels",
    category="compute",
    title="Kernels that move data reach the memory bandwidth",
    failed_title="Kernels that move data stay below half of the bandwidth",
    fixes=(),
    thresholds=(
        thresholds.LOW_BANDWIDTH,
        thresholds.LOW_BANDWIDTH_BYTES,
        thresholds.KERNEL_GAIN,
        thresholds.SHAPED_SHARE,
    ),
)

_CLASSES = ("elementwise", "normalization", "softmax", "reduction", "copy", "dropout", "embedding", "index")


def evaluate(facts: Facts) -> Judgement:
    """Judge the bandwidth of the kernels of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    if operators.device is None:
        return RULE.no_data("The memory bandwidth of this device is not known.")
    slow = [one for one in operators.work if _is_slow(one)]
    lost = sum(max(0.0, one.ns - (one.best_ns or one.ns)) for one in slow)
    figures = [
        evidence.share("lost to low bandwidth", facts, lost, thresholds.KERNEL_GAIN, source="roofline"),
        *(_reached(one) for one in slow[:3]),
        *longest_operators(slow, facts.critical.rank),
    ]
    if lost < thresholds.KERNEL_GAIN.value * facts.step.mean_ns:
        return RULE.passed(f"Low bandwidth costs {format_ns(lost)} of the step.", evidence=figures)
    return RULE.fired(
        facts,
        f"{len(slow)} operators on large tensors reach less than half of the memory bandwidth; at the usual one the "
        f"step would be {format_ns(lost)} shorter.",
        cost_ns=lost,
        confidence=confidence_of(facts, "compute", strength=0.7 * operators.shaped_share),
        evidence=figures,
        severity="info",
    )


def _is_slow(one: OperatorWork) -> bool:
    if one.kind not in _CLASSES or one.compiled or not one.bytes or not one.calls:
        return False
    large = one.bytes / one.calls >= thresholds.LOW_BANDWIDTH_BYTES.value
    return large and one.efficiency is not None and one.efficiency < thresholds.LOW_BANDWIDTH.value


def _reached(one: OperatorWork) -> Evidence:
    return evidence.number(f"bandwidth of {one.operator}", one.efficiency, "of the peak", source="roofline")
