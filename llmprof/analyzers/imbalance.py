"""Is it one rank whose own work holds the others up; by how much, and what of it is longer?"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.straggler_rank import perturbed
from llmprof.analyzers.rules.thresholds import STRAGGLER_CAUSE

__all__ = ["IMBALANCE_SHARE", "Imbalance", "imbalance_of"]

IMBALANCE_SHARE = 0.10
"""Excess of the critical rank over the median of the others, as a share of the step (TraceML's straggler warning)."""
EXPLAINED_SHARE = 0.80
"""When one class explains this much of a straggler's excess, that class is the bound."""
ALIKE_SHARE = 0.10
"""Hosts that take at most this much longer do the same work: as much as makes a rank a straggler (TraceML)."""
_DISTORTED = ("host", "sync")
"""Parts that a profiler makes longer."""


@dataclass(frozen=True, slots=True)
class Imbalance:
    """How far the critical rank's own work exceeds the others' median (of the step); what one part explains."""

    share: float
    explained: float


def imbalance_of(facts: Facts) -> Imbalance | None:
    """The straggler, when the critical rank's own work exceeds the others' median by IMBALANCE_SHARE of the step.

    None also where it is the host that is later, or no part stands out, in a trace that slowed hosts down: a profiler
    does not slow all of them alike.
    """
    parts = {number: rank.partition for number, rank in facts.ranks.items() if rank.partition is not None}
    critical = facts.critical.partition
    if critical is None or len(parts) < 2 or critical.step_ns <= 0:
        return None
    own = {number: part.step_ns - part.parts["skew"] for number, part in parts.items()}
    others = [number for number in parts if number != facts.critical.rank]
    excess = own[facts.critical.rank] - statistics.median(own[number] for number in others)
    if excess < IMBALANCE_SHARE * critical.step_ns:
        return None
    over = {
        name: value - statistics.median(parts[number].parts[name] for number in others)
        for name, value in critical.parts.items()
        if name != "skew"
    }
    part = max(over, key=lambda name: over[name])
    if part == "data" and over["host"] > 0 and _hosts_alike(facts, others):
        excess -= over["host"]
        over["host"] = 0.0
        if excess < IMBALANCE_SHARE * critical.step_ns:
            return None
    untold = over[part] < STRAGGLER_CAUSE.value * sum(value for value in over.values() if value > 0)
    if (part in _DISTORTED or untold) and perturbed(facts):
        return None
    return Imbalance(excess / critical.step_ns, over[part] / excess)


def _hosts_alike(facts: Facts, others: list[int]) -> bool:
    """Whether the critical rank's host works no longer than the others', which issue their work while they wait for it.

    A rank whose batch comes late has its launches still to do when it comes; those of its peers are done by then, and
    are no less.
    """
    hosts = {number: rank.host.busy_ns for number, rank in facts.ranks.items() if rank.host is not None}
    own, known = hosts.get(facts.critical.rank), [busy for number in others if (busy := hosts.get(number)) is not None]
    return own is not None and len(known) == len(others) and own <= (1 + ALIKE_SHARE) * statistics.median(known)
