"""Which nanoseconds are covered? Sorted disjoint integer spans and their set operations.

`Intervals` is the algebra of the whole project: exposed communication is `communication - compute`, idle is
`step - busy`. A span is half open, [start, end); spans of no length vanish; touching spans are joined.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["EMPTY", "Int64", "Intervals", "lengths_inside", "union"]

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Sorted, disjoint, non-touching, non-empty spans of int64 nanoseconds; both arrays have shape (n,)."""

    starts: Int64
    ends: Int64

    @classmethod
    def of(cls, starts: npt.ArrayLike, ends: npt.ArrayLike) -> Intervals:
        """The union of spans in any order, overlapping or not; spans with end <= start are dropped."""
        first = np.asarray(starts, dtype=np.int64).ravel()
        last = np.asarray(ends, dtype=np.int64).ravel()
        if first.shape != last.shape:
            raise ValueError(f"{first.size} starts but {last.size} ends")
        keep = last > first
        first, last = first[keep], last[keep]
        if first.size == 0:
            return EMPTY
        order = np.argsort(first, kind="stable")
        first, last = first[order], last[order]
        reach = np.maximum.accumulate(last)
        opens = np.empty(first.size, dtype=bool)
        opens[0] = True
        np.greater(first[1:], reach[:-1], out=opens[1:])
        index = np.flatnonzero(opens)
        closes = np.append(index[1:] - 1, first.size - 1)
        return cls(first[index], reach[closes])

    @classmethod
    def span(cls, start: int, end: int) -> Intervals:
        """One span."""
        return cls.of([start], [end])

    def __len__(self) -> int:
        return int(self.starts.size)

    def __bool__(self) -> bool:
        return self.starts.size > 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Intervals):
            return NotImplemented
        return np.array_equal(self.starts, other.starts) and np.array_equal(self.ends, other.ends)

    __hash__ = None  # type: ignore[assignment]

    def __or__(self, other: Intervals) -> Intervals:
        return union((self, other))

    def __and__(self, other: Intervals) -> Intervals:
        """What both cover."""
        if not self or not other:
            return EMPTY
        points, inside_a, inside_b = _sweep(self, other)
        return _from_mask(points, inside_a & inside_b)

    def __sub__(self, other: Intervals) -> Intervals:
        """What this covers and `other` does not."""
        if not self or not other:
            return self
        points, inside_a, inside_b = _sweep(self, other)
        return _from_mask(points, inside_a & ~inside_b)

    @property
    def length(self) -> int:
        """Covered nanoseconds."""
        return int((self.ends - self.starts).sum())

    def clip(self, start: int, end: int) -> Intervals:
        """The part inside [start, end)."""
        if end <= start or not self:
            return EMPTY
        low = int(np.searchsorted(self.ends, start, side="right"))
        high = int(np.searchsorted(self.starts, end, side="left"))
        if high <= low:
            return EMPTY
        return Intervals(np.maximum(self.starts[low:high], start), np.minimum(self.ends[low:high], end))

    def gaps(self, start: int, end: int) -> Intervals:
        """What of [start, end) is not covered."""
        return Intervals.span(start, end) - self

    def contains(self, points: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """For each point, whether a span covers it; same shape as `points`."""
        where = np.asarray(points, dtype=np.int64)
        if not self:
            return np.zeros(where.shape, dtype=bool)
        index = np.searchsorted(self.starts, where, side="right") - 1
        return (index >= 0) & (where < self.ends[np.maximum(index, 0)])


EMPTY = Intervals(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def union(parts: Iterable[Intervals]) -> Intervals:
    """What any of `parts` covers."""
    some = [part for part in parts if part]
    if len(some) <= 1:
        return some[0] if some else EMPTY
    return Intervals.of(np.concatenate([p.starts for p in some]), np.concatenate([p.ends for p in some]))


def lengths_inside(spans: Intervals, starts: npt.ArrayLike, ends: npt.ArrayLike) -> Int64:
    """For each window [starts[i], ends[i]), the nanoseconds of it that `spans` covers; windows may overlap.

    O((n + m) log n) by prefix sums: the covered length up to a point is a piecewise linear function.
    """
    first = np.asarray(starts, dtype=np.int64)
    last = np.maximum(np.asarray(ends, dtype=np.int64), first)
    if not spans:
        return np.zeros(first.shape, dtype=np.int64)
    before = np.concatenate([[0], np.cumsum(spans.ends - spans.starts)])

    def covered_until(points: Int64) -> Int64:
        index = np.searchsorted(spans.starts, points, side="right") - 1
        inside = np.maximum(index, 0)
        partial = np.minimum(points, spans.ends[inside]) - spans.starts[inside]
        result: Int64 = np.where(index < 0, 0, before[inside] + np.maximum(partial, 0))
        return result

    return covered_until(last) - covered_until(first)


def _sweep(a: Intervals, b: Intervals) -> tuple[Int64, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """All boundaries of `a` and `b`, and for each gap between two of them whether a and b cover it.

    A boundary that both have stands there twice: the empty gap between is covered like the one after it.
    """
    points = np.concatenate([_boundaries(a), _boundaries(b)])
    points.sort(kind="stable")  # two sorted runs: a merge
    return points, a.contains(points[:-1]), b.contains(points[:-1])


def _boundaries(spans: Intervals) -> Int64:
    """Starts and ends in order, shape (2n,)."""
    return np.stack([spans.starts, spans.ends], axis=1).ravel()


def _from_mask(points: Int64, covered: npt.NDArray[np.bool_]) -> Intervals:
    """Join neighbouring covered cells [points[i], points[i+1])."""
    padded = np.concatenate([[False], covered, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    if edges.size == 0:
        return EMPTY
    return Intervals(points[edges[0::2]], points[edges[1::2]])
