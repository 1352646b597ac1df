"""FSDP: parameters gathered earlier, or kept after forward."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.replay.graph import NodeKind
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Mask, Subject, removed
from llmprof.analyzers.replay.transforms.transfers import transfers

__all__ = ["FIXES", "apply"]

FIXES = ("fsdp-prefetch", "fsdp-keep-unsharded")


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario in which gathers start when their launch allows it, or only forward gathers."""
    gathers = subject.names_where(lambda name: "allgather" in name.lower().replace("_", "")) & subject.device
    if not gathers.any():
        return "no parameters are gathered"
    graph = scenario.graph
    if fix == "fsdp-keep-unsharded":
        later = _second_half(subject, gathers)
        moved = later | np.isin(np.arange(len(graph)), graph.meeting[later] if graph.meeting.size else [])
        return removed(scenario, moved & (later | transfers(subject)))
    # The turns that collectives of one communicator take, and the arrivals at a meeting, stay.
    collective = subject.kind("communication") | (graph.kind == NodeKind.MEETING)
    kept = ~gathers[graph.extra_to] | collective[graph.extra_from % len(graph)]
    if kept.all():
        return "no gather waits for other work on the device"
    return replace(
        scenario,
        graph=replace(
            graph,
            extra_to=graph.extra_to[kept],
            extra_from=graph.extra_from[kept],
            extra_lag=graph.extra_lag[kept],
        ),
    )


def _second_half(subject: Subject, gathers: Mask) -> Mask:
    """The gathers of backward: each step gathers every shard once in forward, and once more in backward."""
    graph = subject.graph
    found = np.zeros(gathers.size, dtype=bool)
    arrivals = gathers & (graph.kind == NodeKind.DEVICE)
    for place in range(len(subject.ranks)):
        for step in range(graph.steps):
            nodes = np.flatnonzero(arrivals & (graph.rank == place) & (graph.step == step))
            found[nodes[(nodes.size + 1) // 2 :]] = True
    return found
