"""A synchronisation taken out: the host runs on, until the next one or a full launch queue holds it."""

from __future__ import annotations

import numpy as np

from llmprof.analyzers.facts.host_work import computing_spans, preparing_spans
from llmprof.analyzers.facts.windows import windows_of
from llmprof.analyzers.replay.graph import NO_REF, NodeKind
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Mask, Subject, host_of, removed, scaled, unwaited
from llmprof.analyzers.replay.transforms.host_work import inside, shorter
from llmprof.timeline.events import NONE
from llmprof.timeline.intervals import EMPTY, Intervals

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
    reads = waits & _waited_for(subject, subject.names_where(lambda name: "DtoH" in name))
    copies = subject.names_where(lambda name: "Memcpy" in name or "memcpy" in name) & ~reads
    allocator = subject.names_where(lambda name: "Free" in name or "Malloc" in name or "Mem" in name) & ~copies & ~reads
    chosen = waits & (copies if fix == "pin-memory" else ~copies & ~allocator)
    if not chosen.any():
        return "no copy blocks the host" if fix == "pin-memory" else "the host does not wait for the device in a call"
    if fix != "pin-memory" and level is Level.LOW:
        chosen &= ~_last_of_steps(subject, chosen)
    changed = unwaited(scenario, chosen)
    if fix != "log-less-often":
        return changed
    return _unlogged(_uncounted(changed, subject, reads, level), subject, chosen & reads)


def _uncounted(scenario: Scenario, subject: Subject, reads: Mask, level: Level) -> Scenario:
    """The scenario without the work on tensors of the CPU that begins where one of these waits ends."""
    graph, spent = subject.graph, np.zeros(len(subject.graph))
    for place, rank in enumerate(subject.ranks):
        windows, mine = windows_of(rank), reads & (graph.rank == place)
        if windows is None or rank.events is None or not mine.any():
            continue
        spans = computing_spans(rank, windows)
        behind = np.isin(spans.starts, rank.events.end[graph.row[mine]])
        found = Intervals(spans.starts[behind], spans.ends[behind]) - (preparing_spans(rank, windows) or EMPTY)
        spent += inside(subject, place, found) * level.pick(HALF, 1.0, 1.0)
    return shorter(scenario, subject, spent) if spent.any() else scenario


def _waited_for(subject: Subject, work: Mask) -> Mask:
    """The nodes that wait first of all for this work."""
    graph = subject.graph
    found: Mask = (graph.cause != NO_REF) & work[graph.cause % len(graph)]  # of the round before as well
    return found


def _unlogged(scenario: Scenario, subject: Subject, reads: Mask) -> Scenario:
    """The scenario without the copies to the host behind these waits, and what reduces a tensor for them alone.

    That is: reductions directly before such a copy, on its stream and from its thread. The host's work before the first
    call of a chain stays, which may be about anything.
    """
    graph = subject.graph
    gone = np.zeros(len(graph), dtype=bool)
    reduces = subject.kind("reduction", "memset")
    for copy in np.unique(graph.cause[reads] % len(graph)).tolist():
        gone[copy] = True
        thread, node = _thread(subject, copy), int(graph.before[copy])
        while node >= 0 and reduces[node] and not gone[node] and _thread(subject, node) == thread:
            gone[node] = True
            node = int(graph.before[node])
    calls = host_of(graph, gone) | reads
    follows = calls & (graph.before >= 0) & calls[np.maximum(graph.before, 0)]
    return removed(scaled(scaled(scenario, calls, dur=0.0), follows, lag=0.0), gone)


def _thread(subject: Subject, node: int) -> int:
    """The lane of the host that launched a node of the device; NONE where that is unknown."""
    graph = subject.graph
    events, row = subject.ranks[int(graph.rank[node])].events, int(graph.row[node])
    assert events is not None
    call = int(events.launch[row]) if row != NONE else NONE
    return int(events.lane[call]) if call != NONE else NONE


def _last_of_steps(subject: Subject, waits: Mask) -> Mask:
    """The last of these in each step of each rank."""
    found = np.zeros(waits.size, dtype=bool)
    nodes = np.flatnonzero(waits)[::-1]
    keys = subject.graph.step[nodes].astype(np.int64) * len(subject.ranks) + subject.graph.rank[nodes]
    found[nodes[np.unique(keys, return_index=True)[1]]] = True
    return found
