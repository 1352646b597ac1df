"""Which operator launched each kernel, and inside which others? The nesting of operators on their threads.

An operator that runs inside another one lies inside its span on the same thread. Operators of one depth never overlap,
so that the operator of a given depth at a moment is one binary search: no loop over events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.intervals import Int64

__all__ = ["MOST_DEPTH", "OperatorTree", "innermost", "names_matching"]

Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

MOST_DEPTH = 48
"""Operators deeper than this are left out; real training code nests about fifteen."""


@dataclass(frozen=True, slots=True, eq=False)
class OperatorTree:
    """Operators by thread and depth: `levels[lane][depth]` are rows, ascending in time, that do not overlap."""

    events: EventTable
    levels: dict[int, Sequence[Rows]]

    @classmethod
    def of(cls, events: EventTable, rows: Rows | None = None) -> OperatorTree:
        """Arrange all operators of a table, or other rows that nest as operators do."""
        rows = events.rows(Kind.CPU_OP) if rows is None else rows
        lanes = events.lane[rows]
        return cls(events, {int(lane): _levels(events, rows[lanes == lane]) for lane in np.unique(lanes)})

    def paths(self, lanes: npt.ArrayLike, points: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """The operators that run on a lane at a moment, outermost first; shape (points, depth), NONE where none does.

        A path ends at the first NONE.
        """
        lane, when = np.asarray(lanes), np.asarray(points, dtype=np.int64)
        depth = max((len(levels) for levels in self.levels.values()), default=0)
        result = np.full((when.size, depth), NONE, dtype=np.int32)
        for number, levels in self.levels.items():
            here = np.flatnonzero(lane == number)
            for place, rows in enumerate(levels):
                found = _running(self.events, rows, when[here])
                result[here, place] = found
                here = here[found != NONE]
                if not here.size:
                    break
        return result

    def parents(self, rows: Rows) -> npt.NDArray[np.int32]:
        """The paths of these operators, themselves included as the last."""
        return self.paths(self.events.lane[rows], self.events.ts[rows])

    def launched_under(self, kernels: Rows) -> npt.NDArray[np.int32]:
        """The paths under which these device rows were launched; empty paths where the launch is not recorded."""
        launch = self.events.launch[kernels]
        calls = np.maximum(launch, 0)
        lanes = np.where(launch == NONE, NONE, self.events.lane[calls])
        return self.paths(lanes, self.events.ts[calls])


def names_matching(events: EventTable, test: Callable[[str], object]) -> Mask:
    """A mask over the string table: which names pass the test."""
    names = events.strings.names
    return np.fromiter((bool(test(name)) for name in names), bool, len(names))


def innermost(paths: npt.NDArray[np.int32], accepted: Mask) -> npt.NDArray[np.int32]:
    """For each path the last row for which `accepted` (shape of `paths`) holds, else NONE; shape (paths,)."""
    if paths.shape[1] == 0:
        return np.full(paths.shape[0], NONE, dtype=np.int32)
    found = accepted & (paths != NONE)
    place = paths.shape[1] - 1 - np.argmax(found[:, ::-1], axis=1)
    return np.where(found.any(axis=1), paths[np.arange(paths.shape[0]), place], NONE).astype(np.int32)


def _levels(events: EventTable, rows: Rows) -> Sequence[Rows]:
    """Rows of one lane by depth: how many of the earlier ones have not ended yet."""
    begins, ends = events.ts[rows], np.sort(events.end[rows])
    depth = np.arange(rows.size) - np.searchsorted(ends, begins, side="right")
    depth = np.clip(depth, 0, MOST_DEPTH)
    deepest = int(depth.max(initial=-1))
    return [rows[depth == place] for place in range(min(deepest + 1, MOST_DEPTH))]


def _running(events: EventTable, rows: Rows, points: Int64) -> npt.NDArray[np.int32]:
    if not rows.size:
        return np.full(points.size, NONE, dtype=np.int32)
    place = np.searchsorted(events.ts[rows], points, side="right") - 1
    chosen = rows[np.maximum(place, 0)]
    inside = (place >= 0) & (points < events.end[chosen])
    return np.where(inside, chosen, NONE).astype(np.int32)
