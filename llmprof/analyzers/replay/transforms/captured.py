"""CUDA graphs and torch.compile: the model's launches shrink to a few, and compilation also fuses and pads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.host.compiled_launches import EXTERN, share_left
from llmprof.analyzers.facts.operators.contended_tables import contended_tables
from llmprof.analyzers.facts.operators.fusion import is_indexed
from llmprof.analyzers.facts.operators.operator_tree import names_matching
from llmprof.analyzers.facts.operators.recompute import BACKWARD
from llmprof.analyzers.replay.graph.graph import NO_REF, Graph, Mask, NodeKind, Region
from llmprof.analyzers.replay.graph.launch_queue import DEPTH
from llmprof.analyzers.replay.reads import arrivals_of
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms import kernels
from llmprof.analyzers.replay.transforms.accumulation import bucket_copies
from llmprof.analyzers.replay.transforms.base import Level, Subject, host_of, scaled
from llmprof.timeline.events import NONE

__all__ = ["FIXES", "apply"]

FIXES = ("cuda-graphs", "torch-compile")

GRAPH_HOST = (0.5, 0.15, 0.05)
"""The share of the model's host work that stays: at worst half of it stands at graph breaks, expected are guards, the
copying of inputs and one launch each for forward and backward (assumptions). What comes back one by one are gradients:
each is a tensor that a graph's outputs are made into anew and that its parameter takes over (PyTorch source,
_inductor/cudagraph_trees.py and AccumulateGrad). No more stays than a launch for each of them."""
BROKEN_HOST = (0.8, 0.5, 0.15)
"""The same where collectives stand inside the model: torch.compile splits the model at DDP's buckets, each piece with
its own graph, and hooks run between (PyTorch documentation, "TorchDynamo and distributed"); shares are assumed."""
BROKEN_COMPILED = (1.0, 1.0, 0.5)
"""The same without graphs: each piece is called from Python forward and backward, behind guards of its own, and what
fusing saves goes there. In an own recording on two H200s a launch-bound step got longer (by 28 %, give or take 26)."""
GRAPH_GAP_NS = (np.inf, 50.0, 0.0)
"""Gaps between kernels inside a graph, at most those on the stream, beside durations as the profiler records them: a
recorded kernel includes its own start. In three own recordings on H200s (1,400 to 6,600 kernels a step of 1 to 17 µs)
a device-bound step of graphs was no longer than its recorded kernels together, to 0 to 0.1 µs a kernel."""
COMPILE_HOST = (0.8, 0.55, 0.25)
"""The share of the model's host work that fused operators leave, where kernels have no classes (assumptions)."""
COMPILE_TRAFFIC = (1.0, 0.75, 0.5)
"""Time of chains of elementwise kernels and reductions once fused: each pass but the first and the last is saved."""
UNBROKEN = 0.5
"""At worst half of the model is compiled, the rest stands between graph breaks (an assumption)."""
VOCABULARY = "pad-vocabulary"
PADDED = (VOCABULARY, "align-dimensions")
"""Inductor pads operands of matrix products to aligned sizes by itself where it measures that to be faster
(torch._inductor.config.shape_padding, on by default): compiling brings what these bring."""
_ACCUMULATE = "torch::autograd::AccumulateGrad"
BREAKING_SYNCS = 2
"""Host syncs in a step that do no harm: reading the loss at its end."""
_NEVER = np.iinfo(np.int64).min + 1
_FUSED = ("elementwise", "normalization", "softmax", "cross_entropy", "reduction", "dropout", "copy")


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with the model compiled, or captured as graphs."""
    outside = subject.once(_outside) | subject.once(bucket_copies)
    host = host_of(subject.graph, subject.device & ~subject.kind("communication", "memcpy", "optimizer")) & ~outside
    if not host.any():
        return "no launches of a model were recorded"
    if subject.once(_graph_launches).any():
        return "the step is launched as CUDA graphs already"
    if fix == "torch-compile":
        if subject.facts.critical.environment.compiled:
            return "the model is compiled already"
        rest = level.pick(*(_launches_left(subject, outside) or COMPILE_HOST))
        if _broken(scenario, subject, outside):
            rest = max(rest, level.pick(*BROKEN_COMPILED))
        fused = (subject.kind(*_FUSED) | (subject.once(_indexed) & subject.device)) & ~outside
        found = scaled(scaled(scenario, host, dur=rest, lag=rest), fused, dur=level.pick(*_traffic(subject)))
        return _contended(_padded(found, subject, level), subject, level)
    waits = (scenario.graph.kind == NodeKind.WAIT) & ~_in_regions(subject)
    copies = subject.once(_copies) | arrivals_of(subject)  # a batch on its way in, before the graph
    breaking = waits & ~copies & ~_returned(scenario)
    if int(breaking.sum()) > BREAKING_SYNCS * subject.graph.steps * len(subject.ranks):
        return "host syncs inside the model break the graph; they have to be taken out first (remove-sync)"
    rest = level.pick(*(BROKEN_HOST if _broken(scenario, subject, outside) else _graph_host(subject, host)))
    model = subject.device & ~outside & ~subject.kind("communication")
    left = scaled(scenario, host | _after(subject.graph, host), dur=rest, lag=rest)
    return _launched_at_once(left, host, model, level)


def _graph_launches(subject: Subject) -> Mask:
    return subject.names_where(lambda name: "GraphLaunch" in name)


def _copies(subject: Subject) -> Mask:
    return subject.names_where(lambda name: "emcpy" in name)


def _indexed(subject: Subject) -> Mask:
    return subject.names_where(is_indexed)


def _graph_host(subject: Subject, host: Mask) -> tuple[float, float, float]:
    """The share of the model's host work that graphs leave: at worst, expected, at best."""
    gradients = sum(_gradients(subject, place) for place in range(len(subject.ranks)))
    worst, expected, best = GRAPH_HOST
    if not gradients:
        return GRAPH_HOST  # not recorded, or left to a graph already
    each = gradients / float(host.sum())
    return worst, min(expected, each), min(best, each / 2)


