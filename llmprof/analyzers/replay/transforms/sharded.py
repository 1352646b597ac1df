"""FSDP: parameters gathered earlier, or kept after forward."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.replay.graph import NO_REF, Graph, Int64, NodeKind, Region
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
        settings = subject.facts.critical.environment.fsdp
        if settings is not None and settings.reshard_after_forward == "no":
            return "parameters stay whole between forward and backward already"
        later = _second_half(subject, gathers)
        moved = later | np.isin(np.arange(len(graph)), graph.meeting[later] if graph.meeting.size else [])
        return removed(scenario, moved & (later | transfers(subject)))
    # The turns of one communicator, the arrivals at a meeting, and the copies into what is gathered stay.
    early = gathers[graph.extra_to] & _computing(subject)[graph.extra_from % len(graph)]
    if not early.any():
        return "no gather waits for other work on the device"
    source = np.where(early, _updates(graph, graph.extra_from), graph.extra_from)
    kept = source != NO_REF
    return replace(
        scenario,
        graph=replace(graph, extra_to=graph.extra_to[kept], extra_from=source[kept], extra_lag=graph.extra_lag[kept]),
    )


def _computing(subject: Subject) -> Mask:
    """The kernels of each rank's busiest stream."""
    graph = subject.graph
    found = np.zeros(len(graph), dtype=bool)
    kernels = (graph.kind == NodeKind.DEVICE) & ~subject.kind("communication")
    for place, rank in enumerate(subject.ranks):
        assert rank.events is not None
        mine = np.flatnonzero(kernels & (graph.rank == place))
        lanes = rank.events.lane[graph.row[mine]]
        found[mine] = lanes == np.bincount(lanes).argmax() if mine.size else False
    return found


def _updates(graph: Graph, nodes: Int64) -> Int64:
    """The last work of the optimizer before each of these nodes: no parameter is gathered before it is updated.

    In the round before where this one has none; NO_REF where no optimizer was recorded.
    """
    found = np.full(nodes.size, NO_REF, np.int64)
    place = nodes % len(graph)
    for rank in range(len(graph.ranks)):
        updates = np.flatnonzero(
            (graph.kind == NodeKind.DEVICE) & (graph.region == Region.OPTIMIZER) & (graph.rank == rank)
        )
        mine = np.flatnonzero(graph.rank[place] == rank)
        if updates.size:
            last = np.searchsorted(updates, place[mine], side="right") - 1
            # A reference to the round before is smaller by the number of nodes.
            found[mine] = updates[last] + np.where(last < 0, -len(graph), 0) + nodes[mine] - place[mine]
    return found


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
