"""Which copies is a rule about copies asked about, or why is there nothing to judge?"""

from __future__ import annotations

from llmprof.analyzers.facts.copies import CopyFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.base import Judgement, Rule

__all__ = ["copies_of"]


def copies_of(rule: Rule, facts: Facts) -> CopyFacts | Judgement:
    """The copies of the critical rank, or what the rule answers without them."""
    critical = facts.critical
    if critical.partition is not None and critical.partition.cpu_only:
        return rule.not_applicable("Training runs on the CPU: nothing is copied to a device.")
    if critical.copies is None or critical.partition is None:
        return rule.no_data("The recording holds no copies of traced steps; record a burst with device activities.")
    return critical.copies
