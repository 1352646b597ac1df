"""A synchronisation taken out: the host runs on, until the next one or a full launch queue holds it."""

from __future__ import annotations

import numpy as np

from llmprof.analyzers.replay.graph.graph import Mask, NodeKind
from llmprof.analyzers.replay.reads import arrivals_of, computed_behind, reads_of, uncopied
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject, unwaited
from llmprof.analyzers.replay.transforms.host_work import inside, shorter

__all__ = ["FIXES", "apply"]

FIXES = ("remove-sync", "log-less-often", "pin-memory")

HALF = 0.5
"""At worst half of what the host computes behind a copy is needed in every step (an assumption)."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario without host syncs, or without copies that block because their host memory is pageable.

    A copy to the host is a sync: the host reads what it brings. At worst one sync a step stays: the loss is read
    somewhere. What is logged less often is not computed either, neither on the device before the copy nor on the host
    after it.
    """
    graph = scenario.graph
    waits = graph.kind == NodeKind.WAIT
    reads = reads_of(subject)
    copies = (subject.names_where(lambda name: "emcpy" in name) | arrivals_of(subject)) & ~reads
    allocator = subject.names_where(lambda name: "Free" in name or "Malloc" in name or "Mem" in name) & ~copies & ~reads
    chosen = waits & (copies if fix == "pin-memory" else ~copies & ~allocator)
    if not chosen.any():
        return "no copy blocks the host" if fix == "pin-memory" else "the host does not wait for the device in a call"
    if fix != "pin-memory" and level is Level.LOW:
        chosen &= ~_last_of_steps(subject, chosen)
    changed = unwaited(scenario, chosen)
    if fix != "log-less-often":
        return changed
    return uncopied(_uncounted(changed, subject, reads, level), subject, chosen & reads)


def _uncounted(scenario: Scenario, subject: Subject, reads: Mask, level: Level) -> Scenario:
    """The scenario without the work on tensors of the CPU that begins where one of these waits ends."""
    spent = np.zeros(len(subject.graph))
    for place in range(len(subject.ranks)):
        found, _ = computed_behind(subject, place, reads)
        spent += inside(subject, place, found) * level.pick(HALF, 1.0, 1.0)
    return shorter(scenario, subject, spent) if spent.any() else scenario


def _last_of_steps(subject: Subject, waits: Mask) -> Mask:
    """The last of these in each step of each rank."""
    found = np.zeros(waits.size, dtype=bool)
    nodes = np.flatnonzero(waits)[::-1]
    keys = subject.graph.step[nodes].astype(np.int64) * len(subject.ranks) + subject.graph.rank[nodes]
    found[nodes[np.unique(keys, return_index=True)[1]]] = True
    return found
