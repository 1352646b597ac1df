"""What does one rank hand over of its collectives? Compact arrays, enough to match them with those of its peers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.collective_calls import CollectiveKind, describe
from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.facts.device.kernels import row_classes
from llmprof.analyzers.facts.steps.inside import step_of
from llmprof.timeline.events import NONE, EventTable
from llmprof.timeline.intervals import Int64
from llmprof.timeline.timeline import RankTimeline

__all__ = ["MOST_CALLS", "RankCalls", "collective_rows", "rank_calls"]

MOST_CALLS = 1 << 16
"""Of a recording with more collectives the last ones are handed over (about 1.5 MB); ten traced steps of a large model
have some ten thousand."""

_COMMUNICATION = CLASSES.index("communication")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankCalls:
    """The collectives of one rank in order of start; columns have shape (calls,).

    kind        index into `kinds`
    start_ns    on the rank's own clock, from its origin
    step        number of the marked step that launched the call, NONE where that is none or not known
    """

    rank: int
    host: str | None
    origin_ns: int
    """Unix ns of start_ns == 0."""
    steps: Int64
    """Numbers of the marked steps, shape (steps,)."""
    kinds: tuple[CollectiveKind, ...]
    kind: npt.NDArray[np.int32]
    start_ns: Int64
    dur_ns: Int64
    step: Int64

    def __len__(self) -> int:
        return int(self.start_ns.size)

    @property
    def sizes(self) -> Int64:
        """Message bytes of each call, NONE where unknown; shape (calls,)."""
        return np.array([NONE if kind.bytes is None else kind.bytes for kind in self.kinds], np.int64)[self.kind]


def collective_rows(events: EventTable) -> npt.NDArray[np.intp]:
    """The rows that are collective kernels, ascending."""
    return np.flatnonzero(row_classes(events) == _COMMUNICATION)


def rank_calls(rank: RankTimeline) -> RankCalls | None:
    """The last MOST_CALLS collectives of a rank; None when it was not traced."""
    events, marks = rank.events, rank.marks
    if events is None:
        return None
    rows = collective_rows(events)[-MOST_CALLS:]
    kinds, index = describe(events, rows)
    launch = events.launch[rows]
    step = step_of(marks.start_ns, marks.end_ns, events.ts[np.maximum(launch, 0)]) if rows.size else np.empty(0, int)
    known = (launch != NONE) & (step != NONE)
    number = marks.number if len(marks) else np.full(1, NONE, np.int64)
    return RankCalls(
        rank=rank.rank,
        host=rank.environment.host,
        origin_ns=rank.origin_ns,
        steps=marks.number,
        kinds=kinds,
        kind=index.astype(np.int32),
        start_ns=events.ts[rows],
        dur_ns=events.dur[rows],
        step=np.where(known, number[np.where(known, step, 0)], NONE).astype(np.int64),
    )
