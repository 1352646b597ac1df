"""Which nodes does a recording give, before it is known what waits for what?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.replay.graph.calls import Points
from llmprof.analyzers.replay.graph.graph import Float64, Index, Int64, NodeKind
from llmprof.timeline.events import DEVICE_KINDS, EventTable

__all__ = ["HANDOVER_NS", "SLACK_NS", "Draft"]

SLACK_NS = 2_000
"""Host and device clocks of one recording agree to about a microsecond."""
HANDOVER_NS = 5_000
"""From the end of one work to the begin of the one that waits for it some microseconds pass at most; more has another
reason."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draft:
    """Nodes of one rank before their edges; columns have shape (nodes,), times as recorded."""

    events: EventTable
    points: Points
    kind: npt.NDArray[np.uint8]
    point: Int64
    """The point (host) or the point of the launch (device)."""
    row: Int64
    ts: Int64
    end: Int64
    lane: Int64
    """Stream of device work, NONE for the host."""

    def device(self) -> Index:
        """The nodes that are device work."""
        return np.flatnonzero(self.kind == NodeKind.DEVICE)

    def earlier(self) -> Index:
        """Rows of device work that was launched before the recorded steps and ran into them, or before them."""
        work = self.device()
        rows = np.setdiff1d(self.events.rows(*DEVICE_KINDS), self.row[work])
        first = self.ts[work].min() if work.size else 0
        found: Index = rows[self.events.ts[rows] < first]
        return found

    def handover_ns(self, pairs: Int64) -> Float64:
        """What of the time between pairs of nodes (source, waiting), shape (edges, 2), is the hand-over itself."""
        gap = self.ts[pairs[:, 1]] - self.end[pairs[:, 0]]
        result: Float64 = np.clip(gap, 0, HANDOVER_NS).astype(np.float64)
        return result
