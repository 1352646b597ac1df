"""Gradients reduced by hand, handed to DDP: buckets that leave while backward still runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from llmprof.analyzers.facts.operators.gradients import BUCKET_BYTES
from llmprof.analyzers.replay.graph.graph import NO_REF, Float64, Graph, Int64, Mask, NodeKind, Region
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject, host_of
from llmprof.analyzers.replay.transforms.buckets import Message, cut, messages
from llmprof.analyzers.replay.transforms.transfers import latency_of, transfers
from llmprof.units import NS_PER_S

__all__ = ["FIXES", "apply"]

FIXES = ("wrap-ddp",)

LEAST_CALLS = 4
"""Fewer collectives in a step are no loop over parameters."""
CALLS_A_BUCKET = 12
"""Where the sizes of the messages are not known: parameters that fill one bucket (about one block of a model)."""
BACKWARD_FROM = 1 / 3
"""Backward is two thirds of a training step's kernels."""
LOOP_KERNELS = 3
"""A loop that reduces by hand launches hardly more than this for each gradient."""
HOOK_LAUNCHES = 2
"""DDP launches a copy of each gradient into its bucket, and one back (PyTorch source, reducer.cpp)."""
VIEW_HOOK_NS = 3_000.0
"""At best, with gradient_as_bucket_view, it launches neither: what the hook itself takes is assumed."""
_WRAPPED = "DistributedDataParallel"


@dataclass
class _Work:
    """Columns that are being changed."""

    before: Int64
    before_lag: Float64
    cause: Int64
    cause_lag: Float64
    dur: Float64
    hook_ns: float = 0.0
    """What DDP takes the host for each gradient."""
    edges: list[tuple[int, int, float]] = field(default_factory=list)
    """Further ones: to, from, lag."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario in which gradients are reduced in buckets, next to backward."""
    graph = scenario.graph
    calls = subject.device & (graph.kind == NodeKind.DEVICE) & subject.kind("communication")
    moved = transfers(subject)
    if any(name.startswith(_WRAPPED) for place in range(len(subject.ranks)) for name in _names(subject, place)):
        return "the model is wrapped in DistributedDataParallel already"
    joined = messages(subject)
    if joined:
        return replace(scenario, graph=_cut_up(scenario, subject, joined, level))
    if calls.sum() < LEAST_CALLS * graph.steps * len(subject.ranks):
        return "gradients are not reduced by hand"
    work = _Work(
        before=graph.before.copy(),
        before_lag=graph.before_lag.copy(),
        cause=graph.cause.copy(),
        cause_lag=graph.cause_lag.copy(),
        dur=graph.dur.copy(),
    )
    ends = graph.done_by(np.arange(len(graph)))
    latency = latency_of(graph.dur[moved])
    for place in range(len(subject.ranks)):
        work.hook_ns = _hook_ns(graph, subject, place, level)
        for step in range(graph.steps):
            mine = (graph.rank == place) & (graph.step == step)
            nodes = np.flatnonzero(calls & mine)
            if nodes.size >= LEAST_CALLS:
                _rebucket(work, graph, subject, nodes, ends, latency, level)
    return replace(scenario, graph=_finished(graph, work))


def _cut_up(scenario: Scenario, subject: Subject, joined: Sequence[Message], level: Level) -> Graph:
    """The graph in which gradients that were reduced by hand are copied into buckets one by one during backward.

    What joined or divided them goes. What takes joined ones apart again stays: DDP copies them back as well, unless
    they are views.
    """
    graph, found = scenario.graph, cut(scenario, subject, joined, level)
    peaks = subject.peaks
    work = subject.device & ~subject.kind("communication") & (graph.kind == NodeKind.DEVICE)
    dur, lag, cause_lag = found.dur.copy(), found.before_lag.copy(), found.cause_lag.copy()
    for one in joined:
        mine = work & (graph.rank == graph.rank[one.node])
        between = np.zeros(len(graph), bool)
        between[int(one.ready[-1]) + 1 : int(one.nodes[-1])] = True
        joining = mine & between
        calls = host_of(graph, joining)
        dur[joining | calls] = lag[joining] = cause_lag[joining] = 0.0
        if peaks is not None:
            copied = 2 * one.sizes / peaks.achievable_bytes_per_s * NS_PER_S
            np.add.at(dur, one.ready, copied * level.pick(1.0, 1.0, 0.0))
            after = np.flatnonzero(mine[int(one.nodes[-1]) :])[:1] + int(one.nodes[-1])
            dur[after] += float(copied.sum()) * level.pick(1.0, 1.0, 0.0) * bool(one.rest.size)
        hook_ns = _hook_ns(graph, subject, int(graph.rank[one.node]), level)
        if one.rest.size:  # the hooks stand in place of the loop
            lag[calls], made = 0.0, graph.cause[one.rest]
            lag[made[made >= 0]], dur[made[made >= 0]] = hook_ns, 0.0
        else:  # joined gradients are copied back already
            launches = graph.cause[one.ready]
            np.add.at(dur, launches[launches >= 0], hook_ns / HOOK_LAUNCHES)
    return replace(found, dur=dur, before_lag=lag, cause_lag=cause_lag)


