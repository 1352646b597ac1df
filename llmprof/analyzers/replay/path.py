"""What does the step wait for, one thing after the other? The critical path through the last round, by class."""

from __future__ import annotations

import numpy as np

from llmprof.analyzers.facts.kernel_names import CLASSES
from llmprof.analyzers.replay.graph import NO_REF, NodeKind, Region
from llmprof.analyzers.replay.replay import Replayed
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
    before, cause, lags = graph.before.tolist(), graph.cause.tolist(), graph.before_lag
    further: dict[int, list[int]] = {}
    for to, source in zip(graph.extra_to.tolist(), graph.extra_from.tolist(), strict=True):
        further.setdefault(to, []).append(source)
    extra_lag: dict[tuple[int, int], float] = {
        (to, source): lag
        for to, source, lag in zip(
            graph.extra_to.tolist(), graph.extra_from.tolist(), graph.extra_lag.tolist(), strict=True
        )
    }
    device = graph.on_device
    last = np.where(device if device.any() else True, replayed.end_ns, -1.0)
    at = int(last[-1].argmax()) + (rounds - 1) * n
    begin = float(last[-2].max()) if rounds > 1 else 0.0
    total = dict.fromkeys(("compute", "communication", "memcpy", "data", "host", "gap"), 0.0)
    labels = _labels(subject)
    while at >= 0 and ends[at] > begin:
        node, base = at % n, at - at % n
        start = ends[at] - graph.dur[node]
        total[labels[node]] += max(0.0, ends[at] - max(start, begin))
        choices = [(before[node], float(lags[node])), (cause[node], float(graph.cause_lag[node]))]
        choices += [(source, extra_lag[node, source]) for source in further.get(node, ())]
        known = [(ends[base + ref] + lag, base + ref) for ref, lag in choices if ref != NO_REF and base + ref >= 0]
        if not known:
            break
        _, came = max(known)
        waited = max(0.0, start - max(ends[came], begin))
        host = graph.kind[node] <= NodeKind.WAIT and graph.kind[came % n] <= NodeKind.WAIT
        total[labels[node] if host else "gap"] += waited
        at = came
    return {name: value / graph.steps for name, value in total.items()}


def _labels(subject: Subject) -> list[str]:
    """The class of each node."""
    graph = subject.graph
    names = np.array([_of_class(name) for name in CLASSES], dtype=object)
    labels = np.where(graph.on_device, names[np.maximum(subject.classes, 0)], "host")
    result: list[str] = np.where(graph.on_host & (graph.region == Region.FETCH), "data", labels).tolist()
    return result


def _of_class(name: str) -> str:
    return name if name in ("communication", "memcpy") else "compute"
