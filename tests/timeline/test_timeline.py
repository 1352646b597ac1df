"""Ranks of a timeline and their events as a table."""

from __future__ import annotations

import pytest

from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder


def built() -> TraceBuilder:
    b = TraceBuilder()
    b.op("aten::mm", 0, 20)
    b.kernel("gemm", 50, 100, launch_ns=5, stream=13, device=1)
    return b


def test_rank_by_number() -> None:
    b = built()
    timeline = b.timeline(b.rank(0), b.rank(3))
    assert timeline.rank(3).rank == 3
    with pytest.raises(KeyError, match=r"rank 1 was not recorded; recorded: \[0, 3\]"):
        timeline.rank(1)


def test_to_pandas_has_one_readable_row_an_event() -> None:
    frame = built().timeline().to_pandas()
    kernel = frame[frame["kind"] == "kernel"].iloc[0]
    assert (kernel["name"], kernel["ts_ns"], kernel["dur_ns"], kernel["device"], kernel["thread"]) == (
        "gemm",
        50,
        100,
        1,
        13,
    )
    assert len(frame) == 3


def test_a_rank_that_was_not_traced_has_no_rows() -> None:
    assert RankTimeline(rank=0, events=None).to_pandas().empty
