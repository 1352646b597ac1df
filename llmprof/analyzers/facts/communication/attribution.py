"""What would the step be if all ranks were alike, and which rank or kind of work makes it longer than that?

With T the step, T_ideal that of ranks that are alike, and X a rank or a kind of work: S = T / T_ideal, and S of X is
the step with only X as it was, over T_ideal. Of the loss T - T_ideal, `removed` is what goes when X is repaired, and
`added` what X brings to the ideal step; they differ where causes overlap ("Understanding Stragglers in Large Model
Training Using What-if Analysis", OSDI 2025, equations 1 to 5).

Here from the partitions of the ranks, as if they waited for each other once a step: then a step takes as long as the
rank with most work of its own, and ranks that are alike save at most what the others wait for it. A replay of the
steps (replay.attribution) knows every meeting. To be alike is to be as the median rank, of two as the faster one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from llmprof.analyzers.facts.measured import RankFacts

__all__ = ["HOST", "MOST_RANKS", "Attribution", "Effect", "attribution_of_parts", "effect_of"]

MOST_RANKS = 8
"""Of so many ranks, those with most work of their own, it is told what each one costs."""
HOST = "host"
_KINDS = {
    "compute": ("compute",),
    "data": ("data",),
    HOST: ("host", "sync", "memory_management", "stalls"),
    "other": ("memcpy", "other"),
}
"""The parts of the partition that are a rank's own work, by kind. Transfers are not: ranks leave them together, and a
rank that comes first hides less of them."""

_Work = Mapping[int, Mapping[str, float]]
"""Ns per step by rank and kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one rank, stage or kind of work has to do with the loss; None where that was not asked."""

    removed: float | None = None
    """Of the loss, what goes when it is repaired; None without a loss, above 1 or below 0 where causes overlap."""
    added: float | None = None
    """Of the loss, what it alone brings to the ideal step."""
    slowdown: float | None = None
    """S of it."""
    after_ns: float | None = None
    """The step when it is repaired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """S, and who causes it; ns per step."""

    basis: Literal["operations", "replay", "partition"]
    step_ns: float
    ideal_ns: float
    slowdown: float
    by_kind: Mapping[str, Effect] = field(default_factory=dict)
    by_rank: Mapping[int, Effect] = field(default_factory=dict)
    by_stage: Mapping[int, Effect] = field(default_factory=dict)
    host_compared: bool = True
    """False where the profiler slowed the hosts, and not all alike: then their work counts as it was."""


def effect_of(step_ns: float, ideal_ns: float, repaired_ns: float, kept_ns: float | None) -> Effect:
    """The effect of something, from the step with it repaired, and the ideal step with only it as it was."""
    loss = step_ns - ideal_ns
    return Effect(
        removed=(step_ns - repaired_ns) / loss if loss > 0 else None,
        added=None if kept_ns is None or loss <= 0 else (kept_ns - ideal_ns) / loss,
        slowdown=None if kept_ns is None or ideal_ns <= 0 else kept_ns / ideal_ns,
        after_ns=repaired_ns,
    )


def attribution_of_parts(
    ranks: Mapping[int, RankFacts], step_ns: float, *, host_compared: bool = True
) -> Attribution | None:
    """S of ranks whose partitions are known, and who causes it; None with fewer than two of known waiting.

    step_ns          the mean step of the run
    host_compared    whether what hosts take longer than others counts as lost
    """
    own = {
        number: {kind: sum(rank.partition.parts.get(part, 0.0) for part in parts) for kind, parts in _KINDS.items()}
        for number, rank in ranks.items()
        if rank.partition is not None and rank.collectives is not None and rank.collectives.skew_ns is not None
    }
    if len(own) < 2:
        return None
    kinds = [kind for kind in _KINDS if host_compared or kind != HOST]
    total = {number: sum(work[kind] for kind in kinds) for number, work in own.items()}
    order = sorted(total, key=lambda number: (total[number], number))
    usual = own[order[(len(order) - 1) // 2]]
    alike = {number: work | {kind: usual[kind] for kind in kinds} for number, work in own.items()}
    longest, lost = _longest(own), _longest(own) - _longest(alike)
    if longest > step_ns or lost >= step_ns:
        return None
    # What nobody waits for is not lost, however long one rank takes: it lies beside transfers that all have to make.
    waited = max(ranks[number].partition.parts.get("skew", 0.0) for number in own)  # type: ignore[union-attr]
    exposed = min(waited / lost, 1.0) if lost > 0 else 1.0

    def step(work: _Work) -> float:
        return step_ns - exposed * (longest - _longest(work))

    ideal_ns = step(alike)
    by_kind = {
        kind: effect_of(
            step_ns,
            ideal_ns,
            step({number: work | {kind: usual[kind]} for number, work in own.items()}),
            step({number: work | {kind: own[number][kind]} for number, work in alike.items()}),
        )
        for kind in kinds
    }
    by_rank = {
        one: effect_of(step_ns, ideal_ns, step({**own, one: alike[one]}), step({**alike, one: own[one]}))
        for one in reversed(order[-MOST_RANKS:])
    }
    return Attribution(
        basis="partition",
        step_ns=step_ns,
        ideal_ns=ideal_ns,
        slowdown=step_ns / ideal_ns,
        by_kind=by_kind,
        by_rank=by_rank,
        host_compared=host_compared,
    )


def _longest(work: _Work) -> float:
    return max(sum(kinds.values()) for kinds in work.values())
