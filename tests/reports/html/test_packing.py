"""What is packed comes out again, event by event, in rows that do not overlap."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from llmprof.reports.html.packing import LONGEST_NAME, MOST_DEPTH, TONES, pack
from llmprof.timeline.events import NONE, EventTable, Kind, Lane, StringTable
from llmprof.timeline.timeline import RankTimeline


def rank_of(rows: list[tuple[int, int, Kind, int, str]]) -> RankTimeline:
    """A rank with rows (start, length, kind, lane, name) on a stream (lane 0) and a thread (lane 1)."""
    rows = sorted(rows, key=lambda row: row[0])
    strings = StringTable()
    names = [strings.id(row[4]) for row in rows]
    none = np.full(len(rows), NONE, np.int64)
    events = EventTable(
        ts=np.array([row[0] for row in rows], np.int64),
        dur=np.array([row[1] for row in rows], np.int64),
        kind=np.array([row[2] for row in rows], np.uint8),
        lane=np.array([row[3] for row in rows], np.int32),
        name=np.array(names, np.int32),
        correlation=none,
        launch=none.astype(np.int32),
        external=none,
        strings=strings,
    )
    return RankTimeline(rank=3, events=events, lanes=[Lane(3, 0, 1, 7), Lane(3, NONE, 1, 11, "main")])


def column(text: str) -> npt.NDArray[np.uint32]:
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(4, -1)
    return planes.T.copy().view("<u4").ravel()


def unpacked(fields: Any) -> list[tuple[str, int, int, int, str]]:
    """(row label, depth, start ns, length ns, name) of every event."""
    start, length, name = (column(fields["columns"][key]) for key in ("start", "length", "name"))
    found, head = [], 0
    for row in fields["rows"]:
        begins = np.cumsum(start[head : head + row["count"]].astype(np.int64))
        for place, begin in enumerate(begins, start=head):
            unit = fields["unit_ns"]
            told = (int(begin) * unit, int(length[place]) * unit, fields["names"][name[place]])
            found.append((row["label"], row["depth"], *told))
        head += row["count"]
    return found


def packed(rank: RankTimeline, zero_ns: int = 0) -> Any:
    assert rank.events is not None
    return pack(rank, np.arange(len(rank.events)), zero_ns=zero_ns)


def test_events_come_out_as_they_went_in() -> None:
    rank = rank_of([(100, 50, Kind.KERNEL, 0, "a"), (200, 30, Kind.KERNEL, 0, "b"), (90, 5, Kind.CPU_OP, 1, "op")])
    found = packed(rank, zero_ns=90)
    assert found.events == 3
    assert unpacked(found.fields) == [
        ("main", 0, 0, 5, "op"),
        ("GPU 0 stream 7", 0, 10, 50, "a"),
        ("GPU 0 stream 7", 0, 110, 30, "b"),
    ]


def test_what_runs_inside_another_is_one_row_deeper() -> None:
    rows = [(0, 100, Kind.CPU_OP, 1, "outer"), (0, 40, Kind.CPU_OP, 1, "first"), (10, 5, Kind.RUNTIME, 1, "call")]
    rows += [(50, 40, Kind.CPU_OP, 1, "second")]
    depths = {name: depth for _, depth, _, _, name in unpacked(packed(rank_of(rows)).fields)}
    assert depths == {"outer": 0, "first": 1, "second": 1, "call": 2}


def test_events_of_a_row_never_overlap() -> None:
    rng = np.random.default_rng(5)
    spans = zip(rng.integers(0, 4000, 500), rng.integers(0, 90, 500), strict=True)
    rows = [(int(start), int(length), Kind.KERNEL, 0, "k") for start, length in spans]
    by_row: dict[tuple[str, int], int] = {}
    for label, depth, start, length, _ in unpacked(packed(rank_of(rows)).fields):
        assert start >= by_row.get((label, depth), 0)
        by_row[label, depth] = start + length


def test_rows_deeper_than_the_picture_are_left_out() -> None:
    rows = [(level, 100 - 2 * level, Kind.CPU_OP, 1, f"op {level}") for level in range(MOST_DEPTH + 5)]
    found = packed(rank_of(rows))
    assert found.events == MOST_DEPTH
    assert max(row["depth"] for row in found.fields["rows"]) == MOST_DEPTH - 1


def test_hours_fit_into_32_bits_to_a_unit_that_is_told() -> None:
    hour = 3_600_000_000_000
    found = packed(rank_of([(0, 10, Kind.KERNEL, 0, "a"), (2 * hour, hour, Kind.KERNEL, 0, "b")]))
    unit = found.fields["unit_ns"]
    assert unit == -(-2 * hour // (2**32 - 1))
    assert unpacked(found.fields)[1][2] == pytest.approx(2 * hour, abs=unit)


def test_names_are_clipped_and_made_visible() -> None:
    found = packed(rank_of([(0, 1, Kind.KERNEL, 0, "k" * 10_000), (2, 1, Kind.KERNEL, 0, "a\u202eb\u2028c")]))
    assert sorted(map(len, found.fields["names"]))[-1] == LONGEST_NAME
    assert "a\\u202eb\\u2028c" in found.fields["names"]


def test_every_name_goes_through_what_the_caller_gives() -> None:
    rank = rank_of([(0, 1, Kind.ANNOTATION, 1, "/home/ada/x.py(3): step")])
    assert pack(rank, np.arange(1), zero_ns=0, clean=str.upper).fields["names"] == ["/HOME/ADA/X.PY(3): STEP"]


def test_a_kernel_has_the_tone_of_its_class_and_an_operator_that_of_operators() -> None:
    rank = rank_of(
        [(0, 5, Kind.KERNEL, 0, "ncclDevKernel_AllReduce_Sum_f32_RING_LL"), (0, 5, Kind.CPU_OP, 1, "aten::mm")]
    )
    found = packed(rank)
    assert {TONES[tone] for tone in found.tones} == {"communication", "operator"}


def test_nothing_chosen_packs_nothing() -> None:
    rank = rank_of([(0, 1, Kind.KERNEL, 0, "a")])
    assert pack(rank, np.empty(0, np.intp), zero_ns=0).events == 0
