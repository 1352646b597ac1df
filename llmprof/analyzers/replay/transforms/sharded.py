"""FSDP: parameters gathered earlier, or kept after forward."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.replay.graph.graph import NO_REF, Graph, Int64, Mask, NodeKind, Region
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.accumulation import microbatches_of, spans_of, unmet
from llmprof.analyzers.replay.transforms.base import Level, Subject, removed
from llmprof.analyzers.replay.transforms.transfers import transfers

__all__ = ["FIXES", "apply"]

FIXES = ("fsdp-prefetch", "fsdp-keep-unsharded")

_NODE = "autograd::engine::evaluate_function"
"""Around every node of the backward pass."""
_COPIES = ("fsdp::all_gather_copy_in", "fsdp::split_with_sizes_copy")
"""Operators of fully_shard around a gather (PyTorch source, torch/distributed/fsdp, _fsdp_collectives.py)."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario in which gathers start when their launch allows it, or only forward gathers."""
    gathers = subject.once(_gathers)
    if not gathers.any():
        return "no parameters are gathered"
    graph = scenario.graph
    if fix == "fsdp-keep-unsharded":
        settings = subject.facts.critical.environment.fsdp
        if settings is not None and settings.reshard_after_forward == "no":
            return "parameters stay whole between forward and backward already"
        later = subject.once(_of_backward)
        moved = later.copy()
        moved[graph.done_by(np.flatnonzero(later))] = True
        found = removed(scenario, (moved & (later | transfers(subject))) | (subject.once(_copies) & subject.device))
        return replace(found, graph=_unawaited(found.graph, later & (graph.kind == NodeKind.DEVICE)))
    # The turns of one communicator, the arrivals at a meeting, and the copies into what is gathered stay.
    early = gathers[graph.extra_to] & subject.once(_computing)[graph.extra_from % len(graph)]
    if not early.any():
        return "no gather waits for other work on the device"
    source = np.where(early, _updates(graph, graph.extra_from), graph.extra_from)
    return replace(scenario, graph=replace(graph, extra_from=source).only_edges(source != NO_REF))


def _gathers(subject: Subject) -> Mask:
    """The collectives that make shards whole."""
    return subject.names_where(lambda name: "allgather" in name.lower().replace("_", "")) & subject.device


def _computing(subject: Subject) -> Mask:
    """The kernels of each rank's busiest stream."""
    graph = subject.graph
    found = np.zeros(len(graph), dtype=bool)
    kernels = (graph.kind == NodeKind.DEVICE) & ~subject.kind("communication")
    for place in range(len(subject.ranks)):
        mine = np.flatnonzero(kernels & (graph.rank == place))
        lanes = subject.events(place).lane[graph.row[mine]]
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


def _unawaited(graph: Graph, gathers: Mask) -> Graph:
    """The graph in which these gathers stand in no line: what waited for one waits for its launch on its own rank.

    A gather stands behind a reduction, and the backward pass of its layer behind the gather: without it the pass goes
    on beside the reductions.
    """
    alone = replace(graph, before=np.where(gathers, NO_REF, graph.before))
    return unmet(alone.only_edges(~gathers[graph.extra_to]), gathers)


def _of_backward(subject: Subject) -> Mask:
    """The gathers that the backward pass launches, from a thread of its own; where that is not recorded, half of them.

    A step has several passes where it accumulates gradients.
    """
    gathers = subject.once(_gathers)
    found = _in_backward(subject, ("",)) & gathers
    return found if (found & (subject.graph.kind == NodeKind.DEVICE)).any() else _second_half(subject, gathers)


def _copies(subject: Subject) -> Mask:
    """What fills the messages of the backward pass's gathers, and takes them apart."""
    return _in_backward(subject, _COPIES)


def _in_backward(subject: Subject, names: tuple[str, ...]) -> Mask:
    """Calls in operators that begin so on threads of the backward pass, and the device work that they launch."""
    found = np.zeros(len(subject.graph), bool)
    for place in range(len(subject.ranks)):
        threads = spans_of(subject, place, (_NODE,))
        found |= subject.launched_in(
            place, {lane: some for lane, some in spans_of(subject, place, names).items() if lane in threads}
        )
    return found


def _second_half(subject: Subject, gathers: Mask) -> Mask:
    """The gathers of backward: each micro-batch gathers every shard once in forward, and once more in backward."""
    graph = subject.graph
    found = np.zeros(gathers.size, dtype=bool)
    rounds = max(1, round(microbatches_of(subject) or 1.0))
    arrivals = gathers & (graph.kind == NodeKind.DEVICE)
    for place in range(len(subject.ranks)):
        for step in range(graph.steps):
            nodes = np.flatnonzero(arrivals & (graph.rank == place) & (graph.step == step))
            for some in np.array_split(nodes, rounds):
                found[some[(some.size + 1) // 2 :]] = True
    return found
