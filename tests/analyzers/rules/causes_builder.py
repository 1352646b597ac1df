"""Facts with causes on the host: what the rules on waits, work and allocation look at, from a few milliseconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmprof.analyzers.facts.host.blocking import BlockedCalls, Blocking
from llmprof.analyzers.facts.host.host_causes import HostCauses
from llmprof.analyzers.facts.measured import Facts
from llmprof.units import NS_PER_MS

__all__ = ["waits", "with_causes", "with_rank"]


def with_rank(facts: Facts, **changes: Any) -> Facts:
    """The same with other fields of the critical rank."""
    rank = replace(facts.critical, **changes)
    return replace(facts, ranks={**facts.ranks, rank.rank: rank}, critical=rank)


def with_causes(facts: Facts, **causes: Any) -> Facts:
    """The same with these causes."""
    return with_rank(facts, causes=HostCauses(**causes))


def waits(
    group: str, alone_ms: float, *, together_ms: float | None = None, operator: str = "aten::item", count: float = 1.0
) -> Blocking:
    """Waits of one group with the idle time that goes without them; another group's where `together_ms` is more."""
    together = alone_ms if together_ms is None else together_ms
    return Blocking(
        calls=(BlockedCalls(group=group, operator=operator, count=count, blocked_ns=50 * NS_PER_MS),),
        alone_ns={group: alone_ms * NS_PER_MS},
        together_ns={group: together * NS_PER_MS},
    )
