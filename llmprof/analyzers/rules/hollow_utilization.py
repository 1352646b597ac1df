"""Is the GPU busy without doing much?

Detects:
    A GPU utilisation of nearly 100 % while less than half of its multiprocessors have work, or while it draws less than
    half of its power.

Why it costs time:
    The utilisation that nvidia-smi shows says only that some kernel runs. One small kernel after the other, or a
    collective that waits, gives 100 % too. What such a step waits for is told by its parts and by the other rules.

How it is measured:
    NVML's utilisation, SM activity (GPM) and power during the counted steps.

Does not apply when:
    Training runs on the CPU, or the utilisation is lower: then idle time shows by itself.

Fix:
    None of its own: larger or fewer kernels (batch, compilation, fusion), or whatever the collectives wait for.

Verify:
    SM activity rises with the fix of the cause; utilisation does not change.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.device_health import NOT_SAMPLED, on_the_cpu, who
from llmprof.units import format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="hollow-utilization",
    category="compute",
    title="Utilisation means work",
    failed_title="The GPU is busy without doing much",
    fixes=(),
    thresholds=(thresholds.UTILIZATION_FULL, thresholds.SM_HOLLOW, thresholds.POWER_HOLLOW),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the GPU of the critical rank."""
    if on_the_cpu(facts):
        return RULE.not_applicable("Training runs on the CPU.")
    hardware = facts.critical.hardware
    if hardware is None or hardware.utilization is None:
        return RULE.no_data(NOT_SAMPLED)
    shown = format_percent(hardware.utilization)
    if hardware.utilization < thresholds.UTILIZATION_FULL.value:
        return RULE.not_applicable(f"Utilisation is {shown}: idle time shows by itself.")
    active, power = hardware.activity.get("sm_active"), None
    if hardware.power_w is not None and hardware.power_limit_w:
        power = hardware.power_w / hardware.power_limit_w
    if active is None and power is None:
        return RULE.no_data("Neither SM activity nor power was sampled.")
    figures = [
        evidence.number("GPU utilisation", hardware.utilization, "of the time", source="NVML"),
        evidence.number("SM activity", active, "of the multiprocessors, on average", source="GPM"),
        evidence.number("power", power, "of the limit", source="NVML"),
    ]
    hollow = active < thresholds.SM_HOLLOW.value if active is not None else False
    if active is None and power is not None:
        hollow = power < thresholds.POWER_HOLLOW.value
    if active is not None:
        what = f"{format_percent(active)} of its multiprocessors have work on average"
    else:
        what = f"it draws {format_percent(power)} of its power limit"
    if not hollow:
        return RULE.passed(f"Utilisation is {shown}, and {what}.", evidence=figures)
    return RULE.fired(
        facts,
        f"Some kernel runs on {who(facts, facts.critical)} for {shown} of the time, but only {what}.",
        cost_ns=None,
        confidence=0.8 if active is not None else 0.6,
        evidence=figures,
        severity="info",
    )
