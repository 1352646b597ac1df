"""Which nodes does a recording give, before it is known what waits for what?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.replay.graph.calls import Points
from llmprof.analyzers.replay.graph.graph import Int64, NodeKind
from llmprof.timeline.events import DEVICE_KINDS, EventTable

__all__ = ["Draft"]


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

    def device(self) -> npt.NDArray[np.intp]:
        """The nodes that are device work."""
        return np.flatnonzero(self.kind == NodeKind.DEVICE)

    def earlier(self) -> npt.NDArray[np.intp]:
        """Rows of device work that was launched before the recorded steps and ran into them, or before them."""
        work = self.device()
        rows = np.setdiff1d(self.events.rows(*DEVICE_KINDS), self.row[work])
        first = self.ts[work].min() if work.size else 0
        found: npt.NDArray[np.intp] = rows[self.events.ts[rows] < first]
        return found
