"""Which rank sets the pace, and what does it do longer than the others?

A rank's own work is its step without waiting for peers.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llmprof.analyzers.facts.measured import RankFacts

__all__ = ["RankDifference", "more_work", "rank_difference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankDifference:
    """The rank with most work of its own against the others; ns per step."""

    late: int
    own_ns: Mapping[int, float]
    """Step without waiting for peers, by rank."""
    over_next_ns: float
    """Beyond the second-longest: what the step loses at least by this rank."""
    over_median_ns: float
    """Beyond the median of the others."""
    over_mean_ns: float = 0.0
    """Beyond the mean of all, itself included: what is left where all do as much together as now."""
    causes: Mapping[str, float] = field(default_factory=dict)
    """Of that, by detailed class of the partition (compute as a whole), the largest first; only what is longer."""
    jitter_ns: float = 0.0
    """What even the rank that waits least waits for others: each is late at times."""


def rank_difference(ranks: Mapping[int, RankFacts]) -> RankDifference | None:
    """How the ranks differ; None with fewer than two of known waiting."""
    known = {
        number: rank
        for number, rank in ranks.items()
        if rank.partition is not None and rank.collectives is not None and rank.collectives.skew_ns is not None
    }
    if len(known) < 2:
        return None
    parts = {number: rank.partition for number, rank in known.items() if rank.partition is not None}
    own = {number: part.step_ns - part.parts.get("skew", 0.0) for number, part in parts.items()}
    late = max(sorted(own), key=lambda number: own[number])
    others = [number for number in own if number != late]
    classes = {number: _classes(known[number]) for number in own}
    over = {
        name: value - statistics.median(classes[number].get(name, 0.0) for number in others)
        for name, value in classes[late].items()
    }
    return RankDifference(
        late=late,
        own_ns=own,
        over_next_ns=own[late] - max(own[number] for number in others),
        over_median_ns=own[late] - statistics.median(own[number] for number in others),
        over_mean_ns=own[late] - statistics.fmean(own.values()),
        causes={name: over[name] for name in sorted(over, key=lambda name: -over[name]) if over[name] > 0},
        jitter_ns=min(part.parts.get("skew", 0.0) for part in parts.values()),
    )


def more_work(rank: RankFacts, others: Iterable[RankFacts]) -> float | None:
    """How much more arithmetic a rank does per step than the median of the others, a share; None where not counted."""

    def done(one: RankFacts) -> float | None:
        used = one.utilization
        return None if used is None or used.hfu is None else used.hfu * one.step.mean_ns

    mine, theirs = done(rank), [value for one in others if (value := done(one)) is not None]
    usual = statistics.median(theirs) if theirs else 0.0
    return None if mine is None or usual <= 0 else mine / usual - 1


def _classes(rank: RankFacts) -> dict[str, float]:
    """The detailed classes of a rank's own work; kernels as one class, collectives and waiting left out."""
    partition = rank.partition
    assert partition is not None
    detail = {**partition.stall_classes, **partition.detail} or dict(partition.parts)
    own = {name: value for name, value in detail.items() if name not in ("skew", "communication", "compute")}
    return {**own, "compute": partition.parts.get("compute", 0.0)}
