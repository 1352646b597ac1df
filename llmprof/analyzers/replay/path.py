"""What does the step wait for, one thing after the other? The critical path through the last round, by class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.replay.graph.graph import NO_REF, Region
from llmprof.analyzers.replay.graph.replay import Replayed
from llmprof.analyzers.replay.transforms.base import Subject

__all__ = ["critical_path"]


def critical_path(replayed: Replayed, subject: Subject) -> dict[str, float]:
    """Ns per step on the critical path of the last round, by class, summing to the step.

    compute, communication, memcpy   work on the device
    data                             the host inside a loader
    host                             other work of the host, launches included
    gap                              the device's own latencies from launch to begin, and from one work to the next
    """
    graph = replayed.graph
    n, rounds = len(graph), replayed.end_ns.shape[0]
    ends = replayed.end_ns.ravel()
    device = graph.on_device
    last = np.where(device if device.any() else True, replayed.end_ns, -1.0)
    at = int(last[-1].argmax()) + (rounds - 1) * n
    begin = float(last[-2].max()) if rounds > 1 else 0.0
    total = dict.fromkeys(("compute", "communication", "memcpy", "data", "host", "gap"), 0.0)
    label = _labels(subject)
    several = np.zeros(n, dtype=bool)
    several[graph.extra_to] = True
    host = graph.on_host
    while at >= 0 and ends[at] > begin:
        node, base = at % n, at - at % n
        start = ends[at] - graph.dur[node]
        total[label(node)] += max(0.0, ends[at] - max(start, begin))
        choices = [(graph.before[node], graph.before_lag[node]), (graph.cause[node], graph.cause_lag[node])]
        if several[node]:
            more = slice(*np.searchsorted(graph.extra_to, [node, node + 1]).tolist())
            choices += zip(graph.extra_from[more], graph.extra_lag[more], strict=True)
        known = [
            (ends[base + int(ref)] + float(lag), base + int(ref))
            for ref, lag in choices
            if ref != NO_REF and base + ref >= 0
        ]
        if not known:
            break
        _, came = max(known)
        waited = max(0.0, start - max(ends[came], begin))
        total[label(node) if host[node] and host[came % n] else "gap"] += waited
        at = came
    return {name: value / graph.steps for name, value in total.items()}


def _labels(subject: Subject) -> Callable[[int], str]:
    """Node to its class."""
    graph, classes = subject.graph, subject.classes
    device, fetching = graph.on_device, graph.within(Region.FETCH)
    names = [_of_class(name) for name in CLASSES]

    def label(node: int) -> str:
        if device[node]:
            return names[max(int(classes[node]), 0)]
        return "data" if fetching[node] else "host"

    return label


def _of_class(name: str) -> str:
    return name if name in ("communication", "memcpy") else "compute"
