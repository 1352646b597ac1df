"""Gradients in smaller messages that leave while backward still runs, or in larger ones of which there are fewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmprof.analyzers.facts.operators.gradients import (
    BUCKET_BYTES,
    FIRST_BUCKET_BYTES,
    Gradients,
    gradients_of,
    oversized,
)
from llmprof.analyzers.facts.steps.inside import host_steps
from llmprof.analyzers.replay.graph.graph import NO_REF, Float64, Graph, Int64, Mask, NodeKind
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject
from llmprof.analyzers.replay.transforms.transfers import latency_of, transfers
from llmprof.timeline.events import NONE

__all__ = ["FIXES", "Message", "apply", "cut", "messages", "split"]

FIXES = ("ddp-bucket-size",)

NEARLY = 0.05
"""Bytes of a message and of its gradients may differ by this share: padding."""
HOOK = (1.0, 0.5, 0.0)
"""Of what a call takes the host that is made once, with what leads to it, what it takes made again from a hook of the
backward pass: at worst all of it, at best it hides; half is assumed."""
BESIDE = (1.11, 1.04, 1.0)
"""How many times as long a transfer takes beside kernels, where the recording has none there. Own recordings of two
H200 that exchange through host memory, nine runs with messages beside kernels and alone: 1.01 to 1.11, median 1.04."""
FEWER = (1.0, 0.5, 0.25)
"""Messages left, against now, when they get larger; each saves the latency of one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Message:
    """A reduction of gradients: its arrival, and for each of its gradients their bytes and the kernel that ends it.

    rest           further arrivals, of a loop that reduces them one by one, shape (calls - 1,)
    ready, sizes   shape (gradients,)
    """

    node: int
    rest: Int64
    ready: Int64
    sizes: Int64

    @property
    def nodes(self) -> Int64:
        """All arrivals."""
        return np.append(self.node, self.rest)


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with DDP's default buckets where the recorded ones are larger, else with fewer ones."""
    found = transfers(subject)
    if not found.any():
        return "no collectives were recorded"
    cut_up = split(subject)
    if cut_up:
        return replace(scenario, graph=cut(scenario, subject, cut_up, level))
    graph = scenario.graph
    latency = latency_of(graph.dur[found])
    dur = np.maximum(graph.dur - latency, 0.0) + latency * level.pick(*FEWER)
    return replace(scenario, graph=replace(graph, dur=np.where(found, dur, graph.dur)))


def split(subject: Subject) -> list[Message]:
    """The messages of DistributedDataParallel, where they are a multiple of its default buckets and known in full."""
    return messages(subject) if oversized(subject.facts.critical.environment.ddp) else []


def messages(subject: Subject) -> list[Message]:
    """The reductions of gradients of all ranks and steps; empty where not all of these are known gradient by gradient.

    A message holds the gradients since the one before it, which its bytes have to confirm.
    """
    found: list[Message] = []
    reductions = subject.names_where(lambda name: "allreduce" in name.lower()) & subject.kind("communication")
    reductions &= subject.graph.kind == NodeKind.DEVICE
    for place, rank in enumerate(subject.ranks):
        windows = subject.of(place).windows
        gradients = None if windows is None else gradients_of(rank, *host_steps(rank, windows))
        if gradients is None or len(gradients) != subject.graph.steps:
            return []
        for step, some in enumerate(gradients):
            nodes = np.flatnonzero(reductions & (subject.graph.rank == place) & (subject.graph.step == step))
            mine = _of_step(subject, place, step, nodes, some)
            if mine is None:
                return []
            found += mine
    return found


def _of_step(subject: Subject, place: int, step: int, nodes: Int64, some: Gradients) -> list[Message] | None:
    """The messages of one step; None where a gradient is in none of them."""
    graph, events = subject.graph, subject.events(place)
    work = subject.device & ~subject.kind("communication") & (graph.kind == NodeKind.DEVICE)
    kernels = np.flatnonzero(work & (graph.rank == place) & (graph.step == step))
    launch = events.launch[graph.row[kernels]]
    kernels, launched = kernels[launch != NONE], events.ts[launch[launch != NONE]]
    if not kernels.size:
        return None
    order = np.argsort(launched, kind="stable")
    last = np.searchsorted(launched[order], some.done_ns) - 1
    ready = np.maximum.accumulate(kernels[order][np.maximum(last, 0)])
    calls = [events.collectives.get(row) for row in graph.row[nodes].tolist()]
    held = np.array([call.in_elements or 0 if call is not None else 0 for call in calls], np.int64)
    called = events.launch[graph.row[nodes]]
    nodes, held, called = nodes[called != NONE], held[called != NONE], events.ts[called[called != NONE]]
    by_hand = called > some.done_ns[-1]
    if by_hand.any() and _nearly(int(held[by_hand].sum()), some.elements):
        mine = nodes[by_hand]
        return [Message(node=int(mine[0]), rest=mine[1:], ready=ready, sizes=some.sizes)]
    found, begin = [], 0
    # DistributedDataParallel sends a bucket within the hook of its last gradient.
    last = np.minimum(np.searchsorted(some.done_ns, called) + 1, len(some))
    for node, elements, end in zip(nodes.tolist(), held.tolist(), last.tolist(), strict=True):
        if _nearly(elements, some.elements[begin:end]):
            found.append(Message(node=node, rest=nodes[:0], ready=ready[begin:end], sizes=some.sizes[begin:end]))
            begin = end
    return found if begin == len(some) else None


