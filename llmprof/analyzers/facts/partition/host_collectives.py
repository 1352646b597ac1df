"""When did a backend exchange tensors on the host, when did the training threads wait for it, and in which passes?"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.steps.inside import step_of
from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.intervals import EMPTY, Int64, Intervals

__all__ = ["host_collectives", "passes_reduced", "waits_for_backend"]

_BACKEND = re.compile(r"^(gloo|mpi|ucc):")
LEAST_WAIT_NS = 200_000
"""Between two operators Python takes some microseconds up to some tens; a thread that does nothing for so long, while a
collective is on its way, waits for it (assumption)."""
_ISSUE = "c10d::allreduce"
_ACCUMULATE = "torch::autograd::AccumulateGrad"


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


def passes_reduced(events: EventTable, start_ns: Int64, end_ns: Int64, passes: float) -> float | None:
    """Backward passes per step in which gradients were reduced; None where a recording holds no such calls.

    start_ns, end_ns   the steps on the host; shape (steps,)
    passes             of a step, by the recorder

    A pass accumulates each gradient once, so that the gradients accumulated before a call tell its pass. A pass with
    less than half of the calls that the fullest one has reduces something else, a loss.
    """
    names = events.strings.names
    issues = events.rows_named(
        (Kind.CPU_OP,), np.fromiter((name.startswith(_ISSUE) for name in names), bool, len(names))
    )
    gradients = events.rows_named(
        (Kind.CPU_OP,), np.fromiter((name == _ACCUMULATE for name in names), bool, len(names))
    )
    done = np.sort(events.ts[gradients])
    done = done[step_of(start_ns, end_ns, done) != NONE]
    called = events.ts[issues]
    step = step_of(start_ns, end_ns, called)
    called, step = called[step != NONE], step[step != NONE]
    if not done.size or not called.size or passes < 1:
        return None
    each = done.size / start_ns.size / round(passes)
    before = np.searchsorted(done, called) - np.searchsorted(done, start_ns[step])
    _, calls = np.unique(step * round(passes) + np.maximum(np.ceil(before / each) - 1, 0), return_counts=True)
    return float((2 * calls >= calls.max()).sum()) / start_ns.size
