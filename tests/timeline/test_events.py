"""Launch links against a plain search, and the views of an event table."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llmprof.timeline.events import DEVICE_KINDS, NONE, Kind, StringTable, link_launches
from tests.scenarios.builder import TraceBuilder

KINDS = st.sampled_from([Kind.CPU_OP, Kind.RUNTIME, Kind.KERNEL, Kind.MEMCPY, Kind.MEMSET, Kind.SYNC])


@given(st.lists(st.tuples(KINDS, st.integers(-1, 6)), max_size=40))
def test_link_launches_finds_the_last_call_with_the_correlation(rows: list[tuple[Kind, int]]) -> None:
    truth = []
    for kind, correlation in rows:
        calls = [i for i, (other, key) in enumerate(rows) if other is Kind.RUNTIME and key == correlation]
        linked = kind in DEVICE_KINDS and correlation > 0 and calls
        truth.append(calls[-1] if linked else NONE)
    kind_column = np.array([kind for kind, _ in rows], dtype=np.uint8)
    assert link_launches(kind_column, np.array([key for _, key in rows], dtype=np.int64)).tolist() == truth


def test_one_graph_launch_owns_many_kernels() -> None:
    b = TraceBuilder()
    graph = b.runtime("cudaGraphLaunch", 100, 10)
    for start in (200, 300, 400):
        b.kernel("gemm", start, 50, launch_ns=None, correlation=graph)
    events = b.rank().events
    assert events is not None
    assert events.launch.tolist() == [NONE, 0, 0, 0]


def test_views() -> None:
    b = TraceBuilder()
    b.op("aten::mm", 0, 20)
    b.kernel("gemm", 50, 100, launch_ns=5)
    b.memcpy("HtoD (Pinned -> Device)", 100, 100, 4096, launch_ns=30)
    events = b.rank().events
    assert events is not None
    work = events.rows(*DEVICE_KINDS)
    assert [events.named(row) for row in work] == ["gemm", "Memcpy HtoD (Pinned -> Device)"]
    assert events.spans(work).length == 150
    assert events.end[work].tolist() == [150, 200]
    matching = np.array([name == "gemm" for name in events.strings.names])
    assert events.rows_named(DEVICE_KINDS, matching).tolist() == work[:1].tolist()


def test_a_name_is_stored_once() -> None:
    table = StringTable(["a", "b", "a"])
    assert (len(table), table.id("b"), table[1], table.find("c")) == (2, 1, "b", NONE)
