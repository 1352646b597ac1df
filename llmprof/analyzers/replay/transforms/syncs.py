"""A synchronisation taken out: the host runs on, until the next one or a full launch queue holds it."""

from __future__ import annotations

import numpy as np

from llmprof.analyzers.replay.graph import NodeKind
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Mask, Subject, unwaited

__all__ = ["FIXES", "apply"]

FIXES = ("remove-sync", "log-less-often", "pin-memory")


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario without host syncs, or without copies that block because their host memory is pageable.

    At worst one sync a step stays: the loss is read somewhere.
    """
    graph = scenario.graph
    waits = graph.kind == NodeKind.WAIT
    copies = subject.names_where(lambda name: "Memcpy" in name or "memcpy" in name)
    allocator = subject.names_where(lambda name: "Free" in name or "Malloc" in name or "Mem" in name) & ~copies
    chosen = waits & (copies if fix == "pin-memory" else ~copies & ~allocator)
    if not chosen.any():
        return "no copy blocks the host" if fix == "pin-memory" else "the host does not wait for the device in a call"
    if fix != "pin-memory" and level is Level.LOW:
        chosen &= ~_last_of_steps(subject, chosen)
    return unwaited(scenario, chosen)


def _last_of_steps(subject: Subject, waits: Mask) -> Mask:
    """The last of these in each step of each rank."""
    found = np.zeros(waits.size, dtype=bool)
    nodes = np.flatnonzero(waits)[::-1]
    keys = subject.graph.step[nodes].astype(np.int64) * len(subject.ranks) + subject.graph.rank[nodes]
    found[nodes[np.unique(keys, return_index=True)[1]]] = True
    return found
