"""What has to wait for what in a step? The dependency graph of the traced steps, as arrays.

One node is one piece of work: a call of the host, a kernel or copy on a stream, or the end of a blocking call. The
nodes stand in an order in which each follows all that it waits for, so that one pass over them replays the steps:

    start = max(end[before] + before_lag, end[cause] + cause_lag, end[extra] + extra_lag, ...)
    end   = start + dur

The traced steps repeat for ever: a reference of -k means the k-th node from the end of the round before. So a replay
of some rounds has no beginning that it would have to explain, and work of steps before the recording is not needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from llmprof.timeline.events import NONE

__all__ = ["NO_REF", "Float64", "Graph", "Index", "Int64", "Mask", "NodeKind", "Order", "Region"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]

NO_REF = np.iinfo(np.int64).min
"""In a column of references: waits for nothing."""


class NodeKind(IntEnum):
    """What a node is."""

    CALL = 0  # a runtime call on the host; the host's work before it is the lag to the node before
    MARK = 1  # a moment on the host: a step or an annotation begins or ends
    WAIT = 2  # the end of a blocking call
    DEVICE = 3  # a kernel, copy or memset on its stream
    MEETING = 4  # a collective of several ranks, from the last arrival on


class Region(IntEnum):
    """What the host was about when it came to a node, as far as annotations tell."""

    OTHER = 0
    FETCH = 1  # inside a loader's next()
    OPTIMIZER = 2  # inside Optimizer.step
    ZERO_GRAD = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Order:
    """In which the nodes of a graph are replayed, in stretches (`replay.graph.chains`); shape (nodes,) but `begins`.

    before    the column of the graph that it was found for
    level     how often one changes from one thread or stream to another to come to a node
    nodes     in their order; place: where each node stands in it; begins: the place where each stretch begins
    """

    before: Int64
    level: Int64
    nodes: Int64
    place: Int64
    begins: Int64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """The nodes of all traced steps; columns have shape (nodes,), times are float ns.

    kind          a NodeKind
    rank          index of the rank in `ranks`
    row           row in the rank's event table, NONE for marks
    lane          for device work its stream (a lane of the rank), NONE for the host
    step          index of the traced step whose launch it belongs to
    region        a Region: of the host's work before and in a node, of device work that of its launch
    before        reference to what stands before it on its thread or stream; before_lag: host work, or the stream's gap
    cause         reference to its launch (device work), to the device work that it waits for (WAIT), or to the one
                  that has to leave the launch queue first (CALL)
    dur           its own length
    recorded_start, recorded_end   of a node as recorded, ns from the rank's origin; of the host without its work before
    lead_events   host events that the profiler recorded during before_lag; own_events: during dur
    launched      device work that a call launched, each of which the profiler records too
    extra_to, extra_from, extra_lag   further edges, ascending by extra_to; shape (edges,)
    """

    ranks: tuple[int, ...]
    steps: int
    kind: npt.NDArray[np.uint8]
    rank: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]
    lane: npt.NDArray[np.int32]
    step: npt.NDArray[np.int32]
    region: npt.NDArray[np.uint8]
    before: Int64
    before_lag: Float64
    cause: Int64
    cause_lag: Float64
    dur: Float64
    recorded_start: Int64
    recorded_end: Int64
    lead_events: Float64
    own_events: Float64
    launched: Float64
    extra_to: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    extra_from: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    extra_lag: Float64 = field(default_factory=lambda: np.empty(0, np.float64))
    meeting: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    """Of ranks that were joined: for each arrival at a collective the node of the meeting, else NONE."""
    begin_ns: tuple[int, ...] = ()
    """Unix ns of the begin of the traced steps on each rank, of joined ranks on one clock."""
    opening_to: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    opening_ns: Float64 = field(default_factory=lambda: np.empty(0, np.float64))
    """Nodes that waited for work of steps before the recording, and when that was done, from the rank's begin on."""
    unexplained_ns: float = 0.0
    """Waiting of device work, summed, whose reason the recording does not tell; it is replayed as recorded."""
    orders: list[Order] = field(default_factory=list)
    """In which this graph and those made from it were replayed: found once for all of them."""
    confirmed_waits: bool = True
    """Whether the recording tells which stream waits (CUDA sync events); otherwise that is inferred."""

    def __len__(self) -> int:
        return int(self.kind.size)

    @property
    def on_host(self) -> Mask:
        """Which nodes are the host's."""
        return self.kind <= NodeKind.WAIT

    @property
    def on_device(self) -> Mask:
        """Which nodes keep a stream busy."""
        return self.kind >= NodeKind.DEVICE

    def opened(self) -> Graph:
        """The graph of one round that begins as the recording did, with what the device still had to do."""
        first = np.array([np.flatnonzero(self.rank == place)[0] for place in range(len(self.ranks))], np.int64)
        begin = np.array(self.begin_ns, dtype=np.int64)
        offset = (begin - begin.min()).astype(np.float64)
        to = np.concatenate([self.opening_to, first])
        lag = np.concatenate([self.opening_ns + offset[self.rank[self.opening_to]], offset])
        return self.with_edges(to, np.full(to.size, NO_REF, np.int64), lag)

    def with_edges(self, to: Int64, source: Int64, lag: Float64) -> Graph:
        """The graph in which the nodes `to` wait for `source` too, and `lag` ns longer; shape (further edges,) each."""
        to = np.concatenate([self.extra_to, to])
        order = np.argsort(to, kind="stable")
        return replace(
            self,
            extra_to=to[order],
            extra_from=np.concatenate([self.extra_from, source])[order],
            extra_lag=np.concatenate([self.extra_lag, lag])[order],
        )

    def only_edges(self, kept: Mask) -> Graph:
        """The graph with these of its further edges, shape (edges,)."""
        return replace(
            self, extra_to=self.extra_to[kept], extra_from=self.extra_from[kept], extra_lag=self.extra_lag[kept]
        )

    def within(self, region: Region) -> Mask:
        """The host's nodes in a region."""
        found: Mask = self.on_host & (self.region == region)
        return found

    @property
    def arriving(self) -> Mask:
        """Which nodes are arrivals at a meeting."""
        return self.meeting != NONE if self.meeting.size else np.zeros(len(self), bool)

    def done_by(self, nodes: Index | Int64) -> Index | Int64:
        """The nodes with which the work of these is done: of arrivals at a collective the meeting, else themselves."""
        if not self.meeting.size:
            return nodes
        met = self.meeting[nodes]
        return np.where(met == NONE, nodes, met)
