"""When did a backend exchange tensors on the host, and when did the training threads wait for it?"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from llmprof.timeline.events import EventTable, Kind
from llmprof.timeline.intervals import EMPTY, Intervals

__all__ = ["host_collectives", "waits_for_backend"]

_BACKEND = re.compile(r"^(gloo|mpi|ucc):")
LEAST_WAIT_NS = 200_000
"""Between two operators Python takes some microseconds up to some tens; a thread that does nothing for so long, while a
collective is on its way, waits for it (assumption)."""


def host_collectives(events: EventTable) -> npt.NDArray[np.intp]:
    """Rows of collectives that a backend runs on the host (gloo, mpi, ucc), ascending; not the calls for them."""
    names = events.strings.names
    matching = np.fromiter((_BACKEND.search(name) is not None for name in names), bool, len(names))
    return events.rows_named((Kind.ANNOTATION, Kind.CPU_OP), matching)


def waits_for_backend(events: EventTable) -> Intervals:
    """When such a collective ran, and no other thread was in an operator or a call into the runtime.

    The wait itself is no event: the thread that waits stands between two of them.
    """
    rows = host_collectives(events)
    if not rows.size:
        return EMPTY
    calls = events.rows(Kind.CPU_OP, Kind.RUNTIME)
    # What the backend's own threads copy for it is part of the collective.
    busy = events.spans(calls[~np.isin(events.lane[calls], events.lane[rows])])
    quiet = events.spans(rows) - busy
    long = quiet.ends - quiet.starts >= LEAST_WAIT_NS
    return Intervals.of(quiet.starts[long], quiet.ends[long])
