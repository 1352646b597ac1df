"""How do the rules on waits of the host tell their figures, and what may their fixes promise?"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence, Gain
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.gains import data_late_weight, gain
from llmprof.analyzers.rules.host_waits import Loss, host_waits, loss, unprofiled_ns
from llmprof.analyzers.rules.thresholds import Threshold

__all__ = ["MISSING", "figures", "late_anyway", "taken_out", "wait_gain"]

MISSING = "The recording holds no runtime calls of traced steps, so the host's waits are unknown; record a burst."

_GROUPS = {"remove-sync": ("read", "shapes", "explicit"), "log-less-often": ("to-host",)}
"""By fix the groups of waits (facts.host.blocking) that it takes out."""


def figures(facts: Facts, lost: Loss, limit: Threshold) -> list[Evidence]:
    """The loss against its limit, the operators with their counts, and where to look."""
    rank = facts.critical.rank
    blocked = sum(one.blocked_ns for one in lost.calls)
    window = evidence.longest(facts.critical, "sync", "memory_management")
    result = [
        evidence.share("device idle because of these waits", facts, lost.cost_ns, limit, source="trace"),
        evidence.time("of it, gone when nothing else waits less", lost.alone_ns, source="trace", rank=rank),
        evidence.time("host inside the calls, traced step", blocked, source="trace", rank=rank, window=window),
    ]
    for one in lost.calls[:5]:
        where = f" at {one.place}" if one.place else ""
        result.append(evidence.number(f"waits in {one.operator}{where}", one.count, "per step", source="trace"))
    return result


def taken_out(facts: Facts, fix: str) -> Loss | None:
    """The waits that this fix takes out, and no other; None where the recording does not tell.

    Raises KeyError for a fix that takes none out.
    """
    return loss(facts, *_GROUPS[fix])


def late_anyway(facts: Facts, lost: Loss) -> bool:
    """Whether these are many waits in a step that waits for its launches.

    Then the host is blocked for a moment only, the more so in traced steps, and the loss is not told by that.
    """
    waits = host_waits(facts)
    launching = waits.overhead_ns + waits.reduction_ns >= thresholds.LAUNCH_SHARE.value * facts.step.mean_ns
    return launching and lost.count > thresholds.GRAPH_SYNCS.value


def wait_gain(facts: Facts, lost: Loss, *, share: float = 1.0) -> tuple[Gain, str]:
    """What a step saves that waits a share less often, and a sentence where that is less than the waits cost.

    The idle time after a wait goes only as far as the host was blocked in it, and comes back at the next wait that
    stays; the high end has none of the waits left.
    """
    weight, late = data_late_weight(facts)
    alone = weight * share * lost.alone_ns
    estimate = gain(
        facts,
        expected_ns=alone,
        low_ns=thresholds.SYNC_LOW.value * alone,
        high_ns=share * lost.cost_ns,
        at_most_ns=lost.cost_ns,
    )
    others = "" if lost.alone_ns >= 0.5 * lost.cost_ns else _others(facts)
    return estimate, late or others


def _others(facts: Facts) -> str:
    causes = facts.critical.causes
    found = causes.blocking if causes is not None else None
    if found is None or not found.together_ns:
        return ""
    most = max(found.together_ns, key=lambda group: found.together_ns[group])
    if unprofiled_ns(facts, found.together_ns[most]) <= 0:
        return ""
    return "Other waits of the host stay and take part of the gain; take them out together."
