"""When was each collective ready to run, when did it run, and what of it did nothing hide, in the traced windows?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.collective_calls import CollectiveKind
from llmprof.analyzers.facts.steps.inside import step_of
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind
from llmprof.timeline.intervals import Int64, Intervals, lengths_inside

__all__ = ["MOST_CALLS", "CallTimes", "call_times"]

MOST_CALLS = 8192
"""Of a recording with more collectives the first windows are kept: at most some 400 kB a rank."""
_BACKWARD = "autograd::engine::evaluate_function"
_ENGINE_SHARE = 0.5
"""A host thread that runs this share of what the busiest one runs of the autograd engine runs the backward pass; the
training thread runs at most a few nodes of it, those without a device."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CallTimes:
    """Collectives in order of start; columns have shape (calls,), times on the rank's own clock.

    kind        index into `kinds`
    window      index of the traced window that it starts in
    ready_ns    when it could have started at the earliest: launched, and all that was launched before it done
    exposed_ns  of its time, when the device ran no other kernel
    backward    1 when the backward pass launched it, 0 when not, NONE where the recording does not tell
    transfer_ns shortest duration on any rank that recorded it, NONE where no peer did
    """

    kinds: tuple[CollectiveKind, ...]
    kind: npt.NDArray[np.int32]
    window: npt.NDArray[np.int32]
    start_ns: Int64
    dur_ns: Int64
    ready_ns: Int64
    exposed_ns: Int64
    backward: npt.NDArray[np.int8]
    transfer_ns: Int64

    def __len__(self) -> int:
        return int(self.start_ns.size)

    @property
    def sizes(self) -> Int64:
        """Message bytes of each call, NONE where unknown; shape (calls,)."""
        return np.array([NONE if kind.bytes is None else kind.bytes for kind in self.kinds], np.int64)[self.kind]

    def of(self, *operations: str) -> npt.NDArray[np.bool_]:
        """Which calls are one of these operations; shape (calls,)."""
        result: npt.NDArray[np.bool_] = np.array([kind.op in operations for kind in self.kinds], bool)[self.kind]
        return result


def call_times(
    events: EventTable,
    windows: Windows,
    rows: npt.NDArray[np.intp],
    kinds: tuple[CollectiveKind, ...],
    kind: npt.NDArray[np.intp],
    compute: Intervals,
) -> CallTimes:
    """The collectives in `rows` (ascending, inside the windows), of `kinds[kind]`, beside when the device computed."""
    window = step_of(windows.start_ns, windows.end_ns, events.ts[rows])
    if rows.size > MOST_CALLS:
        whole = window < window[MOST_CALLS]
        whole = whole if whole.any() else np.arange(rows.size) < MOST_CALLS
        rows, kind, window = rows[whole], kind[whole], window[whole]
    start, dur = events.ts[rows], events.dur[rows]
    return CallTimes(
        kinds=kinds,
        kind=kind.astype(np.int32),
        window=window.astype(np.int32),
        start_ns=start,
        dur_ns=dur,
        ready_ns=_ready(events, rows),
        exposed_ns=dur - lengths_inside(compute, start, start + dur),
        backward=_backward(events, rows),
        transfer_ns=np.full(rows.size, NONE, np.int64),
    )


def _ready(events: EventTable, rows: npt.NDArray[np.intp]) -> Int64:
    """When each collective could have started; its own start where the launch is not recorded."""
    device = events.rows(*DEVICE_KINDS)
    named = np.isin(events.name[device], np.unique(events.name[rows]))  # other collectives: they only stand in line
    device = device[~named & (events.launch[device] != NONE)]
    launched = events.ts[events.launch[device]]
    order = np.argsort(launched, kind="stable")
    done = np.maximum.accumulate(events.end[device][order]) if device.size else np.empty(0, np.int64)
    own = np.where(events.launch[rows] != NONE, events.ts[np.maximum(events.launch[rows], 0)], NONE)
    place = np.searchsorted(launched[order], own, side="right") - 1
    before = done[np.maximum(place, 0)] if device.size else np.zeros(rows.size, np.int64)
    ready = np.maximum(own, np.where(place >= 0, before, NONE))
    result: Int64 = np.where(own == NONE, events.ts[rows], np.minimum(ready, events.ts[rows]))
    return result


def _backward(events: EventTable, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int8]:
    """Whether the thread that launched each collective is the one that runs the backward pass."""
    operators = events.rows(Kind.CPU_OP)
    names = events.strings.names
    engine = np.fromiter((name.startswith(_BACKWARD) for name in names), bool, len(names))
    marked = engine[events.name[operators]]
    unknown = np.full(rows.size, NONE, np.int8)
    if not marked.any():
        return unknown
    count = np.bincount(events.lane[operators[marked]], minlength=int(events.lane.max()) + 1)
    backward = count >= max(1.0, _ENGINE_SHARE * count.max())
    launch = events.launch[rows]
    known = launch != NONE
    unknown[known] = backward[events.lane[launch[known]]]
    return unknown
