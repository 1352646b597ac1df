"""What do collectives cost, and who waits for whom? Figures of two sections of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmprof.analyzers.facts.measured import Facts
from llmprof.timeline.timeline import RankTimeline
from llmprof.units import NS_PER_MS, ms

__all__ = ["communication", "ranks"]

MOST_GROUPS = 20
MOST_RANKS = 1024


def communication(facts: Facts, recorded: RankTimeline | None) -> Mapping[str, Any]:
    """Exposed and hidden time of the critical rank's collectives, by operation and by size of the message."""
    found = facts.critical.collectives
    if found is None:
        return {}
    groups = sorted(found.groups, key=lambda one: -one.exposed_ns)[:MOST_GROUPS]
    return {
        "count": found.count_per_step,
        "total_ms": found.total_ns / NS_PER_MS,
        "exposed_ms": found.exposed_ns / NS_PER_MS,
        "hidden_ms": found.hidden_ns / NS_PER_MS,
        "skew_ms": ms(found.skew_ns),
        "overlap": found.overlap,
        "groups": [
            {
                "op": one.op,
                "format": one.dtype,
                "ranks": one.group_size,
                "group": one.description or one.group_name,
                "count": one.count,
                "bytes": one.bytes,
                "ms": one.ns / NS_PER_MS,
                "exposed_ms": one.exposed_ns / NS_PER_MS,
                "bus_bytes_per_s": one.bus_bytes_per_s,
                "best_bus_bytes_per_s": one.best_bus_bytes_per_s,
                "backward_share": one.backward_share,
            }
            for one in groups
        ],
        "sizes": [
            {
                "up_to_bytes": one.up_to,
                "count": one.count,
                "ms": one.ns / NS_PER_MS,
                "exposed_ms": one.exposed_ns / NS_PER_MS,
            }
            for one in found.sizes
        ],
        "fit": None
        if found.fit is None
        else {
            "latency_ms": found.fit.latency_ns / NS_PER_MS,
            "bytes_per_s": found.fit.bytes_per_s,
            "calls": found.fit.calls,
        },
    }


def ranks(facts: Facts, recorded: RankTimeline | None) -> Mapping[str, Any]:
    """Which machine each rank is on, and how long all the others wait for it."""
    if len(facts.ranks) < 2:
        return {}
    waited: dict[int, float] = {}
    for rank in facts.ranks.values():
        if rank.collectives is not None:
            for late, wait in rank.collectives.wait_by_rank_ns.items():
                waited[late] = waited.get(late, 0.0) + wait / NS_PER_MS
    chosen = sorted(facts.ranks)[:MOST_RANKS]
    hosts = {str(number): facts.ranks[number].environment.host for number in chosen}
    return {
        "hosts": {number: host for number, host in hosts.items() if host},
        "waited_for_ms": {str(number): waited[number] for number in sorted(waited)},
        "critical": facts.critical.rank,
    }
