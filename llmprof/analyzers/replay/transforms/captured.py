"""CUDA graphs and torch.compile: the model's launches shrink to a few, and compilation also fuses and pads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.compiled_launches import EXTERN, share_left
from llmprof.analyzers.facts.contended_tables import contended_tables
from llmprof.analyzers.facts.fusion import is_indexed
from llmprof.analyzers.facts.operator_tree import names_matching
from llmprof.analyzers.facts.recompute import BACKWARD
from llmprof.analyzers.replay.graph import NO_REF, NodeKind, Region
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms import kernels
from llmprof.analyzers.replay.transforms.accumulation import bucket_copies
from llmprof.analyzers.replay.transforms.base import Level, Mask, Subject, host_of, scaled
from llmprof.timeline.events import NONE

__all__ = ["FIXES", "apply"]

FIXES = ("cuda-graphs", "torch-compile")

GRAPH_HOST = (0.5, 0.15, 0.05)
"""The share of the model's host work that stays: at worst half of it stands at graph breaks, expected are guards, the
copying of inputs and one launch each for forward and backward (assumptions)."""
BROKEN_HOST = (0.8, 0.5, 0.15)
"""The same where collectives stand inside the model: torch.compile splits the model at DDP's buckets, each piece with
its own graph, and hooks run between (PyTorch documentation, "TorchDynamo and distributed"); shares are assumed."""
BROKEN_COMPILED = (1.0, 1.0, 0.5)
"""The same without graphs: each piece is called from Python forward and backward, behind guards of its own, and what
fusing saves goes there. In an own recording on two H200s a launch-bound step got longer (by 28 %, give or take 26)."""
GRAPH_GAP = (1.0, 0.1, 0.0)
"""Gaps between kernels inside a graph against those on a stream, both beside durations as the profiler records them: a
recorded kernel includes its own start. In three own recordings on H200s (1,400 to 6,600 kernels a step of 1 to 17 µs)
a device-bound step of graphs was no longer than its recorded kernels together, to 0 to 0.1 µs a kernel."""
COMPILE_HOST = (0.8, 0.55, 0.25)
"""The share of the model's host work that fused operators leave, where kernels have no classes (assumptions)."""
COMPILE_TRAFFIC = (1.0, 0.75, 0.5)
"""Time of chains of elementwise kernels and reductions once fused: each pass but the first and the last is saved."""
UNBROKEN = 0.5
"""At worst half of the model is compiled, the rest stands between graph breaks (an assumption)."""
PADDED = ("pad-vocabulary", "align-dimensions")
"""Inductor pads operands of matrix products to aligned sizes by itself where it measures that to be faster
(torch._inductor.config.shape_padding, on by default): compiling brings what these bring."""
BREAKING_SYNCS = 2
"""Host syncs in a step that do no harm: reading the loss at its end."""
_NEVER = np.iinfo(np.int64).min + 1
_FUSED = ("elementwise", "normalization", "softmax", "cross_entropy", "reduction", "dropout", "copy")


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with the model compiled, or captured as graphs."""
    outside = _outside(subject) | bucket_copies(subject)
    host = host_of(subject.graph, subject.device & ~subject.kind("communication", "memcpy", "optimizer")) & ~outside
    if not host.any():
        return "no launches of a model were recorded"
    if subject.names_where(lambda name: "GraphLaunch" in name).any():
        return "the step is launched as CUDA graphs already"
    if fix == "torch-compile":
        if subject.facts.critical.environment.compiled:
            return "the model is compiled already"
        rest = level.pick(*(_launches_left(subject, outside) or COMPILE_HOST))
        if _broken(scenario, subject, outside):
            rest = max(rest, level.pick(*BROKEN_COMPILED))
        fused = (subject.kind(*_FUSED) | (subject.names_where(is_indexed) & subject.device)) & ~outside
        found = scaled(scaled(scenario, host, dur=rest, lag=rest), fused, dur=level.pick(*_traffic(subject)))
        return _contended(_padded(found, subject, level), subject, level)
    waits = (scenario.graph.kind == NodeKind.WAIT) & ~_in_regions(subject)
    copies = subject.names_where(lambda name: "emcpy" in name)  # a batch on its way in, before the graph
    left = waits & ~copies & ~_returned(scenario)
    if int(left.sum()) > BREAKING_SYNCS * subject.graph.steps * len(subject.ranks):
        return "host syncs inside the model break the graph; they have to be taken out first"
    rest = level.pick(*(BROKEN_HOST if _broken(scenario, subject, outside) else GRAPH_HOST))
    model = subject.device & ~outside & ~subject.kind("communication")
    return scaled(scaled(scenario, host, dur=rest, lag=rest), model, lag=level.pick(*GRAPH_GAP))


def _broken(scenario: Scenario, subject: Subject, outside: Mask) -> bool:
    """Whether collectives stand inside the model: as recorded, or since another fix has them wait for a kernel of it.

    Hooks of DistributedDataParallel issue a bucket when its gradients are there (`data_parallel`).
    """
    collectives, graph = subject.kind("communication"), scenario.graph
    from_kernels = collectives & (graph.cause >= 0) & graph.on_device[np.maximum(graph.cause, 0)]
    return bool((collectives & ~outside).any() or from_kernels.any())


def _padded(scenario: Scenario, subject: Subject, level: Level) -> Scenario:
    """The scenario in which products with odd dimensions run as aligned ones do; at worst half of them are compiled."""
    share = level.pick(UNBROKEN, 1.0, 1.0)
    for fix in PADDED:
        found = kernels.apply(fix, scenario, subject, level)
        if not isinstance(found, str):
            now, then = scenario.graph, found.graph
            return replace(scenario, graph=replace(now, dur=now.dur + share * (then.dur - now.dur)))
    return scenario


def _contended(scenario: Scenario, subject: Subject, level: Level) -> Scenario:
    """The scenario with gradients of small tables added up by atomic additions; at best these do not meet."""
    graph, factor = scenario.graph, np.ones(len(scenario.graph))
    for place in range(len(subject.ranks)):
        operators = subject.of(place).operators
        for one in contended_tables(() if operators is None else operators.work):
            ns = level.pick(one.worst_ns, one.expected_ns, one.best_ns)
            rows = subject.operator_rows[place].get(one.work.key, ())
            factor[graph.on_device & (graph.rank == place) & np.isin(graph.row, rows)] = ns / max(one.work.ns, 1.0)
    return replace(scenario, graph=replace(graph, dur=graph.dur * factor))


def _launches_left(subject: Subject, outside: Mask) -> tuple[float, float, float] | None:
    """What compiling leaves of the model's launches."""
    inside = subject.device & ~outside
    model = inside & ~subject.kind("communication", "memcpy", "memset", "optimizer")
    cast = bool(subject.facts.critical.environment.precision.autocast)
    return share_left(float(model.sum()), float((inside & subject.kind(*EXTERN)).sum()), cast=cast)


