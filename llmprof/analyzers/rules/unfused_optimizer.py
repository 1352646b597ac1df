"""Does the optimizer update its parameters in few kernels?

Detects:
    An optimizer that runs one kernel per operation and parameter (for-loop) or per operation and list of parameters
    (foreach) where a fused one would do it in a single pass.

Why it costs time:
    A for-loop optimizer launches several kernels for each parameter tensor; the host may need longer for that than for
    the whole forward pass. On the device every operation reads and writes all parameters and states once more.

How it is measured:
    The kind follows from the names of the optimizer's kernels. On the host the cost is the time inside
    `Optimizer.step`, measured without a profiler or corrected for it, as far as the device was idle because of the
    host. On the device it is the traffic that one fused pass saves; of SGD it is counted by its operations, and without
    momentum and weight decay that is none. On the CPU the time inside `Optimizer.step` falls with that traffic; a
    foreach one is no faster there, since its operations go through the list one by one.

Does not apply when:
    The optimizer is fused already, or has no fused form.

Fix:
    `fused=True` where the optimizer has it (Adam, AdamW, SGD, Adagrad), else `foreach=True`.

Verify:
    Record again: kernels per step fall, and with them the optimizer's share.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.diagnosis import Gain, Recommendation
from llmprof.analyzers.facts.device.kernels import KernelFacts
from llmprof.analyzers.facts.faster.fused_traffic import fused_traffic
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import data_late_weight, device_gain, gain, part_ns
from llmprof.analyzers.rules.optimizer_time import optimizer_host_time
from llmprof.units import format_count, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="unfused-optimizer",
    category="host",
    title="The optimizer is fused",
    failed_title="The optimizer runs many small kernels",
    fixes=("fused-optimizer", "foreach-optimizer"),
    thresholds=(
        thresholds.OPTIMIZER_COST,
        thresholds.OPTIMIZER_TRAFFIC,
        thresholds.FUSED_HOST_REST,
        thresholds.FOREACH_HOST_REST,
        thresholds.OPTIMIZER_LOW,
    ),
)

_HAS_FUSED = ("Adam", "AdamW", "SGD", "Adagrad")
"""Optimizers of torch.optim with a `fused` argument (PyTorch documentation of torch.optim)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    """What the optimizer costs beyond a fused one; ns per step."""

    host_low_ns: float
    host_ns: float
    host_high_ns: float
    device_ns: float
    """Device time of the optimizer's kernels."""
    traffic: float
    """The share of it that one pass saves."""

    @property
    def saved_ns(self) -> float:
        """Most that a fused optimizer can save, on the host or on the device."""
        fused = 1 - thresholds.FUSED_HOST_REST.value
        return max(self.host_high_ns * fused, self.device_ns * self.traffic)


def evaluate(facts: Facts) -> Judgement:
    """Judge the optimizer of the critical rank."""
    critical = facts.critical
    if critical.partition is not None and critical.partition.cpu_only:
        return _on_cpu(facts)
    kernels = critical.kernels
    if (kernels is None or kernels.optimizer_kind is None) and _built_fused(facts):
        return RULE.passed("The optimizer was built with fused=True.")
    if kernels is None or critical.partition is None:
        return RULE.no_data("The recording holds no kernels of traced steps; record a burst with device activities.")
    kind = kernels.optimizer_kind
    if kind is None:
        return RULE.no_data("No kernel of the traced steps was recognised as the optimizer's.")
    if kind == "fused":
        return RULE.passed("The optimizer's kernels are fused.")
    cost = _cost(facts, kernels)
    figures = [
        evidence.number("implementation", kind, "", source="kernel names", rank=critical.rank),
        evidence.number("optimizer kernels", kernels.optimizer_kernels_per_step, "per step", source="trace"),
        evidence.time("host time of the optimizer", cost.host_ns, source="trace", rank=critical.rank),
        evidence.time("device time of the optimizer", cost.device_ns, source="trace", rank=critical.rank),
        evidence.share("most that a fused one saves", facts, cost.saved_ns, thresholds.OPTIMIZER_COST, source="model"),
    ]
    share = cost.saved_ns / facts.step.mean_ns
    if share < thresholds.OPTIMIZER_COST.value:
        return RULE.passed(
            f"The optimizer is {kind}; a fused one would save {format_percent(share)} at most.", evidence=figures
        )
    many = format_count(kernels.optimizer_kernels_per_step)
    return RULE.fired(
        facts,
        f"The optimizer is {kind}: {many} kernels per step, {format_ns(cost.host_ns)} on the host "
        f"and {format_ns(cost.device_ns)} on the device.",
        cost_ns=cost.saved_ns,
        confidence=confidence_of(facts, "host", strength=0.9),
        evidence=figures,
        recommendations=_fixes(facts, kind, cost),
    )