def _rebucket(
    work: _Work, graph: Graph, subject: Subject, nodes: Int64, ends: Int64, latency: float, level: Level
) -> None:
    """Make the first of a step's collectives its buckets, and the others vanish."""
    place, step = int(graph.rank[nodes[0]]), int(graph.step[nodes[0]])
    buckets = min(nodes.size, _bucket_count(subject, place, nodes))
    stream = (graph.rank == place) & (graph.step == step) & subject.device & (graph.kind == NodeKind.DEVICE)
    compute = np.flatnonzero(stream & ~np.isin(np.arange(len(graph)), nodes))
    compute = compute[compute < nodes[0]]
    if compute.size == 0:
        return
    _without_loop(work, graph, stream, nodes)
    back_ns = _copied(work, subject, place, nodes, compute, level)
    total = float(graph.dur[ends[nodes]].sum())
    fewer = (max(total - gone * latency, 0.0) for gone in (nodes.size - buckets, nodes.size))
    kept = level.pick(total, *fewer) or latency
    host = np.flatnonzero(host_of(graph, np.isin(np.arange(len(graph)), nodes)))
    late = host[buckets:]
    work.before_lag[late] = work.hook_ns
    work.dur[late] = 0.0
    gone = np.isin(graph.before, ends[nodes]) | np.isin(graph.before, nodes)
    last = int(compute[-1])
    # The meetings are those of the other ranks too, which have their turn.
    mine = (graph.rank == place) & (graph.kind == NodeKind.DEVICE)
    after = np.flatnonzero(gone & mine & ~np.isin(np.arange(len(graph)), nodes))
    sent, vanished = nodes[:buckets], nodes[buckets:]
    done = BACKWARD_FROM + (1 - BACKWARD_FROM) * np.arange(1, buckets + 1) / buckets
    work.before_lag[nodes] = work.cause_lag[nodes] = work.dur[nodes] = 0.0
    work.before[sent] = np.concatenate([[NO_REF], ends[sent[:-1]]])
    work.cause[sent] = compute[((compute.size - 1) * done).astype(np.int64)]
    work.dur[ends[sent]] = kept / buckets
    work.before[vanished], work.cause[vanished] = last, NO_REF
    work.dur[ends[vanished]] = 0.0
    work.before[after] = last
    # Buckets come back in turn, each when its transfer has ended and backward is over.
    back = after[after > nodes[-1]]
    work.before_lag[back] += back_ns
    work.edges += [(node, int(ends[sent[-1]]), back_ns / buckets) for node in back.tolist()]


def _copied(work: _Work, subject: Subject, place: int, nodes: Int64, compute: Int64, level: Level) -> float:
    """Add the copies of gradients into buckets to the backward pass; the time in ns of those back, which follow it.

    Each reads and writes all gradients, the one in also divides. As views of the buckets gradients stay where they are
    and are divided in place (`gradient_as_bucket_view`). What their bytes take is that of the device's memory.
    """
    sizes, peaks = _message_bytes(subject, place, nodes), subject.peaks
    if sizes is None or peaks is None:
        return 0.0
    one_way = 2 * sum(sizes) / peaks.achievable_bytes_per_s * NS_PER_S
    backward = compute[int((compute.size - 1) * BACKWARD_FROM) :]
    spent = work.dur[backward]
    if spent.sum() > 0:
        work.dur[backward] = spent * (1 + one_way / float(spent.sum()))
    return level.pick(one_way, one_way, 0.0)


def _hook_ns(graph: Graph, subject: Subject, place: int, level: Level) -> float:
    """Two launches as they cost this host: the median one, at worst the mean one."""
    kernels = (graph.rank == place) & (graph.kind == NodeKind.DEVICE) & ~subject.kind("communication", "memcpy")
    calls = host_of(graph, kernels & (graph.region == Region.OTHER))
    each = (graph.before_lag + graph.dur)[calls]
    if not each.size:
        return VIEW_HOOK_NS
    usual, mean = float(np.median(each)), float(each.mean())
    return max(VIEW_HOOK_NS, HOOK_LAUNCHES * level.pick(max(mean, usual), usual, 0.0))


def _without_loop(work: _Work, graph: Graph, stream: Mask, nodes: Int64) -> None:
    """Take out what a loop over the gradients launches between its collectives (a division by the ranks, as a rule)."""
    between = np.flatnonzero(stream)
    between = between[(between > nodes[0]) & (between < nodes[-1])]
    between = np.setdiff1d(between, nodes)
    if between.size > LOOP_KERNELS * nodes.size:
        return
    host = np.flatnonzero(host_of(graph, np.isin(np.arange(len(graph)), between)))
    work.dur[between] = work.before_lag[between] = work.cause_lag[between] = 0.0
    work.dur[host] = work.before_lag[host] = 0.0


def _bucket_count(subject: Subject, place: int, nodes: Int64) -> int:
    sizes = _message_bytes(subject, place, nodes)
    if sizes is None:
        return math.ceil(nodes.size / CALLS_A_BUCKET)
    return max(1, math.ceil(sum(sizes) / BUCKET_BYTES))


def _message_bytes(subject: Subject, place: int, nodes: Int64) -> list[int] | None:
    """Bytes of each message, fp32 as gradients are; None when not all are known."""
    events = subject.events(place)
    rows = subject.graph.row[nodes].tolist()
    sizes = [events.collectives[row].in_elements for row in rows if row in events.collectives]
    known = [4 * size for size in sizes if size is not None]
    return known if len(known) == len(rows) else None


def _names(subject: Subject, place: int) -> Sequence[str]:
    return subject.events(place).strings.names


def _finished(graph: Graph, work: _Work) -> Graph:
    changed = replace(
        graph,
        before=work.before,
        before_lag=work.before_lag,
        cause=work.cause,
        cause_lag=work.cause_lag,
        dur=work.dur,
    )
    to, source, lag = zip(*work.edges, strict=True) if work.edges else ((), (), ())
    return changed.with_edges(np.array(to, np.int64), np.array(source, np.int64), np.array(lag, np.float64))
