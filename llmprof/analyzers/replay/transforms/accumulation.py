"""Gradients reduced in the last micro-batch only: all but the last reductions of a step go, and what serves them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.replay.graph.graph import NO_REF, Float64, Graph, Mask, NodeKind
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject, host_of, removed
from llmprof.analyzers.replay.transforms.transfers import transfers
from llmprof.timeline.events import NONE, Kind
from llmprof.timeline.intervals import Intervals, lengths_inside

__all__ = ["FIXES", "apply", "bucket_copies", "microbatches_of", "spans_of", "unmet"]

FIXES = ("no-sync",)

_REDUCER = ("torch::distributed::reducer::", "torch.distributed.ddp.reducer::")
"""What DistributedDataParallel calls the copy of each gradient into its bucket, which divides it by the ranks, and the
one back (PyTorch source, torch/csrc/distributed/c10d/reducer.cpp). In no_sync() it makes neither."""
_ISSUE = ("c10d::allreduce", "c10d::reduce")
"""Operators that issue a reduction."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario in which one backward pass of a step reduces its gradients; parameters are gathered as before.

    Those who would have met at a reduction no longer wait for each other there. Host work that leads to a reduction
    goes with it as far as the recording marks it, at worst none of it.
    """
    rounds = microbatches_of(subject)
    if rounds is None or rounds < 2:
        return "gradients are not accumulated over several micro-batches"
    graph = scenario.graph
    reductions = subject.device & subject.names_where(lambda name: "nccl" in name.lower() and "reduce" in name.lower())
    if not (reductions & transfers(subject)).any():
        return "no reductions of gradients were recorded"
    arrivals = reductions & (graph.kind == NodeKind.DEVICE)
    copies = subject.once(bucket_copies) & subject.device & ~reductions
    gone = _early(graph, arrivals, rounds) | _early(graph, copies, rounds)
    found = removed(scenario, gone)
    calls = host_of(graph, gone)
    lag, dur = found.graph.before_lag, np.where(calls, 0.0, found.graph.dur)
    if level is not Level.LOW:
        left = 1 - _share_of_reductions(subject, calls)
        lag, dur = lag * left, dur * left
    return replace(found, graph=unmet(replace(found.graph, before_lag=lag, dur=dur), gone & arrivals))


def _early(graph: Graph, nodes: Mask, rounds: float) -> Mask:
    """Of these nodes those of all but the last micro-batch of each step, of which each has as many."""
    found = np.zeros(len(graph), bool)
    for place in range(len(graph.ranks)):
        for step in range(graph.steps):
            mine = np.flatnonzero(nodes & (graph.rank == place) & (graph.step == step))
            found[mine[: round(mine.size * (1 - 1 / rounds))]] = True
    return found


def bucket_copies(subject: Subject) -> Mask:
    """The calls that bring gradients into buckets and back, and the device work that they launch."""
    found = np.zeros(len(subject.graph), bool)
    for place in range(len(subject.ranks)):
        found |= subject.launched_in(place, spans_of(subject, place, _REDUCER))
    return found


def spans_of(subject: Subject, place: int, names: tuple[str, ...]) -> dict[int, Intervals]:
    """When each thread of a rank was in operators that begin so."""
    events = subject.events(place)
    named = np.fromiter((name.startswith(names) for name in events.strings.names), bool, len(events.strings))
    rows = events.rows_named((Kind.CPU_OP,), named)
    return {int(lane): events.spans(rows[events.lane[rows] == lane]) for lane in np.unique(events.lane[rows])}


def _share_of_reductions(subject: Subject, gone: Mask) -> Float64:
    """The share of the host's time in each node, and before it, that reductions take, up to the last call that goes."""
    graph = subject.graph
    share = np.zeros(len(graph))
    for place in range(len(subject.ranks)):
        mine = np.flatnonzero((graph.rank == place) & graph.on_host & (graph.row != NONE))
        last = np.full(graph.steps, -1, np.int64)
        calls = np.flatnonzero(gone & (graph.rank == place))
        np.maximum.at(last, graph.step[calls], graph.recorded_end[calls])
        begin = graph.recorded_start - np.rint(graph.before_lag).astype(np.int64)
        mine = mine[begin[mine] <= last[graph.step[mine]]]
        lane = subject.events(place).lane[graph.row[mine]]
        for number, some in spans_of(subject, place, _REDUCER + _ISSUE).items():
            nodes = mine[lane == number]
            end = graph.recorded_end[nodes]
            share[nodes] = lengths_inside(some, begin[nodes], end) / np.maximum(end - begin[nodes], 1)
    return share


def unmet(graph: Graph, arrivals: Mask) -> Graph:
    """The graph in which these arrivals lead to no meeting: what waited for it waits for its own rank's arrival."""
    nodes = np.flatnonzero(arrivals & graph.arriving)
    met = graph.done_by(nodes)
    before, cause, further = graph.before.copy(), graph.cause.copy(), graph.extra_from.copy()
    for place in range(len(graph.ranks)):
        own = graph.rank[nodes] == place
        instead = np.arange(len(graph))
        instead[met[own]] = nodes[own]
        for column, owner in ((before, graph.rank), (cause, graph.rank), (further, graph.rank[graph.extra_to])):
            mine = np.flatnonzero((owner == place) & (column != NO_REF))
            # Of the round before, a reference is that much smaller.
            column[mine] += instead[column[mine] % len(graph)] - column[mine] % len(graph)
    gone = np.zeros(len(graph), bool)
    gone[met] = True
    before[gone] = NO_REF
    changed = replace(graph, before=before, cause=cause, dur=np.where(gone, 0.0, graph.dur), extra_from=further)
    return changed.only_edges(~gone[graph.extra_to])


def microbatches_of(subject: Subject) -> float | None:
    """Batches in a step; None where the loop was not recorded."""
    times = subject.ranks[0].times
    counts = times.microbatches if times is not None else None
    return float(counts.mean()) if counts is not None and counts.size else None
