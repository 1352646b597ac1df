"""Which input shapes did each operator call have? Recorded with the call, or taken from the steps traced for shapes.

A run records its steps twice: once for time, without shapes, and then a step or two for shapes. Both run the same
operators, so the k-th call of an operator in a step of the one is the k-th in a step of the other. Where the counts
differ, or two steps disagree, the shapes are unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.steps.inside import host_steps, step_of
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.intervals import Int64
from llmprof.timeline.timeline import RankTimeline

__all__ = ["CallShapes", "call_shapes"]


@dataclass(frozen=True, slots=True, eq=False)
class CallShapes:
    """Shapes by operator row: `ids` belong to `rows` (ascending) and index `texts`, NONE where they are unknown."""

    rows: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int32]
    texts: Sequence[str]

    def of(self, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The ids of these rows, NONE for rows that are NONE or unknown; the shape of `rows`."""
        if not self.rows.size:
            return np.full(rows.shape, NONE, dtype=np.int32)
        place = np.minimum(np.searchsorted(self.rows, rows), self.rows.size - 1)
        return np.where((rows != NONE) & (self.rows[place] == rows), self.ids[place], NONE).astype(np.int32)


def call_shapes(rank: RankTimeline, windows: Windows, operators: npt.NDArray[np.int32]) -> CallShapes:
    """The shapes of these operator rows (ascending)."""
    events = rank.events
    assert events is not None
    rows = operators.astype(np.int64)
    if events.shapes:
        found, texts = _texts(events, rows)
        return CallShapes(rows, found, texts)
    if rank.shaped is None or not len(rank.shaped.marks) or not rows.size:
        return CallShapes(rows[:0], np.empty(0, np.int32), ())
    return _joined(rank, windows, rows)


def _texts(events: EventTable, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], Sequence[str]]:
    """Ids of the shapes of these rows, and the texts."""
    numbers: dict[str, int] = {}
    texts = (events.shapes.get(row) for row in rows.tolist())  # the calls that launched kernels: not all events
    ids = [NONE if text is None else numbers.setdefault(text, len(numbers)) for text in texts]
    return np.array(ids, dtype=np.int32), list(numbers)


def _joined(rank: RankTimeline, windows: Windows, rows: npt.NDArray[np.int64]) -> CallShapes:
    """Take the shapes from `rank.shaped` by the order of calls."""
    events, shaped = rank.events, rank.shaped
    assert events is not None and shaped is not None
    start, end = host_steps(rank, windows)
    wanted = np.unique(events.name[rows])
    other = np.array([shaped.events.strings.find(events.strings[int(i)]) for i in wanted], dtype=np.int64)
    here = _Calls.of(events, start, end, wanted, np.arange(wanted.size))
    there = _Calls.of(shaped.events, shaped.marks.start_ns, shaped.marks.end_ns, other, np.arange(wanted.size))
    if not here.rows.size or not there.rows.size:
        return CallShapes(rows[:0], np.empty(0, np.int32), ())
    same = here.regular & there.regular & (here.most == there.most)
    found, texts = _texts(shaped.events, there.rows)
    template = _template(there, found)
    keys = here.keys
    place = np.minimum(np.searchsorted(template[0], keys), template[0].size - 1)
    known = same[here.kind] & (template[0][place] == keys) & np.isin(here.rows, rows)
    order = np.argsort(here.rows[known])
    return CallShapes(here.rows[known][order], template[1][place][known][order], texts)


def _template(calls: _Calls, ids: npt.NDArray[np.int32]) -> tuple[Int64, npt.NDArray[np.int32]]:
    """The shapes id of each (operator, place in the step); NONE where the steps do not agree."""
    order = np.lexsort((ids, calls.keys))
    keys, values = calls.keys[order], ids[order]
    unique, first = np.unique(keys, return_index=True)
    last = np.append(first[1:], keys.size) - 1
    return unique, np.where(values[first] == values[last], values[first], NONE).astype(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class _Calls:
    """Calls of some operators inside steps, with their number among the calls of that operator in their step."""

    rows: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int64]
    """Which of the wanted operators."""
    number: npt.NDArray[np.int64]
    most: npt.NDArray[np.int64]
    """Calls in a step, by operator."""
    regular: npt.NDArray[np.bool_]
    """Whether all steps have as many, by operator."""

    @property
    def keys(self) -> Int64:
        """One number for operator and place in the step."""
        return self.kind * (1 << 32) + self.number

    @classmethod
    def of(
        cls, events: EventTable, start: Int64, end: Int64, names: npt.NDArray[np.generic], kinds: npt.NDArray[np.int64]
    ) -> _Calls:
        """The calls of operators with these name ids (NONE for one that the table does not have)."""
        lookup = np.full(len(events.strings) + 1, NONE, dtype=np.int64)
        lookup[np.asarray(names, dtype=np.int64)] = kinds
        lookup[-1] = NONE  # where names that are not there (NONE) were written
        rows = events.rows(Kind.CPU_OP)
        kind = lookup[events.name[rows]]
        step = step_of(start, end, events.ts[rows])
        kept = (kind != NONE) & (step != NONE)
        rows, kind, step = rows[kept].astype(np.int64), kind[kept], step[kept]
        order = np.lexsort((rows, kind, step))
        rows, kind, step = rows[order], kind[order], step[order]
        group = step * kinds.size + kind
        begins = np.flatnonzero(np.append(True, group[1:] != group[:-1])) if group.size else np.empty(0, np.int64)
        number = np.arange(group.size) - np.repeat(begins, np.diff(np.append(begins, group.size)))
        counts = np.bincount(group, minlength=start.size * kinds.size).reshape(start.size, kinds.size)
        return cls(rows, kind, number, counts.max(axis=0), (counts == counts[:1]).all(axis=0))
