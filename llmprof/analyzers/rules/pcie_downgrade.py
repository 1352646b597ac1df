"""Is a GPU's PCIe link slower than it could be?

Detects:
    A link with fewer lanes than GPU and slot have, or of a lower generation while it is in use.

Why it costs time:
    Batches come in, results and offloaded states go out over this link; half as many lanes carry half as much.

How it is measured:
    Generation and width of the link during the counted steps against the most that GPU and slot can do, and the traffic
    over it (NVML). A link without traffic falls back to generation 1 to save power, so a low generation counts only
    with traffic.

Does not apply when:
    Training runs on the CPU.

Fix:
    Reseat the card or the riser, check the slot's setting in the BIOS: for the operator of the machine.

Verify:
    `nvidia-smi -q -d PCIE`, or `lspci -vv` (LnkSta against LnkCap), while batches are copied.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.device_health import NOT_SAMPLED, on_the_cpu, sampled, who
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="pcie-downgrade",
    category="data",
    title="PCIe links run at full speed",
    failed_title="A PCIe link is slower than it could be",
    fixes=("repair-link",),
    thresholds=(thresholds.LINK_USED,),
)
_LANE_RATE = {1: 2.5 * 8 / 10, 2: 5 * 8 / 10, 3: 8 * 128 / 130, 4: 16 * 128 / 130, 5: 32 * 128 / 130, 6: 64 * 242 / 256}
"""Gbit/s of payload a lane by generation (PCI Express base specifications)."""


def evaluate(facts: Facts) -> Judgement:
    """Judge the link that is furthest below what it could be."""
    if on_the_cpu(facts):
        return RULE.not_applicable("Training runs on the CPU.")
    known = [rank for rank in sampled(facts) if rank.hardware is not None and rank.hardware.pcie_width is not None]
    if not known:
        return RULE.no_data(f"The PCIe link is not known. {NOT_SAMPLED}")
    slow = {rank.rank: share for rank in known if (share := _share(rank.hardware)) is not None and share < 1}
    if not slow:
        return RULE.passed("PCIe links have all lanes, and their generation where they were in use.")
    number = min(sorted(slow), key=lambda one: slow[one])
    rank = facts.ranks.get(number, facts.critical)
    hardware = rank.hardware
    assert hardware is not None
    copied = _copies_ns(facts)
    now, most = f"x{hardware.pcie_width}", f"x{hardware.pcie_width_max}"
    if hardware.pcie_gen is not None and hardware.pcie_gen_max is not None:
        now, most = f"generation {hardware.pcie_gen} {now}", f"generation {hardware.pcie_gen_max} {most}"
    lost = copied * (1 - slow[number])
    return RULE.fired(
        facts,
        f"The link of {who(facts, rank)} runs as {now}, it could be {most}; copies that nothing hides take "
        f"{format_ns(copied)} per step.",
        cost_ns=lost,
        confidence=0.8,
        evidence=[
            evidence.number("speed of the link, of its best", slow[number], "", source="NVML", rank=number),
            evidence.time("exposed copies between host and device", copied, source="partition"),
        ],
        recommendations=[_repair(facts, rank, copied, slow[number])],
        ranks=tuple(sorted(slow)),
        severity="warning",
    )


def _share(hardware: HardwareFacts | None) -> float | None:
    """What the link carries over what it could; 1 where nothing says that it is slow."""
    if hardware is None or hardware.pcie_width is None or not hardware.pcie_width_max:
        return None
    lanes = min(1.0, hardware.pcie_width / hardware.pcie_width_max)
    traffic = hardware.traffic_bytes_per_s
    used = traffic.get("pcie_tx", 0.0) + traffic.get("pcie_rx", 0.0) >= thresholds.LINK_USED.value
    now, most = _LANE_RATE.get(hardware.pcie_gen or 0), _LANE_RATE.get(hardware.pcie_gen_max or 0)
    rate = min(1.0, now / most) if used and now is not None and most is not None else 1.0
    return lanes * rate


def _copies_ns(facts: Facts) -> float:
    partition = facts.critical.partition
    return 0.0 if partition is None else sum(partition.detail.get(name, 0.0) for name in ("input_copy", "to_host"))


def _repair(facts: Facts, rank: RankFacts, copied: float, share: float) -> Recommendation:
    lost = copied * (1 - share)
    return recommend(
        "repair-link",
        rule=RULE.id,
        facts=facts,
        action=f"Bring the PCIe link of {who(facts, rank)} back to full speed",
        why="Copies between host and device take as much longer as the link is slower; small ones are as slow as ever.",
        how="lspci -vv -s BUS_ID (LnkSta: downgraded?); reseat card or riser, check the slot in the BIOS",
        gain=gain(facts, expected_ns=lost / 2, low_ns=0.0, high_ns=lost, at_most_ns=copied),
        watch="the exposed copies",
    )
