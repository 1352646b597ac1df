"""Which waits are for a copy that the host reads, what does it compute of it, and what goes if nothing is copied?"""

from __future__ import annotations

import numpy as np

from llmprof.analyzers.facts.host.host_work import computing_spans, preparing_spans
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.analyzers.replay.graph.graph import NO_REF, Mask, NodeKind
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Subject, host_of, removed, scaled
from llmprof.timeline.events import NONE
from llmprof.timeline.intervals import EMPTY, Intervals

__all__ = ["arrivals_of", "computed_behind", "copies_of", "reads_of", "uncopied"]


def reads_of(subject: Subject) -> Mask:
    """The waits for a copy to the host."""
    return _waits_for(subject, "DtoH")


def arrivals_of(subject: Subject) -> Mask:
    """The waits for a copy to the device, from memory that is not pinned."""
    return _waits_for(subject, "HtoD")


def _waits_for(subject: Subject, direction: str) -> Mask:
    graph = subject.graph
    copies = subject.names_where(lambda name: direction in name)
    # A wait for the round before counts as well.
    found: Mask = (graph.kind == NodeKind.WAIT) & (graph.cause != NO_REF) & copies[graph.cause % len(graph)]
    return found


def copies_of(subject: Subject, reads: Mask) -> Mask:
    """The copies that these waits are for."""
    found = np.zeros(len(subject.graph), dtype=bool)
    found[subject.graph.cause[reads] % len(found)] = True
    return found


def computed_behind(subject: Subject, place: int, reads: Mask) -> tuple[Intervals, Mask]:
    """Work on tensors of the CPU that begins where one of these waits of a rank ends, and the waits with such work."""
    graph, rank = subject.graph, subject.ranks[place]
    windows, mine = windows_of(rank), reads & (graph.rank == place)
    if windows is None or rank.events is None or not mine.any():
        return EMPTY, np.zeros_like(mine)
    spans = computing_spans(rank, windows)
    nodes = np.flatnonzero(mine)
    ends = rank.events.end[graph.row[nodes]]
    behind = np.isin(spans.starts, ends)
    mine[nodes] = np.isin(ends, spans.starts)
    return Intervals(spans.starts[behind], spans.ends[behind]) - (preparing_spans(rank, windows) or EMPTY), mine


def uncopied(scenario: Scenario, subject: Subject, reads: Mask) -> Scenario:
    """The scenario without the copies to the host behind these waits, and what reduces a tensor for them alone.

    That is: reductions directly before such a copy, on its stream and from its thread. The host's work before the first
    call of a chain stays, which may be about anything.
    """
    graph = subject.graph
    gone = np.zeros(len(graph), dtype=bool)
    reduces = subject.kind("reduction", "memset")
    for copy in np.flatnonzero(copies_of(subject, reads)).tolist():
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
    events, row = subject.events(int(graph.rank[node])), int(graph.row[node])
    call = int(events.launch[row]) if row != NONE else NONE
    return int(events.lane[call]) if call != NONE else NONE
