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

from llmprof.analyzers.facts.partition import PART_OF, Partition, parts_of
from llmprof.timeline.events import EventTable, Kind

__all__ = ["Correction", "correct"]

ELASTIC = ("launch", "sync", "memory_management", "wait", "skew")
"""Classes that the host makes longer under a profiler. Gaps of the hardware queue and dependencies are not."""

MAX_COST_NS = 15_000.0
"""The largest believable cost of one recorded event (on H200 hosts 2 to 11 µs were fitted, the latter with a busy
second thread)."""

MAX_STRETCH = 1.25
"""The largest believable common stretch; what is missing beyond it counts as unexplained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A corrected partition, what it could not explain, and the fitted cost of one recorded event."""

    partition: Partition
    remainder_ns: float
    """Unprofiled step minus what the corrected classes sum to; positive is booked under `untraced`."""
    event_cost_ns: float


def correct(
    traced: Partition, events: EventTable, step_ns: float, measured: Mapping[str, float] | None = None
) -> Correction:
    """Bring `traced` to a step of `step_ns`.

    measured    ns per step of detailed classes that were measured without the profiler (`wait`, `checkpoint`, …)
    """
    known = dict(measured or {})
    detail = {**traced.compute_classes, **traced.stall_classes, **traced.detail, **known}
    elastic = [n for n in (detail if traced.cpu_only else ELASTIC) if n in traced.spans and n not in known]
    count = max(1, round(_covered(traced) / traced.step_ns)) if traced.step_ns > 0 else 1
    spans, inside, owner = _elastic_spans(traced, events, elastic)
    fixed = sum(value for name, value in detail.items() if name not in elastic)
    target = max(step_ns - fixed, 0.0) * count
    cost = _fit_cost(spans, inside, target)
    left = np.maximum(spans - cost * inside, 0.0)
    left = left * float(np.clip(target / left.sum(), 1 / MAX_STRETCH, 1.0)) if left.sum() > 0 else left
    for index, name in enumerate(elastic):
        detail[name] = float(left[owner == index].sum()) / count
    detail, remainder = _settle(detail, step_ns, elastic, known)
    return Correction(partition=_rebuilt(traced, detail, step_ns), remainder_ns=remainder, event_cost_ns=cost)


def _covered(traced: Partition) -> float:
    return float(sum(spans.length for spans in traced.spans.values()))


def _elastic_spans(
    traced: Partition, events: EventTable, names: list[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Length of every elastic span, the host events that begin inside it, and the index of its class; shape (n,)."""
    host = np.sort(events.ts[events.rows(Kind.CPU_OP, Kind.RUNTIME, Kind.ANNOTATION)])
    lengths, counts, owners = [np.empty(0)], [np.empty(0)], [np.empty(0, np.intp)]
    for index, name in enumerate(names):
        spans = traced.spans[name]
        lengths.append((spans.ends - spans.starts).astype(np.float64))
        counts.append((np.searchsorted(host, spans.ends) - np.searchsorted(host, spans.starts)).astype(np.float64))
        owners.append(np.full(len(spans), index, dtype=np.intp))
    return np.concatenate(lengths), np.concatenate(counts), np.concatenate(owners)


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
