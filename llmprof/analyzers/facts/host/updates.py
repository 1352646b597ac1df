"""When does the host update parameters: inside `Optimizer.step`, after what a closure runs there?

A closure runs the model, and its backward, inside `Optimizer.step` (torch.optim.Optimizer.step; Lightning trains that
way unless optimization is manual). The update is what follows the last node of autograd that begins there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from llmprof.analyzers.facts.steps.inside import step_of
from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.intervals import Intervals

__all__ = ["update_spans"]

_STEP = "Optimizer.step#"
_NODE = "autograd::engine::evaluate_function"
_KINDS = (Kind.ANNOTATION, Kind.CPU_OP)
"""Marks are operators where a recording has no annotations, as in exports of Nsight Systems."""


def update_spans(events: EventTable) -> Mapping[int, Intervals]:
    """The updates on each host lane, on the rank's clock; a lane without any is not listed."""
    marks, nodes = (events.rows_named(_KINDS, _beginning(events, text)) for text in (_STEP, _NODE))
    result: dict[int, Intervals] = {}
    for lane in np.unique(events.lane[marks]):
        spans = events.spans(marks[events.lane[marks] == lane])
        held = step_of(spans.starts, spans.ends, events.ts[nodes])
        begun = spans.starts.copy()
        np.maximum.at(begun, held[held != NONE], events.end[nodes[held != NONE]])
        left = begun < spans.ends
        if left.any():
            result[int(lane)] = Intervals(begun[left], spans.ends[left])
    return result


def _beginning(events: EventTable, text: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    names = events.strings.names
    return np.fromiter((name.startswith(text) for name in names), bool, len(names))
