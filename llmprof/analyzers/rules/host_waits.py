"""What is the idle time made of that the host causes: launch overhead, pauses, collectives by hand, gaps?

Shares are taken from the traced step, whose spans are known, and applied to the step that is explained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmprof.analyzers.facts.communication.collectives import CollectiveFacts
from llmprof.analyzers.facts.host.blocking import HOST_IDLE, BlockedCalls
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import thresholds
from llmprof.analyzers.rules.gains import part_ns
from llmprof.timeline.environment import Environment
from llmprof.timeline.intervals import EMPTY, Intervals
from llmprof.units import NS_PER_MS

__all__ = ["HostWaits", "Loss", "host_waits", "later_ns", "loss", "reduced_by_hand", "unprofiled_ns"]

_FEW_UNWRAPPED = 4
"""Fewer all-reduces than this are taken for metrics and norms, whatever the model has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostWaits:
    """The host part of the critical rank's step, split; ns per step, summing to that part."""

    overhead_ns: float
    """Short waits, one before each of many kernels: what launching costs."""
    pause_ns: float
    """Long waits: the host did something else, or nothing that was recorded."""
    reduction_ns: float
    """Short waits while gradients are reduced one by one after the backward pass."""
    gap_ns: float
    """What the device needs from one kernel to the next that is launched already."""


def host_waits(facts: Facts) -> HostWaits:
    """Split the host part of the critical rank's step."""
    partition, traced = facts.critical.partition, facts.critical.traced
    total = part_ns(facts, "host")
    gap = 0.0 if partition is None else min(total, partition.detail.get("gap", 0.0))
    launch = total - gap
    waits = EMPTY if traced is None else traced.spans.get("launch", EMPTY)
    if not waits:
        return HostWaits(overhead_ns=launch, pause_ns=0.0, reduction_ns=0.0, gap_ns=gap)
    lengths = waits.ends - waits.starts
    long = lengths >= thresholds.PAUSE.value * NS_PER_MS
    short = Intervals.of(waits.starts[~long], waits.ends[~long])
    later = later_ns(facts) if long.any() else 0.0
    pause = (launch - later) * float(lengths[long].sum()) / waits.length + later
    reduction = (launch - later) * (short & _reduction_phase(facts)).length / waits.length
    return HostWaits(overhead_ns=launch - pause - reduction, pause_ns=pause, reduction_ns=reduction, gap_ns=gap)


def reduced_by_hand(facts: Facts) -> bool:
    """Whether gradients look reduced one by one after the backward pass, nothing hidden."""
    collectives = facts.critical.collectives
    if collectives is None:
        return False
    total = collectives.exposed_ns + collectives.hidden_ns
    if total <= 0 or collectives.exposed_ns < thresholds.UNOVERLAPPED.value * total:
        return False
    if any((group.backward_share or 0.0) > 0.5 for group in collectives.groups if group.op == "all_reduce"):
        return False  # the backward pass launches them: buckets, however late
    environment = facts.critical.environment
    if not collectives.groups and environment.ddp is not None:
        return False  # who launches them was not recorded, but DDP is there to
    count = _reductions(collectives)
    tensors = environment.optimizers[0].parameter_tensors if environment.optimizers else None
    matching = bool(tensors) and abs(count - (tensors or 0)) <= thresholds.PARAMETER_MATCH.value * (tensors or 0)
    if tensors and tensors >= thresholds.FEW_COLLECTIVES.value:
        return matching
    # What nothing wraps has no buckets of which there might be as many by chance.
    if matching and count >= _FEW_UNWRAPPED and _unwrapped(environment):
        return True
    return count >= thresholds.MANY_COLLECTIVES.value


def _unwrapped(environment: Environment) -> bool:
    """Whether the models are known, and nothing that reduces gradients wraps them."""
    wrappers = (environment.ddp, environment.fsdp, environment.deepspeed)
    return bool(environment.models) and all(one is None for one in wrappers)


def _reductions(collectives: CollectiveFacts) -> float:
    """All-reduces per step; every collective when their kinds are not known."""
    if not collectives.groups:
        return collectives.count_per_step
    return sum(group.count for group in collectives.groups if "all" in group.op and "reduce" in group.op)


def _reduction_phase(facts: Facts) -> Intervals:
    """From the first to the last collective of each traced step, when these are gradients reduced by hand."""
    critical = facts.critical
    if critical.traced is None or critical.windows is None or not reduced_by_hand(facts):
        return EMPTY
    spans = critical.traced.spans
    exposed = spans.get("communication", EMPTY) | spans.get("skew", EMPTY)
    first = np.searchsorted(exposed.starts, critical.windows.start_ns, side="left")
    last = np.searchsorted(exposed.starts, critical.windows.end_ns, side="left") - 1
    some = last >= first
    return Intervals.of(exposed.starts[first[some]], exposed.ends[last[some]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What the step loses because the host waits inside calls of some groups; ns per step that is explained."""

    cost_ns: float
    """Idle time that goes when none of the host's waits were there, as far as these groups are to blame."""
    alone_ns: float
    """Of it, what goes when only these groups do not wait: another wait may take their place."""
    calls: tuple[BlockedCalls, ...]

    @property
    def count(self) -> float:
        """Waits per step."""
        return sum(one.count for one in self.calls)

    @property
    def operators(self) -> str:
        """The operators that wait most, for a sentence."""
        return ", ".join(
            dict.fromkeys(f"{one.operator} at {one.place}" if one.place else one.operator for one in self.calls[:3])
        )


def loss(facts: Facts, *groups: str) -> Loss | None:
    """What waits of these groups (`facts.host.blocking.GROUPS`) cost; None where the recording does not tell."""
    causes = facts.critical.causes
    found = causes.blocking if causes is not None else None
    if found is None:
        return None
    most = part_ns(facts, "host", "sync", "memory_management")
    alone = min(most, unprofiled_ns(facts, sum(found.alone_ns.get(group, 0.0) for group in groups)))
    together = min(most, unprofiled_ns(facts, sum(found.together_ns.get(group, 0.0) for group in groups)))
    return Loss(cost_ns=max(alone, together), alone_ns=alone, calls=found.of(*groups))


def later_ns(facts: Facts) -> float:
    """What the device waits longer for its host than in the traced steps: for what the loop does between its phases."""
    partition, traced = facts.critical.partition, facts.critical.traced
    if partition is None or traced is None or facts.critical.longer_ns <= 0:
        return 0.0
    return max(partition.detail.get("launch", 0.0) - traced.detail.get("launch", 0.0), 0.0)


def unprofiled_ns(facts: Facts, traced_ns: float) -> float:
    """Idle time of the traced step that the host causes, shrunk as much as all such time is without the profiler."""
    partition, traced = facts.critical.partition, facts.critical.traced
    if partition is None or traced is None:
        return traced_ns
    names = (*HOST_IDLE, "python")
    before = sum(traced.detail.get(name, 0.0) for name in names)
    after = sum(partition.detail.get(name, 0.0) for name in names)
    return traced_ns * min(1.0, after / before) if before > 0 else 0.0