def _traffic(subject: Subject) -> tuple[float, float, float]:
    """The share of the time of kernels that can be fused which is left: at worst, expected, at best."""
    operators = subject.facts.critical.operators
    fusion = operators.fusion if operators is not None else None
    if fusion is None or fusion.ns <= 0:
        return COMPILE_TRAFFIC
    gone = (UNBROKEN * fusion.chain_ns, fusion.middle_ns, fusion.most_ns)
    worst, expected, best = (1 - ns / fusion.ns for ns in gone)
    return worst, expected, best


def _returned(scenario: Scenario) -> Mask:
    """Blocking calls that another fix has taken out."""
    graph = scenario.graph
    gone: Mask = (graph.cause == NO_REF) & (graph.before_lag == 0)
    return gone


def _in_regions(subject: Subject) -> Mask:
    inside: Mask = subject.graph.region != Region.OTHER
    return inside


def _outside(subject: Subject) -> Mask:
    """The host's calls, and the device work that they launch, which are no part of the model's forward and backward.

    The loader and the optimizer; and what the training thread launches from the last launch of the backward thread up
    to the optimizer: gradients that are reduced, scaled or clipped by hand.
    """
    graph = subject.graph
    found = _in_regions(subject).copy()
    for place, rank in enumerate(subject.ranks):
        events = rank.events
        assert events is not None
        nodes = events.lane[names_matching(events, BACKWARD.match)[events.name]]
        mine = np.flatnonzero((graph.rank == place) & (graph.row != NONE))
        row = graph.row[mine]
        call = np.where(graph.on_device[mine], events.launch[row], row)
        mine, call = mine[call != NONE], call[call != NONE]
        if not nodes.size or not mine.size:
            continue
        # Nodes without a device run on the training thread.
        backward = events.lane[call] == np.bincount(nodes).argmax()
        step, at = graph.step[mine], events.ts[call]
        updates = graph.region[mine] == Region.OPTIMIZER
        last = np.full(graph.steps, _NEVER)
        launches = backward & graph.on_device[mine]
        np.maximum.at(last, step[launches], at[launches])
        until = np.full(graph.steps, -_NEVER)
        np.minimum.at(until, step[updates & (at > last[step])], at[updates & (at > last[step])])
        found[mine[~backward & (last[step] > _NEVER) & (at > last[step]) & (at < until[step])]] = True
    return found
