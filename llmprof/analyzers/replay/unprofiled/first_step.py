"""Which pauses of the host has only the first traced step? Those of a profiler that has just begun.

The overhead at the beginning of profiling is high and skews the first results (torch.profiler documentation, on its
warm-up): tables are made at the first event of a thread or of a kind. A device with a long queue hides such a pause in
the recording, but not in a replay with shorter kernels, where it would stand in every round.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.replay.graph.graph import Graph, Region

__all__ = ["without_first_pauses"]

PAUSE_NS = 1_000_000.0
"""What is shorter is no matter: a host works for some ms a step."""
MOST_LONGER = 3.0
"""So much longer than the longest of the other steps at the same place is no chance."""


def without_first_pauses(graph: Graph) -> Graph:
    """The graph in which the host's work in the first step is as long as in the others where only that one paused.

    Steps are compared launch by launch; nothing changes where fewer than two others launch as often as the first. How
    long a batch takes is the loader's matter, and differs.
    """
    lag = graph.before_lag.copy()
    for place in range(len(graph.ranks)):
        host = np.flatnonzero(graph.on_host & (graph.rank == place))
        step, launches = graph.step[host], graph.launched[host] > 0
        counts = np.bincount(step[launches], minlength=graph.steps)
        alike = np.flatnonzero(counts == counts[0])
        if alike.size < 3 or counts[0] == 0:
            continue
        # A node belongs to the launch that comes next in its step.
        turn = np.cumsum(launches) - launches - (np.cumsum(counts) - counts)[step]
        work = np.zeros((graph.steps, int(counts.max()) + 1))
        own = np.where(graph.region[host] == Region.FETCH, 0.0, lag[host])
        np.add.at(work, (step, turn), own)
        usual = work[alike[1:]].max(axis=0)
        paused = (work[0] > PAUSE_NS) & (work[0] > MOST_LONGER * usual)
        first = (step == 0) & (graph.region[host] != Region.FETCH)
        share = np.where(paused, usual / np.maximum(work[0], 1.0), 1.0)
        lag[host[first]] *= share[turn[first]]
    return replace(graph, before_lag=lag)
