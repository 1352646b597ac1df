"""What does the profiler cost the host for each event that it records? The spacing of operators tells it, roughly.

Between the begin of an operator and that of the one that it calls lie the profiler's work for one begin and the
dispatcher. An event has an end as well, so that it costs about twice that. In 41 recordings of llmprof's own benchmark
whose host set the pace, and whose phases were measured with and without the profiler, an event cost 1.2 to 5.1 µs, and
2.0 times the median spacing, within a factor of 1.4 (one standard deviation).
"""

from __future__ import annotations

import numpy as np

from llmprof.timeline.events import EventTable, Kind

__all__ = ["USUAL_COST_NS", "usual_cost_ns"]

USUAL_COST_NS = 2_000.0
"""Fitted on llmprof's own sample recordings of steps that wait for their host (H200): 1.8, 1.9 and 2.2 µs an event."""
_HALVES = 2.0
"""A begin and an end."""
_LEAST_CALLS = 100
"""Of fewer operators the median is that of a few calls."""
_BELIEVED = (USUAL_COST_NS / 4, 4 * USUAL_COST_NS)


def usual_cost_ns(events: EventTable) -> float:
    """Ns an event by the operators of this recording; USUAL_COST_NS where it holds too few."""
    rows = events.rows(Kind.CPU_OP)
    rows = rows[np.lexsort((-events.dur[rows], events.ts[rows], events.lane[rows]))]
    begin, end, lane = events.ts[rows], events.end[rows], events.lane[rows]
    called = (lane[1:] == lane[:-1]) & (begin[1:] < end[:-1])
    if int(called.sum()) < _LEAST_CALLS:
        return USUAL_COST_NS
    return float(np.clip(_HALVES * np.median((begin[1:] - begin[:-1])[called]), *_BELIEVED))
