"""Smaller messages, fewer of them, or faster links: the transfer of each collective, what it waits for stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.communication.links import expected_link
from llmprof.analyzers.facts.faster.number_formats import WIDENING
from llmprof.analyzers.replay.graph.graph import Float64, Mask, NodeKind
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject
from llmprof.units import NS_PER_S

__all__ = ["FIXES", "apply", "latency_of", "transfers"]

FIXES = (
    "compress-gradients",
    "reduce-in-bf16",
    "enable-p2p",
    "topology-placement",
)

HALVED = (0.55, 0.5, 0.5)
"""Half the bytes."""
CAST_BYTES = (10 + 6 / WIDENING, 10 + 6 / WIDENING, 10)
"""What memory could move while the kernels of the hook that halves gradients work on one (PyTorch source,
ddp_comm_hooks): cast there, 4 bytes read and 2 written, divided by the ranks, 2 and 2, and, at best beside everything
else, cast back, 2 and 4, more slowly. FSDP has bf16 gradients already, and then casts nothing."""
FASTER_LINK = (0.8, 0.5, 0.1)
"""Where the rate of the other link is not known: without peer access each message goes through host memory, which is
two copies instead of one, and NVLink is faster still."""
OF_EXPECTED = (1.5, 1.0, 0.8)
"""Time against what the expected rate of the link allows: a link that is found may still be slower than the usual."""
MOST_LATENCY_NS = 50_000.0
"""An empty message takes some 10 µs inside a node and some tens of µs between nodes (nccl-tests, all_reduce_perf): a
shortest transfer that lasts longer is one of bytes, as where all buckets have the same size."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with shorter transfers."""
    found = transfers(subject)
    if not found.any():
        return "no collectives were recorded"
    graph = scenario.graph
    latency = latency_of(graph.dur[found])
    volume = np.maximum(graph.dur - latency, 0.0)
    if fix in ("compress-gradients", "reduce-in-bf16"):
        wide = found & subject.once(_fp32)
        if not wide.any():
            return "no collective moves fp32"
        halved = _lasting(scenario, wide, latency + volume * level.pick(*HALVED))
        return _cast(halved, subject, level) if fix == "compress-gradients" else halved
    share = _share_of_link(subject)
    factor = level.pick(*FASTER_LINK) if share is None else min(1.0, share * level.pick(*OF_EXPECTED))
    if fix == "enable-p2p" and scenario.contention is not None:
        scenario = replace(scenario, contention=scenario.contention.off_the_bus())
    return _lasting(scenario, found, latency + volume * factor)


def latency_of(ns: Float64) -> float:
    """What each of these transfers takes beside its bytes: the shortest one, or less where all of them are long."""
    return min(float(ns.min()), MOST_LATENCY_NS)


def transfers(subject: Subject) -> Mask:
    """The nodes that stand for the transfer of a collective: meetings, and collectives of one rank alone."""
    graph = subject.graph
    found: Mask = (graph.kind == NodeKind.MEETING) | (subject.kind("communication") & ~graph.arriving)
    return found


def _share_of_link(subject: Subject) -> float | None:
    """The rate of the largest messages over what is expected of the link; None where either is not known."""
    facts = subject.facts
    collectives = facts.critical.collectives
    known = [] if collectives is None else [one for one in collectives.groups if one.best_bus_bytes_per_s]
    if not known:
        return None
    group = max(known, key=lambda one: one.ns)
    link = expected_link({number: rank.environment for number, rank in facts.ranks.items()}, group.ranks)
    return None if link is None else min(1.0, (group.best_bus_bytes_per_s or 0.0) / link.bus_bytes_per_s)


def _lasting(scenario: Scenario, nodes: Mask, dur: Float64) -> Scenario:
    graph = scenario.graph
    return replace(scenario, graph=replace(graph, dur=np.where(nodes, dur, graph.dur)))


def _cast(scenario: Scenario, subject: Subject, level: Level) -> Scenario:
    """The scenario in which the work that each fp32 collective follows ends with the casts of its message."""
    graph, peaks = scenario.graph, subject.peaks
    if peaks is None:
        return scenario
    dur = graph.dur.copy()
    calls = subject.kind("communication") & (graph.kind == NodeKind.DEVICE)
    wide = calls & subject.once(_fp32)
    for place in range(len(subject.ranks)):
        mine = subject.device & (graph.rank == place) & (graph.kind == NodeKind.DEVICE)
        work = np.flatnonzero(mine & ~subject.kind("communication", "memcpy"))
        for node in np.flatnonzero(wide & mine).tolist():
            call = subject.events(place).collectives.get(int(graph.row[node]))
            before = int(np.searchsorted(work, node)) - 1
            if call is not None and call.in_elements and before >= 0:
                taken = call.in_elements * level.pick(*CAST_BYTES) / peaks.achievable_bytes_per_s
                dur[work[before]] += taken * NS_PER_S
    return replace(scenario, graph=replace(graph, dur=dur))


def _fp32(subject: Subject) -> Mask:
    """Collectives whose message is fp32, by their arguments, else by the name of their kernel."""
    found = subject.names_where(lambda name: "f32" in name or "float" in name)
    for place in range(len(subject.ranks)):
        collectives = subject.events(place).collectives
        mine = np.flatnonzero(subject.device & (subject.graph.rank == place))
        for node in mine[np.isin(subject.graph.row[mine], list(collectives))]:
            dtype = collectives[int(subject.graph.row[node])].dtype
            if dtype is not None:
                found[node] = dtype in ("Float", "float", "float32", "torch.float32")
    return found
