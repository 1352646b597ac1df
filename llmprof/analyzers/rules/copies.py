"""Which copies is a rule about copies asked about, and how fast could they be? Or why is there nothing to judge?"""

from __future__ import annotations

from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.facts.loading.copies import CopyFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import thresholds
from llmprof.analyzers.rules.base import Judgement, Rule

__all__ = ["copies_of", "link_bytes_per_s"]

LANE_BYTES_PER_S = {3: 0.985e9, 4: 1.969e9, 5: 3.938e9, 6: 7.563e9}
"""One direction of one lane by generation, after its line code (PCI-SIG specifications)."""


def copies_of(rule: Rule, facts: Facts) -> CopyFacts | Judgement:
    """The copies of the critical rank, or what the rule answers without them."""
    critical = facts.critical
    if critical.partition is not None and critical.partition.cpu_only:
        return rule.not_applicable("Training runs on the CPU: nothing is copied to a device.")
    if critical.copies is None or critical.partition is None:
        return rule.no_data("The recording holds no copies of traced steps; record a burst with device activities.")
    return critical.copies


def link_bytes_per_s(hardware: HardwareFacts | None) -> float | None:
    """What large copies from pinned memory reach over the PCIe link of a GPU; None where the link is not known."""
    if hardware is None or hardware.pcie_width_max is None or hardware.pcie_gen_max not in LANE_BYTES_PER_S:
        return None
    return thresholds.LINK_ACHIEVABLE.value * LANE_BYTES_PER_S[hardware.pcie_gen_max] * hardware.pcie_width_max
