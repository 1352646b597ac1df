"""Which stream does a runtime call wait on? What the CUDA sync events of a recording tell, by the row of the call."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind
from llmprof.timeline.timeline import RankTimeline

__all__ = ["named_streams"]


def named_streams(rank: RankTimeline, events: EventTable) -> Mapping[int, int]:
    """For rows of runtime calls the lane of the stream that they make wait, or wait for; empty without sync events.

    Both rows of one call, its own and the sync event, carry one correlation.
    """
    if not events.streams:
        return {}
    lanes = np.unique(events.lane[events.rows(*DEVICE_KINDS)]).tolist()
    by_stream = {rank.lanes[lane].thread: lane for lane in lanes}
    rows = [row for row, stream in events.streams.items() if stream in by_stream and events.correlation[row] > 0]
    known = {int(events.correlation[row]): by_stream[events.streams[row]] for row in rows}
    calls = np.flatnonzero(
        (events.kind == Kind.RUNTIME) & np.isin(events.correlation, np.fromiter(known, np.int64, len(known)))
    )
    return {int(row): known[int(events.correlation[row])] for row in calls if events.correlation[row] != NONE}
