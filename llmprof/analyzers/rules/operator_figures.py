"""What do rules about kernels start from? The operators of the critical rank, or the answer that there are none."""

from __future__ import annotations

from collections.abc import Iterable

from llmprof.analyzers.diagnosis import Evidence, Gain
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.facts.operators.saving import Saving
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.gains import device_gain
from llmprof.units import NS_PER_MS, format_percent

__all__ = ["cost_of", "kernel_gain", "longest_operators", "operators_of", "worth"]

SHOWN = 3


def operators_of(rule: Rule, facts: Facts, *, shapes: bool = True) -> OperatorFacts | Judgement:
    """The operators of the critical rank, or what the rule answers without them.

    shapes    whether the rule needs input shapes
    """
    critical = facts.critical
    if critical.partition is not None and critical.partition.cpu_only:
        return rule.not_applicable("Training runs on the CPU: there are no kernels.")
    operators = critical.operators
    if operators is None or critical.partition is None:
        return rule.no_data("The recording holds no kernels with their operators; record a burst with `llmprof run`.")
    if shapes and operators.shaped_share < thresholds.SHAPED_SHARE.value:
        return rule.no_data(
            f"The input shapes of {format_percent(1 - operators.shaped_share)} of the kernel time are not known; "
            "record them with `llmprof run`, or with record_shapes=True in torch.profiler."
        )
    return operators


def worth(facts: Facts, ns: float) -> bool:
    """Whether a saving on the device is large enough to be named."""
    return ns >= thresholds.KERNEL_GAIN.value * facts.step.mean_ns


def kernel_gain(facts: Facts, saving: Saving, *, at_most_ns: float | None = None) -> tuple[Gain, str]:
    """The gain of shorter kernels with a sentence when waiting takes it away; see `gains.device_gain`.

    at_most_ns    all that can go; without it what the kernels take now
    """
    return device_gain(
        facts,
        low_ns=saving.low_ns,
        expected_ns=saving.expected_ns,
        high_ns=saving.high_ns,
        at_most_ns=saving.ns if at_most_ns is None else at_most_ns,
    )


def longest_operators(work: Iterable[OperatorWork], rank: int, *, most: int = SHOWN) -> list[Evidence]:
    """The longest of these operators, with shapes where they are known."""
    chosen = sorted(work, key=lambda one: -one.ns)[:most]
    return [evidence.time(_label(one), one.ns, source="trace", rank=rank) for one in chosen]


def _label(one: OperatorWork) -> str:
    dims = (one.shapes or "").partition("|")[0].replace(";[]", "")
    where = "backward" if one.backward else "forward"
    text = f"{one.operator or one.kernel[:60]} {dims[:80]}".strip()
    return f"{text} ({where})"


def cost_of(gain: Gain) -> float:
    """What a finding costs when its fix is expected to save this, ns."""
    return max(0.0, gain.expected_ms) * NS_PER_MS
