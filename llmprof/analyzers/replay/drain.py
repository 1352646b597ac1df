"""Which collectives began when a kernel ended that filled the device, and how long do they wait when it gets shorter?

A collective needs multiprocessors of its own: ready, and with its stream idle, it still waits for the rest of a kernel
whose blocks hold all of them. The gap before it is then a part of that kernel, and shrinks with it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.partition.idle import LAUNCH_GAP_NS
from llmprof.analyzers.replay.graph.draft import HANDOVER_NS, SLACK_NS
from llmprof.analyzers.replay.graph.graph import Graph, Int64, NodeKind
from llmprof.analyzers.replay.transforms.base import Subject

__all__ = ["drained", "held_by"]


def held_by(subject: Subject) -> tuple[Int64, Int64]:
    """Collectives with a gap on their own stream, and for each the kernel of another stream at whose end it began."""
    graph = subject.graph
    device = graph.kind == NodeKind.DEVICE
    calls = device & subject.kind("communication") & (graph.before_lag > LAUNCH_GAP_NS)
    found, kernels = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for place in range(len(graph.ranks)):
        mine = device & (graph.rank == place)
        others = np.flatnonzero(mine & ~subject.kind("communication") & (graph.dur > 0))
        held = np.flatnonzero(calls & mine)
        if not others.size or not held.size:
            continue
        others = others[np.argsort(graph.recorded_end[others], kind="stable")]
        last = np.searchsorted(graph.recorded_end[others], graph.recorded_start[held] + SLACK_NS, side="right") - 1
        kernel = others[np.maximum(last, 0)]
        near = (last >= 0) & (graph.recorded_end[kernel] >= graph.recorded_start[held] - HANDOVER_NS)
        found.append(held[near])
        kernels.append(kernel[near])
    return np.concatenate(found), np.concatenate(kernels)


def drained(held: tuple[Int64, Int64], before: Graph, after: Graph) -> Graph:
    """The graph after a fix in which these gaps are shorter by as much as the kernels that they were a part of."""
    calls, kernels = held
    if not calls.size or after is before:
        return after
    now = np.maximum(before.dur[kernels], 1.0)
    lag = after.before_lag.copy()
    lag[calls] = np.minimum(lag[calls], before.before_lag[calls] * np.minimum(after.dur[kernels] / now, 1.0))
    return replace(after, before_lag=lag)
