"""Does the power limit hold the GPU's clocks down?

Detects:
    Time at the power limit, and a limit that was set below the GPU's default.

Why it costs time:
    At its limit a GPU lowers its clocks until the power fits. Under full load that is how it is meant to run; with a
    lowered limit the same work takes longer.

How it is measured:
    The driver's power violation counter and clock event reasons during the counted steps, the enforced and the default
    limit, and the mean clock against the highest (NVML).

Does not apply when:
    Training runs on the CPU.

Fix:
    Where the limit was lowered: raise it to the default, if the machine's cooling allows. Otherwise nothing.

Verify:
    `nvidia-smi -q -d POWER` shows the default limit; record again.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.device_health import NOT_SAMPLED, on_the_cpu, sampled, who
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import device_gain, part_ns
from llmprof.units import format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="power-cap",
    category="compute",
    title="The power limit does not matter",
    failed_title="The GPU runs at its power limit",
    fixes=("fix-throttling",),
    thresholds=(thresholds.POWER_CAPPED, thresholds.POWER_LOWERED),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the GPU that is at its power limit for longest."""
    if on_the_cpu(facts):
        return RULE.not_applicable("Training runs on the CPU.")
    known = {rank.rank: share for rank in sampled(facts) if (share := _capped(rank)) is not None}
    if not known:
        return RULE.no_data(NOT_SAMPLED)
    number = max(sorted(known), key=lambda one: (known[one], one == facts.critical.rank))
    rank, share = facts.ranks.get(number, facts.critical), known[number]
    hardware = rank.hardware
    assert hardware is not None
    figures = [
        evidence.number("time at the power limit", share, "of the time", source="NVML", rank=number),
        evidence.number("power", hardware.power_w, "W", source="NVML", rank=number),
        evidence.number("power limit", hardware.power_limit_w, "W", source="NVML", rank=number),
        evidence.number("default power limit", hardware.power_default_w, "W", source="NVML", rank=number),
        evidence.number("mean clock", hardware.clock_share, "of the highest", source="NVML", rank=number),
    ]
    text = f"For {format_percent(share)} of the time {who(facts, rank)} is at its power limit"
    if share < thresholds.POWER_CAPPED.value:
        return RULE.passed(f"{text}.", evidence=figures)
    lowered = _lowered(rank)
    clocks = f", with {format_percent(hardware.clock_share)} of its highest clock" if hardware.clock_share else ""
    end = " This is normal under full load."
    if lowered:
        limit, default = hardware.power_limit_w or 0.0, hardware.power_default_w or 0.0
        end = f" The limit of {limit:.0f} W is below the default of {default:.0f} W."
    return RULE.fired(
        facts,
        f"{text}{clocks}.{end}",
        cost_ns=None,
        confidence=0.9,
        evidence=figures,
        recommendations=[_raise(facts, rank, share)] if lowered else [],
        ranks=tuple(sorted(one for one, value in known.items() if value >= thresholds.POWER_CAPPED.value)),
        severity="warning" if lowered else "info",
    )


def _capped(rank: RankFacts) -> float | None:
    hardware = rank.hardware
    if hardware is None or hardware.samples == 0:
        return None
    sampled_share = hardware.reasons.get("software-power-cap", 0.0) if hardware.slowed_share is not None else None
    return max((s for s in (sampled_share, hardware.power_held_share) if s is not None), default=None)


def _lowered(rank: RankFacts) -> bool:
    hardware = rank.hardware
    if hardware is None or not hardware.power_default_w or hardware.power_limit_w is None:
        return False
    return hardware.power_limit_w < thresholds.POWER_LOWERED.value * hardware.power_default_w


def _raise(facts: Facts, rank: RankFacts, share: float) -> Recommendation:
    hardware = rank.hardware
    assert hardware is not None
    compute = part_ns(facts, "compute")
    # Clocks rise by less than the power does (dynamic power grows faster than the clock), never above the highest.
    room = 1 - (hardware.clock_share or 1.0)
    more = 1 - (hardware.power_limit_w or 0.0) / (hardware.power_default_w or 1.0)
    result, late = device_gain(
        facts,
        expected_ns=0.0,
        low_ns=0.0,
        high_ns=share * min(room, more) * compute,
        at_most_ns=compute,
        basis="bound",
    )
    why = "The clock, and with it kernels that arithmetic limits, rises with the power, if by less."
    return recommend(
        "fix-throttling",
        rule=RULE.id,
        facts=facts,
        action=f"Raise the power limit to the default of {hardware.power_default_w:.0f} W",
        why=f"{why} {late}".strip(),
        how=f"nvidia-smi -pl {hardware.power_default_w:.0f} -i GPU (as root; ask who lowered it)",
        gain=result,
        watch="the clock and the kernel time",
    )
