"""Do copies to the device run at the rate of its link?

Detects:
    Large copies from pinned memory that are much slower than the PCIe link of the GPU allows.

Why it costs time:
    The device waits longer for its batch. The usual causes: memory on the other socket, a link that has fallen back, or
    several devices behind one switch.

How it is measured:
    Bytes over device time of all copies from pinned memory when the largest is at least a MiB, against 0.87 of the
    link's nominal rate (its highest generation and width, as the driver reports them). The gain is the exposed part of
    these copies, shortened to that rate.

Does not apply when:
    Training runs on the CPU, only small copies are made, or the copies are hidden.

Fix:
    Bind each rank to the cores and the memory near its GPU.

Verify:
    Record again: the rate rises, and the data part of the step falls.
"""

from __future__ import annotations

from llmprof.analyzers.facts.loading.copies import CopyGroup
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.copies import copies_of, link_bytes_per_s
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="slow-copies",
    category="data",
    title="Copies to the device run at the rate of the link",
    failed_title="Copies to the device are slower than the link",
    fixes=("numa-binding",),
    thresholds=(
        thresholds.SLOW_COPY,
        thresholds.LINK_ACHIEVABLE,
        thresholds.LARGE_COPY,
        thresholds.SLOW_COPY_COST,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the rate of the critical rank's copies from pinned memory."""
    critical = facts.critical
    copies = copies_of(RULE, facts)
    if isinstance(copies, Judgement):
        return copies
    pinned = copies.pinned_to_device
    if pinned.bytes_per_s is None or pinned.largest_bytes < thresholds.LARGE_COPY.value:
        return RULE.not_applicable("No large copy is made from pinned memory.")
    hardware = critical.hardware
    expected = link_bytes_per_s(hardware)
    if expected is None or hardware is None:
        return RULE.no_data("The PCIe link of the GPU is not known; `llmprof run` records it.")
    link = f"PCIe {hardware.pcie_gen_max} x{hardware.pcie_width_max}"
    cost = _cost(pinned, expected)
    share = cost / facts.step.mean_ns
    rate, best = f"{pinned.bytes_per_s / 1e9:.1f} GB/s", f"{expected / 1e9:.0f} GB/s"
    figures = [
        evidence.number("rate of pinned copies", pinned.bytes_per_s / 1e9, "GB/s", source="copies", rank=critical.rank),
        evidence.number("rate that the link reaches", expected / 1e9, "GB/s", source=link),
        evidence.share("exposed time above that rate", facts, cost, thresholds.SLOW_COPY_COST, source="copies"),
        evidence.number("rank runs far from its GPU", str(hardware.far_cpus), "", source="topology"),
    ]
    if pinned.bytes_per_s >= thresholds.SLOW_COPY.value * expected or share < thresholds.SLOW_COPY_COST.value:
        return RULE.passed(f"Pinned copies run at {rate}; the link reaches {best}.", evidence=figures)
    return RULE.fired(
        facts,
        f"Copies from pinned memory run at {rate}, the link reaches {best}; the step loses {format_ns(cost)} to it.",
        cost_ns=cost,
        confidence=confidence_of(facts, "data", strength=0.8),
        evidence=figures,
        recommendations=[
            recommend(
                "numa-binding",
                rule=RULE.id,
                facts=facts,
                action="Bind each rank to the cores and the memory near its GPU",
                why="Memory on the other socket is read through the link between the sockets.",
                how="numactl --cpunodebind=N --membind=N python ... (N: the GPU's NUMA node, nvidia-smi topo -m)",
                gain=gain(
                    facts,
                    expected_ns=cost if hardware.far_cpus else 0.5 * cost,
                    low_ns=0.0,
                    high_ns=cost,
                    at_most_ns=cost,
                ),
                watch="the data part",
            )
        ],
    )


def _cost(pinned: CopyGroup, expected_bytes_per_s: float) -> float:
    """Exposed ns per step that copies at the expected rate would not take."""
    rate = pinned.bytes_per_s or expected_bytes_per_s
    return pinned.exposed_ns * max(0.0, 1 - rate / expected_bytes_per_s)
