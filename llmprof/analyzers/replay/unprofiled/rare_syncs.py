"""Which waits of the host were caught by chance? Those of one traced step of several, in a run that hardly has them.

A loop that prints its loss every 50 steps waits for the device in one of them, and DistributedDataParallel in every
100th backward pass, in which it times itself (PyTorch source, torch/csrc/distributed/c10d/logger.cpp). With one of four
traced steps such a wait would count 12 times. In the steps that were measured without the profiler it shows as a long
step: the host, which is ahead, waits for all that is queued.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.replay.graph.graph import Graph, NodeKind
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import unwaited
from llmprof.timeline.events import NONE
from llmprof.timeline.timeline import RankTimeline

__all__ = ["without_rare_syncs"]

LONG_NS = 1_000_000.0
"""What is shorter holds up no host that is ahead."""
RARER = 0.5
"""Long steps of the run are so much rarer than traced ones with such a wait, at least."""
LEAST_STEPS = 3
"""Of fewer traced steps none is the exception."""


def without_rare_syncs(graph: Graph, ranks: Sequence[RankTimeline], facts: Facts) -> Graph:
    """The graph without the waits that fewer than half of the traced steps have, where the run has fewer still.

    What most steps call is no exception, even where it is long in one of them.
    """
    table = facts.critical.table
    if facts.step.basis != "unprofiled" or table is None or table.steps == 0 or graph.steps < LEAST_STEPS:
        return graph
    waited = graph.recorded_end - graph.recorded_start
    rare = np.zeros(len(graph), bool)
    for place, rank in enumerate(ranks):
        assert rank.events is not None
        waits = np.flatnonzero((graph.kind == NodeKind.WAIT) & (graph.rank == place) & (graph.row != NONE))
        names = rank.events.name[graph.row[waits]]
        for name in np.unique(names):
            mine = waits[names == name]
            share = np.unique(graph.step[mine]).size / graph.steps
            few = share < 0.5 and table.outliers.count / table.steps <= RARER * share
            rare[mine] = few and bool((waited[mine] >= LONG_NS).any())
    return unwaited(Scenario(graph=graph), rare).graph if rare.any() else graph