def _nearly(elements: int, gradients: Int64) -> bool:
    return abs(elements - int(gradients.sum())) <= NEARLY * elements


def cut(scenario: Scenario, subject: Subject, some: Sequence[Message], level: Level) -> Graph:
    """The graph in which these messages leave in DDP's buckets, each when its last gradient is there.

    Buckets go one after the other, so that the last one ends at the latest of: the k-th is ready, and all from it on
    are moved. What was one message stays one node, which starts so long before a bucket is ready as those before it
    take. Large messages do not show what a small one takes beside its bytes: it is the most that is usual.
    """
    graph, contention = scenario.graph, scenario.contention
    learned = contention is not None and (contention.factor[graph.kind == NodeKind.MEETING] != 1).any()
    slower = 1.0 if learned else level.pick(*BESIDE)
    dur, before, lag = graph.dur.copy(), graph.before.copy(), graph.before_lag.copy()
    cause, cause_lag = graph.cause.copy(), graph.cause_lag.copy()
    told = graph.extra_lag.copy()
    to, source, extra = [], [], []
    talk = subject.kind("communication") | (graph.kind == NodeKind.MEETING)
    done = graph.done_by(np.arange(len(graph)))
    for one in some:
        end = int(done[one.node])
        ends, moved = _lasting(one, graph.dur[done[one.nodes]], level)
        dur[done[one.rest]] = 0.0
        moved *= np.where(_beside(moved, graph.recorded_end[one.ready[ends]]), slower, 1.0)
        dur[end] = float(moved.sum())
        ahead = np.cumsum(moved) - moved
        # The hook of a gradient sends the first one, where the call of the host had sent all.
        to.append(np.full(ends.size, one.node, np.int64))
        source.append(np.append(one.ready[ends[1:]], cause[one.node]))
        extra.append(np.append(-ahead[1:], cause_lag[one.node] - ahead[-1]))
        cause[one.node], cause_lag[one.node] = one.ready[ends[0]], 0.0
        mine = (graph.extra_to == one.node) & ~talk[graph.extra_from % len(graph)]
        told[mine] -= ahead[-1]
        if before[one.node] != NO_REF and not talk[before[one.node] % len(graph)]:
            to.append(np.array([one.node], np.int64))
            source.append(before[[one.node]])
            extra.append(np.array([lag[one.node] - ahead[-1]]))
            before[one.node], lag[one.node] = NO_REF, 0.0
        _issued(graph, dur, one, ends, level)
    changed = replace(graph, dur=dur, before=before, before_lag=lag, cause=cause, cause_lag=cause_lag, extra_lag=told)
    return changed.with_edges(np.concatenate(to), np.concatenate(source), np.concatenate(extra))


def _lasting(one: Message, each_ns: Float64, level: Level) -> tuple[Int64, Float64]:
    """Of each bucket its last gradient, and the ns that it takes: its share of the bytes, and a latency."""
    held = Gradients(done_ns=one.sizes, sizes=one.sizes, elements=one.sizes)
    ends = np.array(held.buckets(FIRST_BUCKET_BYTES, BUCKET_BYTES), np.int64)
    filled = np.diff(np.cumsum(one.sizes)[ends], prepend=0) / max(float(one.sizes.sum()), 1.0)
    latency = latency_of(each_ns)
    moving = float((each_ns - latency).sum())
    return ends, moving * filled + latency * level.pick(1.0, 1.0, 1.0 / ends.size)


def _beside(moved: Float64, ready_ns: Int64) -> Mask:
    """Which of these buckets are moved while backward goes on."""
    found, free = np.zeros(moved.size, bool), 0.0
    for place, (ns, ready) in enumerate(zip(moved.tolist(), ready_ns.tolist(), strict=True)):
        begin = max(free, ready)
        found[place], free = begin < ready_ns[-1], begin + ns
    return found


def _issued(graph: Graph, dur: Float64, one: Message, ends: Int64, level: Level) -> None:
    """Let the host send each bucket but the last, which it does already, behind its last gradient."""
    made = graph.cause[one.nodes]
    calls = graph.cause[one.ready[ends[:-1]]]
    if (made < 0).any():
        return
    each = float(np.median((graph.before_lag + graph.dur)[made]))
    np.add.at(dur, calls[calls >= 0], level.pick(*HOOK) * each)
