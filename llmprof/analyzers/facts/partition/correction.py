"""What would the traced step look like without the profiler? The partition of the step that really runs.

A profiler makes the host slower: every operator and runtime call that it records costs time. Device work keeps its
length. So each idle span of the traced step is shortened by `cost x host events recorded inside it`, never below zero.
Two parameters are fitted, on the total step time alone: first the cost of a recorded event, then, where a believable
cost is not enough, a common stretch of the host (a process under a profiler also runs its own Python slower). Classes
that were measured on unprofiled steps replace their estimate. What is left over is `untraced` (part `other`) and is
reported as the remainder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.partition.partition import PART_OF, Partition, parts_of
from llmprof.timeline.events import EventTable, Kind
from llmprof.timeline.intervals import Int64, Intervals

__all__ = ["ELASTIC", "Correction", "Elastic", "HostEvents", "correct", "elastic_of", "host_events", "waited_longer"]

ELASTIC = ("launch", "sync", "memory_management", "wait", "skew")
"""Classes that the host makes longer under a profiler. Gaps of the hardware queue and dependencies are not."""

MAX_COST_NS = 15_000.0
"""The largest believable cost of one recorded event (on H200 hosts 2 to 11 µs were fitted, the latter with a busy
second thread)."""

MOST_OF_IT = 0.5
"""Of what is unexplained, in a host that was seen to take longer: then all of it is. The windows of traced steps end
with the device's work, and hold less of what the host does afterwards than the steps that the host's clock tiles."""

MAX_STRETCH = 1.25
"""The largest believable common stretch; what is missing beyond it counts as unexplained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A corrected partition, what it could not explain, and the fitted cost of one recorded event."""

    partition: Partition
    remainder_ns: float
    """Unprofiled step minus what the corrected classes sum to; positive is booked under `untraced`."""
    event_cost_ns: float


@dataclass(frozen=True, slots=True, eq=False)
class Elastic:
    """Spans that the host makes longer under a profiler; columns have shape (n,).

    length_ns    of each span
    events       host events that begin inside it
    owner        index of its class in `names`
    """

    names: tuple[str, ...]
    length_ns: npt.NDArray[np.float64]
    events: npt.NDArray[np.float64]
    owner: npt.NDArray[np.intp]

    def __or__(self, other: Elastic) -> Elastic:
        """Both; no class may be in both."""
        return Elastic(
            self.names + other.names,
            np.concatenate([self.length_ns, other.length_ns]),
            np.concatenate([self.events, other.events]),
            np.concatenate([self.owner, other.owner + len(self.names)]),
        )

    def binned(self, most: int) -> Elastic:
        """About the same in at most about `most` rows, for a rank that is sent from process to process.

        Rows of one class are joined when no cost up to MAX_COST_NS brings one of them to zero before the other: then
        joining changes nothing. If more than `most` are left, neighbours by that cost are joined.
        """
        limit = np.divide(self.length_ns, self.events, out=np.full(self.events.shape, np.inf), where=self.events > 0)
        limit = np.minimum(limit, MAX_COST_NS)
        order = np.lexsort((limit, self.owner))
        limit, owner = limit[order], self.owner[order]
        opens = np.ones(order.size, dtype=bool)
        opens[1:] = (owner[1:] != owner[:-1]) | (limit[1:] != limit[:-1])
        bins = np.cumsum(opens) - 1
        count = int(bins[-1]) + 1 if bins.size else 0
        if count > most:
            # Whole classes keep apart: a bin ends with its class.
            bins = bins * most // count * len(self.names) + owner
            bins = np.unique(bins, return_inverse=True)[1]
            count = int(bins.max()) + 1
        length, events = np.zeros(count), np.zeros(count)
        np.add.at(length, bins, self.length_ns[order])
        np.add.at(events, bins, self.events[order])
        joined = np.zeros(count, dtype=np.intp)
        joined[bins] = owner
        return Elastic(self.names, length, events, joined)


@dataclass(frozen=True, slots=True, eq=False)
class HostEvents:
    """How many events the profiler has recorded of the host until when: a step function; both have shape (n,).

    at_ns     ascending
    before    events that began before
    every     events between two neighbours, where not each one is known
    """

    at_ns: Int64
    before: npt.NDArray[np.int32]
    every: int = 1

    @classmethod
    def of(cls, starts_ns: Int64) -> HostEvents:
        """Every one of these starts, in any order."""
        return cls(np.sort(starts_ns) + 1, np.arange(1, starts_ns.size + 1, dtype=np.int32))

    def count(self, spans: Intervals) -> npt.NDArray[np.float64]:
        """Events that begin in each of the spans; shape (spans,)."""
        first, last = self._until(spans.starts), self._until(spans.ends)
        result: npt.NDArray[np.float64] = last - first
        return result

    def thinned(self, spans: Intervals, most: int) -> HostEvents:
        """The same for these spans and what lies in them, in at most about `most` steps beside those of their edges."""
        inside = spans.contains(self.at_ns - 1)
        every = max(1, -(-int(inside.sum()) // most))
        kept = self.at_ns[inside][every - 1 :: every]
        at = np.unique(np.concatenate([kept, spans.starts, spans.ends]))
        return HostEvents(at, self._until(at).astype(np.int32), every)

    def _until(self, points: Int64) -> npt.NDArray[np.float64]:
        if self.every > 1:
            return np.interp(points, self.at_ns, self.before)
        steps = np.concatenate([np.zeros(1, np.float64), self.before])
        return steps[np.searchsorted(self.at_ns, points, side="right")]


def host_events(events: EventTable) -> HostEvents:
    """What the profiler recorded of the host."""
    return HostEvents.of(events.ts[events.rows(Kind.CPU_OP, Kind.RUNTIME, Kind.ANNOTATION)])


def elastic_of(spans: Mapping[str, Intervals], host: HostEvents) -> Elastic:
    """The spans of all these classes with the host events inside."""
    some = [(name, value) for name, value in spans.items() if value]
    lengths = [np.empty(0, np.int64), *(value.ends - value.starts for _, value in some)]
    counts = [np.empty(0, np.float64), *(host.count(value) for _, value in some)]
    return Elastic(
        tuple(name for name, _ in some),
        np.concatenate(lengths).astype(np.float64),
        np.concatenate(counts),
        np.repeat(np.arange(len(some), dtype=np.intp), [len(value) for _, value in some]),
    )


def correct(
    traced: Partition, elastic: Elastic, steps: int, step_ns: float, measured: Mapping[str, float] | None = None
) -> Correction:
    """Bring `traced` to a step of `step_ns`.

    elastic     the elastic spans of all `steps` traced steps; of a run on the CPU those of all classes
    measured    ns per step of detailed classes that were measured without the profiler (`wait`, `checkpoint`, …)
    """
    known = dict(measured or {})
    detail = {**traced.compute_classes, **traced.stall_classes, **traced.detail, **known}
    names = [name for name in elastic.names if name not in known]
    rows = np.isin(elastic.owner, [elastic.names.index(name) for name in names])
    spans, inside, owner = elastic.length_ns[rows], elastic.events[rows], elastic.owner[rows]
    fixed = sum(value for name, value in detail.items() if name not in names)
    target = max(step_ns - fixed, 0.0) * steps
    cost = _fit_cost(spans, inside, target)
    left = np.maximum(spans - cost * inside, 0.0)
    left = left * float(np.clip(target / left.sum(), 1 / MAX_STRETCH, 1.0)) if left.sum() > 0 else left
    for name in names:
        detail[name] = float(left[owner == elastic.names.index(name)].sum()) / steps
    detail, remainder = _settle(detail, step_ns, names, known)
    return Correction(partition=_rebuilt(traced, detail, step_ns), remainder_ns=remainder, event_cost_ns=cost)


def waited_longer(found: Correction, longer_ns: float) -> Correction:
    """The correction in which the device waits for a host that took `longer_ns` longer than in the traced steps.

    longer_ns    of a host that was seen to set the pace (`facts.pace.between`): idle time of the device,
                 beside its work
    """
    detail, rest = found.partition.detail, found.remainder_ns
    if rest <= 0:
        return found
    late = rest if longer_ns >= MOST_OF_IT * rest else min(longer_ns, rest)
    moved = {"launch": detail.get("launch", 0.0) + late, "untraced": max(detail.get("untraced", 0.0) - late, 0.0)}
    parts = {**found.partition.parts}
    for name, ns in (("launch", late), ("untraced", -late)):
        parts[PART_OF[name]] = max(parts.get(PART_OF[name], 0.0) + ns, 0.0)
    partition = replace(found.partition, parts=parts, detail={**detail, **moved})
    return replace(found, partition=partition, remainder_ns=rest - late)


def _fit_cost(spans: npt.NDArray[np.float64], inside: npt.NDArray[np.float64], target: float) -> float:
    """The cost at which the shortened spans sum to `target`: bisection on a function that only falls."""
    if spans.sum() <= target or not inside.any():
        return 0.0
    low, high = 0.0, MAX_COST_NS
    for _ in range(60):
        middle = (low + high) / 2
        if np.maximum(spans - middle * inside, 0.0).sum() > target:
            low = middle
        else:
            high = middle
    return high


def _settle(
    detail: dict[str, float], step_ns: float, elastic: list[str], known: Mapping[str, float]
) -> tuple[dict[str, float], float]:
    """Make the classes sum to the step: a positive remainder becomes `untraced`, a negative one is taken off.

    It comes off the elastic classes first, then off everything that is not compute, then off all, in proportion.
    """
    remainder = step_ns - sum(detail.values())
    if remainder >= 0:
        return {**detail, "untraced": detail.get("untraced", 0.0) + remainder}, remainder
    idle = [name for name in detail if name in PART_OF and name not in known]
    for names in (elastic, idle, list(detail)):
        total = sum(detail[name] for name in names)
        excess = sum(detail.values()) - step_ns
        if excess > 0 and total > 0:
            factor = max(0.0, 1 - excess / total)
            detail = {name: value * factor if name in names else value for name, value in detail.items()}
    return detail, remainder


def _rebuilt(traced: Partition, detail: Mapping[str, float], step_ns: float) -> Partition:
    stalls = {name for name, part in PART_OF.items() if part == "stalls"}
    return replace(
        traced,
        step_ns=step_ns,
        parts=parts_of(detail),
        compute_classes={name: value for name, value in detail.items() if name not in PART_OF},
        stall_classes={name: value for name, value in detail.items() if name in stalls},
        detail={name: value for name, value in detail.items() if name in PART_OF and name not in stalls},
    )
