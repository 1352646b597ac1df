"""Rows that cannot be true, and long rows that can."""

from __future__ import annotations

import numpy as np

from llmprof.collectors.files.quality import LONGEST_NS, implausible
from llmprof.timeline.events import Kind


def flagged(rows: list[tuple[int, int, Kind]]) -> list[int]:
    ts, dur, kind = (np.array(column) for column in zip(*rows, strict=True))
    return np.flatnonzero(implausible(ts.astype(np.int64), dur.astype(np.int64), kind.astype(np.uint8))).tolist()


def ordinary(count: int = 50) -> list[tuple[int, int, Kind]]:
    return [(1_000 * i, 900, Kind.KERNEL) for i in range(count)]


def test_ordinary_rows_pass() -> None:
    assert flagged(ordinary()) == []


def test_a_day_is_too_long_and_too_far() -> None:
    far = (2 * LONGEST_NS, 5, Kind.KERNEL)
    assert flagged([*ordinary(), (0, LONGEST_NS + 1, Kind.ANNOTATION), far, (-2 * LONGEST_NS, 5, Kind.KERNEL)]) == [
        50,
        51,
        52,
    ]


def test_one_row_far_longer_than_all_others() -> None:
    assert flagged([*ordinary(), (100, 10**9, Kind.KERNEL)]) == [50]


def test_a_long_row_that_others_confirm() -> None:
    assert flagged([*ordinary(), (100, 10**9, Kind.KERNEL), (50, 10**9, Kind.RUNTIME)]) == []


def test_a_step_that_sleeps() -> None:
    assert flagged([*ordinary(), (0, 10**9, Kind.ANNOTATION)]) == []


def test_a_short_recording_of_one_long_kernel() -> None:
    assert flagged([(0, 5_000, Kind.RUNTIME), (6_000, 10**9, Kind.KERNEL)]) == []
