"""Is a GPU held back by heat or by its power supply?

Detects:
    Samples in which the driver lowers the clocks for a thermal reason, a hardware slowdown or a power brake, on any
    rank's GPU.

Why it costs time:
    Kernels that are limited by arithmetic take longer by as much as the clock is lower, and with several ranks all of
    them wait for the slowest GPU.

How it is measured:
    The clock event reasons and the violation counters of the driver during the counted steps (NVML), and the clocks in
    samples with and without such a reason. The power limit alone is the rule power-cap.

Does not apply when:
    Training runs on the CPU.

Fix:
    Cooling, airflow, power supply: for the operator of the machine. Until then, leave this GPU out.

Verify:
    `nvidia-smi -q -d PERFORMANCE` under load shows no active slowdown; record again.
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
    id="throttling",
    category="compute",
    title="No GPU is held back by heat or power supply",
    failed_title="A GPU is held back by heat or power supply",
    fixes=("fix-throttling",),
    thresholds=(thresholds.THROTTLED,),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the GPU that is held back most."""
    if on_the_cpu(facts):
        return RULE.not_applicable("Training runs on the CPU.")
    known = [rank for rank in sampled(facts) if _held(rank) is not None]
    if not known:
        return RULE.no_data(NOT_SAMPLED)
    held = {rank.rank: share for rank in known if (share := _held(rank) or 0.0) >= thresholds.THROTTLED.value}
    if not held:
        return RULE.passed("The driver never lowered the clocks for heat or for the power supply.")
    worst = facts.ranks.get(max(held, key=lambda number: held[number]), facts.critical)
    hardware = worst.hardware
    assert hardware is not None
    reasons = [name for name in sorted(hardware.reasons, key=lambda n: -hardware.reasons[n]) if name in _TROUBLE]
    named = f" ({', '.join(reasons)})" if reasons else ""
    lost = _lost_ns(facts, worst)
    clocks = ""
    if hardware.slowed_mhz is not None and hardware.free_mhz is not None:
        clocks = f" It then runs at {hardware.slowed_mhz:.0f} instead of {hardware.free_mhz:.0f} MHz."
    return RULE.fired(
        facts,
        f"For {format_percent(held[worst.rank])} of the time {who(facts, worst)} is held back{named}.{clocks}",
        cost_ns=lost,
        confidence=0.9,
        evidence=[
            evidence.number("time held back", held[worst.rank], "of the time", source="NVML", rank=worst.rank),
            evidence.number("clock while held back", hardware.slowed_mhz, "MHz", source="NVML", rank=worst.rank),
            evidence.number("clock otherwise", hardware.free_mhz, "MHz", source="NVML", rank=worst.rank),
            evidence.number("highest temperature", hardware.temperature_c, "°C", source="NVML", rank=worst.rank),
        ],
        recommendations=[_cool(facts, worst, lost)],
        ranks=tuple(sorted(held)),
        severity="warning",
    )


_TROUBLE = frozenset({"hardware-slowdown", "software-thermal", "hardware-thermal", "power-brake"})


def _held(rank: RankFacts) -> float | None:
    """Share of the time held back: the counter misses nothing, the samples know more reasons."""
    hardware = rank.hardware
    if hardware is None:
        return None
    return max((s for s in (hardware.slowed_share, hardware.thermal_held_share) if s is not None), default=None)


def _lost_ns(facts: Facts, rank: RankFacts) -> float | None:
    """Kernel time that the lower clock costs: only while held back, and only where both clocks were seen."""
    hardware, share = rank.hardware, _held(rank)
    if hardware is None or share is None or hardware.slowed_mhz is None or not hardware.free_mhz:
        return None
    slower = max(0.0, 1 - hardware.slowed_mhz / hardware.free_mhz)
    return share * slower * part_ns(facts, "compute")


def _cool(facts: Facts, rank: RankFacts, lost: float | None) -> Recommendation:
    compute = part_ns(facts, "compute")
    share = _held(rank) or 0.0
    result, late = device_gain(
        facts,
        expected_ns=(lost or 0.0) / 2,
        low_ns=0.0,
        high_ns=share * compute if lost is None else lost,
        at_most_ns=compute,
        basis="bound",
    )
    why = "Kernels that arithmetic limits run in step with the clock; those that memory limits hardly do."
    return recommend(
        "fix-throttling",
        rule=RULE.id,
        facts=facts,
        action=f"Find out why {who(facts, rank)} is held back",
        why=f"{why} {late}".strip(),
        how="nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER -i GPU; then airflow, fans, power supply, or another GPU",
        gain=result,
        watch="the clock and the kernel time of this rank",
    )
