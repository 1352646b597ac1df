"""Which stream waits for which? The edges between streams, from cudaStreamWaitEvent and the order of the launches.

PyTorch lets the stream of a collective wait for the stream that computes, and the latter for the collective where its
result is needed (`Work.wait`, DDP's last hook). A wait call that is followed by a launch on another stream than the
work before it makes that stream wait. What began when work of another stream had ended, although it was launched and
its own stream idle, waited for that work. Where the recording shows no such end nothing waited there, and the source is
guessed: waits of the computing stream are matched to the collectives in their order, other streams wait for the one
that computes. Guesses that the recording contradicts, because the waiting work began earlier, are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.facts.device.kernels import row_classes
from llmprof.analyzers.replay.graph.draft import HANDOVER_NS, SLACK_NS, Draft
from llmprof.analyzers.replay.graph.graph import Float64, Index, Int64
from llmprof.analyzers.replay.graph.sync_rows import named_streams
from llmprof.timeline.events import NONE, Kind
from llmprof.timeline.timeline import RankTimeline

__all__ = ["EventWaits", "event_waits"]

_COMMUNICATION = CLASSES.index("communication")
_WAIT = re.compile(r"^(cuda|hip|cu)StreamWaitEvent")
_NEAREST = 512
"""Work of other streams, launched last before a wait, among which its source is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventWaits:
    """Pairs of nodes (source, waiting), shape (edges, 2), with the hand-over from one to the other."""

    pairs: Int64
    lag_ns: Float64
    confirmed: bool


def event_waits(rank: RankTimeline, draft: Draft) -> EventWaits:
    """The edges between the streams of one rank."""
    events, work = draft.events, draft.device()
    waits = _wait_rows(draft)
    nothing = EventWaits(pairs=np.empty((0, 2), np.int64), lag_ns=np.empty(0), confirmed=True)
    if work.size == 0 or waits.size == 0 or np.unique(draft.lane[work]).size < 2:
        return nothing
    lanes, counts = np.unique(draft.lane[work], return_counts=True)
    main = int(lanes[counts.argmax()])
    streams = {int(lane): work[draft.lane[work] == lane] for lane in lanes}
    launched = draft.points.ts[draft.point[work]]
    named = named_streams(rank, events)
    collectives = _collectives(draft, work[draft.lane[work] != main])
    taken = 0
    pairs: set[tuple[int, int]] = set()
    for row in waits.tolist():
        place = int(np.searchsorted(launched, events.ts[row]))
        if place >= work.size or (named and row not in named):
            continue  # the stream that waits runs nothing here
        waiting = named.get(row, int(draft.lane[work[place]]))
        to = int(np.searchsorted(streams[waiting], work[place]))
        if to >= streams[waiting].size:
            continue
        target = int(streams[waiting][to])
        source = _released_by(draft, streams[waiting], to, work[:place])
        if waiting == main:
            begun = int(np.searchsorted(collectives, work[place]))
            known = int(np.searchsorted(collectives, source))
            if source == NONE:
                source = int(collectives[min(taken, begun - 1)]) if begun else NONE
            elif known < begun and collectives[known] == source:
                taken = known
        elif source == NONE:
            source = _last(streams[main], work[place])
        if source != NONE and draft.end[source] <= draft.ts[target] + SLACK_NS:
            pairs.add((source, target))
            taken += int(waiting == main and taken < begun)
    found = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return EventWaits(pairs=found, lag_ns=draft.handover_ns(found), confirmed=bool(named))


def _released_by(draft: Draft, stream: Index, place: int, launched: Index) -> int:
    """The work of another stream that made the work at `place` of this one wait; NONE where none did.

    What waited was launched, its stream idle, and it began when that other work had ended.
    """
    target = stream[place]
    idle = draft.points.ts[draft.point[target]]
    if place:
        idle = max(idle, draft.end[stream[place - 1]])
    others = launched[-_NEAREST:]
    others = others[draft.lane[others] != draft.lane[target]]
    ends, begin = draft.end[others], draft.ts[target]
    found = np.flatnonzero((ends > idle) & (ends >= begin - HANDOVER_NS) & (ends <= begin + SLACK_NS))
    return int(others[found[np.argmax(ends[found])]]) if found.size else NONE


def _collectives(draft: Draft, nodes: Index) -> Index:
    """Those of the nodes that are collectives; all of them where none is."""
    known = row_classes(draft.events)[draft.row[nodes]] == _COMMUNICATION
    return nodes[known] if known.any() else nodes


def _last(nodes: Index, node: np.intp) -> int:
    """The last of `nodes` (ascending) before `node`, NONE without one."""
    place = int(np.searchsorted(nodes, node)) - 1
    return int(nodes[place]) if place >= 0 else NONE


def _wait_rows(draft: Draft) -> Index:
    """The calls that make a stream wait, inside the traced steps, ascending."""
    events = draft.events
    matching = np.fromiter((_WAIT.search(name) is not None for name in events.strings.names), bool)
    rows = events.rows_named((Kind.RUNTIME,), matching)
    return rows[(events.ts[rows] >= draft.points.start_ns) & (events.ts[rows] < draft.points.end_ns)]
