"""How large are the logits, and what does their loss hold at once? From the recorded shapes of its softmax."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from llmprof.timeline.events import EventTable, Kind
from llmprof.timeline.timeline import RankTimeline

__all__ = ["LogitsFacts", "logits_facts"]

OPERATORS = ("aten::_log_softmax_backward_data", "aten::_log_softmax")
HELD = 3
"""Tensors of the size of the logits that backward of the log-softmax holds at once: the gradient that comes in, the
output of forward, and the gradient that goes out."""
WIDTHS = {"float": 4, "double": 8, "c10::BFloat16": 2, "c10::Half": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitsFacts:
    """The largest log-softmax of a step."""

    rows: int
    """Tokens, or samples."""
    vocabulary: int
    width: int
    """Bytes of an element in the loss."""

    @property
    def bytes(self) -> int:
        """What its backward pass holds at once, at least: the logits themselves may be alive as well."""
        return HELD * self.rows * self.vocabulary * self.width


def logits_facts(rank: RankTimeline) -> LogitsFacts | None:
    """The logits of one rank; None without shapes, or where no operator of that name ran (compiled losses)."""
    tables = [table for table in (rank.shaped.events if rank.shaped else None, rank.events) if table is not None]
    return next((found for table in tables if (found := _largest(table)) is not None), None)


def _largest(events: EventTable) -> LogitsFacts | None:
    names = events.strings.names
    wanted = np.fromiter((name in OPERATORS for name in names), dtype=bool, count=len(names))
    if not wanted.any() or not events.shapes:
        return None
    texts = {events.shapes.get(row) for row in events.rows_named((Kind.CPU_OP,), wanted).tolist()} - {None}
    found = [one for one in map(_logits_of, sorted(text for text in texts if text)) if one is not None]
    return max(found, key=lambda one: one.bytes, default=None)


def _logits_of(text: str) -> LogitsFacts | None:
    """Of the first argument in `[8192,50304];[]|float;Scalar`."""
    dims, _, types = text.partition("|")
    shape = tuple(map(int, re.findall(r"\d+", dims.split(";")[0])))
    width = WIDTHS.get(types.split(";")[0])
    if len(shape) < 2 or width is None:
        return None
    return LogitsFacts(rows=math.prod(shape[:-1]), vocabulary=shape[-1], width=width)
