"""The interval algebra against the plainest truth there is: one bit a nanosecond."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmprof.timeline.intervals import EMPTY, Intervals, lengths_inside, union

SIZE = 48
spans = st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), max_size=12)
point = st.integers(0, SIZE)


def bitmap(pairs: list[tuple[int, int]]) -> np.ndarray:
    bits = np.zeros(SIZE, dtype=bool)
    for start, end in pairs:
        bits[start:end] = True
    return bits


def intervals(pairs: list[tuple[int, int]]) -> Intervals:
    return Intervals.of([start for start, _ in pairs], [end for _, end in pairs])


def bits_of(covered: Intervals) -> np.ndarray:
    return bitmap(list(zip(covered.starts.tolist(), covered.ends.tolist(), strict=True)))


def assert_canonical(covered: Intervals) -> None:
    """Sorted, disjoint, not touching, no empty span: the one form a set of nanoseconds has."""
    assert covered.starts.dtype == covered.ends.dtype == np.int64
    assert (covered.ends > covered.starts).all()
    assert (covered.starts[1:] > covered.ends[:-1]).all()


@given(spans)
def test_of_covers_the_union_of_its_spans(pairs: list[tuple[int, int]]) -> None:
    covered = intervals(pairs)
    assert_canonical(covered)
    assert (bits_of(covered) == bitmap(pairs)).all()
    assert covered.length == bitmap(pairs).sum()
    assert bool(covered) == bitmap(pairs).any()


@given(spans, spans)
def test_set_operations(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    left, right = intervals(a), intervals(b)
    for result, truth in (
        (left | right, bitmap(a) | bitmap(b)),
        (left & right, bitmap(a) & bitmap(b)),
        (left - right, bitmap(a) & ~bitmap(b)),
    ):
        assert_canonical(result)
        assert (bits_of(result) == truth).all()


@given(spans, spans)
def test_a_set_has_one_form(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    assert (intervals(a) == intervals(b)) == bool((bitmap(a) == bitmap(b)).all())


@given(st.lists(spans, max_size=4))
def test_union_of_many(many: list[list[tuple[int, int]]]) -> None:
    together = union([intervals(pairs) for pairs in many])
    assert_canonical(together)
    assert (bits_of(together) == bitmap([pair for pairs in many for pair in pairs])).all()


@given(spans, point, point)
def test_clip_and_gaps_tile_the_window(pairs: list[tuple[int, int]], start: int, end: int) -> None:
    covered = intervals(pairs)
    inside, outside = covered.clip(start, end), covered.gaps(start, end)
    window = bitmap([(start, end)])
    assert_canonical(inside)
    assert_canonical(outside)
    assert (bits_of(inside) == bitmap(pairs) & window).all()
    assert (bits_of(outside) == ~bitmap(pairs) & window).all()
    assert inside.length + outside.length == max(0, end - start)


@given(spans, st.lists(st.integers(0, SIZE - 1), max_size=10))
def test_contains(pairs: list[tuple[int, int]], points: list[int]) -> None:
    assert intervals(pairs).contains(points).tolist() == bitmap(pairs)[points].tolist()


@given(spans, st.lists(st.tuples(point, point), max_size=8))
def test_lengths_inside_overlapping_windows(pairs: list[tuple[int, int]], windows: list[tuple[int, int]]) -> None:
    measured = lengths_inside(intervals(pairs), [start for start, _ in windows], [end for _, end in windows])
    assert measured.tolist() == [int(bitmap(pairs)[start:end].sum()) for start, end in windows]


def test_unix_nanoseconds_stay_exact() -> None:
    start = 1_790_857_026_000_000_001
    assert Intervals.span(start, start + 1).length == 1
    assert (Intervals.span(start, start + 2) - Intervals.span(start + 1, start + 2)).ends.tolist() == [start + 1]


def test_empty() -> None:
    assert not EMPTY
    assert EMPTY.length == 0
    assert Intervals.span(5, 5) == EMPTY
    assert Intervals.span(7, 5) == EMPTY


def test_starts_and_ends_have_to_match() -> None:
    with pytest.raises(ValueError, match="2 starts but 1 ends"):
        Intervals.of([1, 2], [3])