def _gradients(subject: Subject, place: int) -> int:
    """How many gradients parameters get in the traced steps of one rank."""
    events, marks = subject.events(place), subject.ranks[place].marks
    number = events.strings.find(_ACCUMULATE)
    at = events.ts[events.name == number] if number != NONE else np.empty(0, np.int64)
    return int(((at >= marks.start_ns[0]) & (at < marks.end_ns[-1])).sum()) if len(marks) else int(at.size)


def _after(graph: Graph, host: Mask) -> Mask:
    """Marks that follow a call of the model: what the host did until there, it did for the model."""
    found: Mask = (graph.kind == NodeKind.MARK) & (graph.before >= 0) & host[np.maximum(graph.before, 0)]
    return found


def _launched_at_once(scenario: Scenario, host: Mask, model: Mask, level: Level) -> Scenario:
    """The scenario in which these calls take no place in the launch queue, and no kernel waits for its own launch.

    What else is launched fills the queue by itself, or never does.
    """
    graph = scenario.graph
    others = int((graph.on_device & ~model).sum()) / (graph.steps * len(graph.ranks))
    queued = (graph.kind == NodeKind.CALL) & (host | (others < DEPTH))
    changed = replace(
        graph,
        cause=np.where(queued, NO_REF, graph.cause),
        before_lag=np.where(model, np.minimum(graph.before_lag, level.pick(*GRAPH_GAP_NS)), graph.before_lag),
    )
    return replace(scenario, graph=changed)


def _broken(scenario: Scenario, subject: Subject, outside: Mask) -> bool:
    """Whether collectives stand inside the model: as recorded, or since another fix has them wait for a kernel of it.

    Hooks of DistributedDataParallel issue a bucket when its gradients are there (`data_parallel`).
    """
    collectives, graph = subject.kind("communication"), scenario.graph
    from_kernels = collectives & (graph.cause >= 0) & graph.on_device[np.maximum(graph.cause, 0)]
    return bool((collectives & ~outside).any() or from_kernels.any())


def _padded(scenario: Scenario, subject: Subject, level: Level) -> Scenario:
    """The scenario in which products with odd dimensions run as aligned ones do; at worst half of them are compiled.

    Of those with the vocabulary none: output layer and loss may stand outside of what is compiled.
    """
    for fix in PADDED:
        share = level.pick(0.0 if fix == VOCABULARY else UNBROKEN, 1.0, 1.0)
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
    for place in range(len(subject.ranks)):
        events = subject.events(place)
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
