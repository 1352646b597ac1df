"""Rows that cannot be true, and long rows that can."""

from __future__ import annotations

import numpy as np

from llmprof.collectors.files.quality import (
    LONGEST_NS,
    clock_quantum,
    collective_arguments_share,
    implausible,
    overlapping_rows,
)
from llmprof.timeline.events import CollectiveCall, Kind
from tests.scenarios.builder import TraceBuilder
from tests.scenarios.files import events_of, small


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


def test_the_clock_quantum_is_what_all_times_are_multiples_of() -> None:
    b = TraceBuilder()
    assert clock_quantum(events_of(b.rank())) is None
    for start in range(0, 90_000_000, 3_000):
        b.op("a", start, 1_000)
    assert clock_quantum(events_of(b.rank())) == 1_000
    b.op("late", 95_000_000, 250)
    assert clock_quantum(events_of(b.rank())) == 250
    b.op("later", 96_000_001, 0)
    assert clock_quantum(events_of(b.rank())) == 1


def test_overlaps_are_counted_by_stream_and_only_on_the_device() -> None:
    b = TraceBuilder()
    for start, length, stream in ((0, 100, 7), (50, 10, 7), (90, 20, 7), (110, 5, 7), (0, 1000, 8), (5, 5, 9)):
        b.kernel("k", start, length, launch_ns=None, stream=stream)
    b.op("outer", 0, 100)
    b.op("inner", 10, 10)
    b.gpu_annotation("step", 0, 500)
    assert overlapping_rows(events_of(b.rank())) == 2


def test_collectives_without_arguments() -> None:
    b = small()
    assert collective_arguments_share(events_of(b.rank())) is None
    call = CollectiveCall("allreduce", 10, 10, "Float", 2, "0", "default_pg", (0, 1))
    for given in (call, None, None, call):
        b.kernel("rcclGenericKernel", 0, 5, launch_ns=None, collective=given)
    assert collective_arguments_share(events_of(b.rank())) == 0.5