def _on_cpu(facts: Facts) -> Judgement:
    """Judge by the time inside `Optimizer.step`, which the recorder measures: all of it holds training up there.

    Since torch 2.4 these optimizers have a fused kernel for the CPU (torch/utils/_foreach_utils.py names the devices).
    """
    critical = facts.critical
    settings = critical.environment.optimizers
    spent = critical.table.phases_ns.get("optimizer") if critical.table is not None else None
    if not spent or not settings or facts.step.basis != "unprofiled":
        return RULE.not_applicable("Training runs on the CPU, and what its optimizer takes there was not recorded.")
    if _built_fused(facts):
        return RULE.passed("The optimizer was built with fused=True.")
    if any(one.fused or one.name not in _HAS_FUSED or one.package not in (None, "torch") for one in settings):
        return RULE.not_applicable("Training runs on the CPU, and its optimizer has no fused form for that.")
    left = fused_traffic(critical.operators)
    if left is None and settings[0].name == "SGD":
        return RULE.no_data("Which operations SGD makes in a step was not recognised in the traced ones.")
    saved = spent * (thresholds.OPTIMIZER_TRAFFIC.value if left is None else 1 - left)
    share = saved / facts.step.mean_ns
    figures = [
        evidence.time("time inside Optimizer.step", spent, source="step times", rank=critical.rank),
        evidence.share("what a fused one saves", facts, saved, thresholds.OPTIMIZER_COST, source="model"),
    ]
    if share < thresholds.OPTIMIZER_COST.value:
        return RULE.passed(f"A fused optimizer would save {format_percent(share)} of the step.", evidence=figures)
    low, high = saved * thresholds.OPTIMIZER_LOW.value, spent * (1 - thresholds.FUSED_HOST_REST.value)
    estimate = gain(facts, expected_ns=saved, low_ns=low, high_ns=high, at_most_ns=spent)
    why = "One pass over parameters and states replaces one for each operation; PyTorch has one for the CPU, too."
    return RULE.fired(
        facts,
        f"The optimizer takes {format_ns(spent)} of every step on the CPU, and it is not the fused one.",
        cost_ns=saved,
        confidence=confidence_of(facts, strength=0.9),
        evidence=figures,
        recommendations=[_fix(facts, "fused-optimizer", settings[0].name, why, estimate)],
    )


def _built_fused(facts: Facts) -> bool:
    """What the settings say of all optimizers, for a recording whose kernels do not tell."""
    settings = facts.critical.environment.optimizers
    return bool(settings) and all(one.fused is True for one in settings)


def _cost(facts: Facts, kernels: KernelFacts) -> _Cost:
    spent = optimizer_host_time(facts)
    idle = part_ns(facts, "host")
    low, high = (0.0, 0.0) if spent is None else (min(spent.low_ns, idle), min(spent.high_ns, idle))
    left = fused_traffic(facts.critical.operators)
    return _Cost(
        host_low_ns=low,
        host_ns=(low + high) / 2,
        host_high_ns=high,
        device_ns=min(kernels.optimizer_device_ns or 0.0, part_ns(facts, "compute")),
        traffic=thresholds.OPTIMIZER_TRAFFIC.value if left is None else 1 - left,
    )


def _fixes(facts: Facts, kind: str, cost: _Cost) -> list[Recommendation]:
    settings = facts.critical.environment.optimizers
    name = settings[0].name if settings else None
    result = []
    if name is None or name in _HAS_FUSED:
        estimate, late = _better(_host(facts, cost, thresholds.FUSED_HOST_REST.value), _device(facts, cost))
        why = "One pass over parameters and states replaces one pass and one launch per operation."
        result.append(_fix(facts, "fused-optimizer", name, f"{why} {late}".rstrip(), estimate))
    if kind == "for-loop":
        estimate, late = _host(facts, cost, thresholds.FOREACH_HOST_REST.value)
        why = "One launch per operation for all parameters replaces one launch per operation and parameter."
        result.append(_fix(facts, "foreach-optimizer", name, f"{why} {late}".rstrip(), estimate))
    return result


def _fix(facts: Facts, fix: str, name: str | None, why: str, estimate: Gain) -> Recommendation:
    argument = fix.split("-")[0]
    made = f"torch.optim.{name}" if name in _HAS_FUSED else name or "the optimizer"
    return recommend(
        fix,
        rule=RULE.id,
        facts=facts,
        action=f"Use the {argument} implementation of {name or 'the optimizer'}",
        why=why,
        how=f"{made}(params, ...) -> {made}(params, ..., {argument}=True)",
        gain=estimate,
        watch="the optimizer's part",
    )


def _host(facts: Facts, cost: _Cost, rest: float) -> tuple[Gain, str]:
    """What fewer launches save: all of it in a step that waits for its host, the less the less it does."""
    weight, late = data_late_weight(facts)
    weight *= min(1.0, part_ns(facts, "host") / facts.step.mean_ns / thresholds.HOST_LATE_SHARE.value)
    saved = 1 - rest
    estimate = gain(
        facts,
        expected_ns=cost.host_ns * saved * weight,
        low_ns=cost.host_low_ns * saved * weight * thresholds.OPTIMIZER_LOW.value,
        high_ns=cost.host_high_ns,
        at_most_ns=part_ns(facts, "host"),
    )
    return estimate, late


def _device(facts: Facts, cost: _Cost) -> tuple[Gain, str]:
    """What less traffic saves in a step that waits for its device."""
    saved = cost.device_ns * cost.traffic
    return device_gain(
        facts,
        expected_ns=saved * thresholds.OPTIMIZER_LOW.value,
        low_ns=0.0,
        high_ns=saved,
        at_most_ns=saved,
    )


def _better(host: tuple[Gain, str], device: tuple[Gain, str]) -> tuple[Gain, str]:
    return host if host[0].expected_ms >= device[0].expected_ms else device
