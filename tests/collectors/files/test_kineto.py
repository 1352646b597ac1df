"""What is kept of each event of a PyTorch profiler trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmprof.collectors.files.kineto import read_kineto
from llmprof.timeline.events import CollectiveCall, Kind
from tests.scenarios.builder import ORIGIN_NS, TraceBuilder
from tests.scenarios.files import events_of, kernel_of, small, written

pytestmark = pytest.mark.usefixtures("reader")


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize("name", ["trace.json", "trace.json.gz", "trace.pt.trace.json", "no_suffix"])
def test_a_written_trace_reads_back_as_it_was_built(tmp_path: Path, name: str, indent: int | None) -> None:
    b = small()
    call = CollectiveCall("allreduce", 10, 10, "Float", 4, "0", "default_pg", (0, 1, 2, 3))
    b.op("record_param_comms", 400_000, 9_000, collective=call)
    b.kernel("ncclDevKernel_AllReduce", 410_001, 50_003, launch_ns=402_000, stream=40, device=1, collective=call)
    b.memcpy("HtoD (Pinned -> Device)", 470_000, 1_000, 4096, launch_ns=420_000, stream=0)
    b.memset(480_000, 1_000, launch_ns=421_000)
    b.sync("Stream Wait Event", 490_000, 0, stream=40)
    b.sync("Context Sync", 495_000, 1_000)
    b.gpu_annotation("ProfilerStep#7", 40_000, 600_000)
    b.python("train.py(3): main", 0, 900_000)
    b.overhead("Buffer Flush", 20_000, 777)
    graph = b.runtime("cudaGraphLaunch", 600_000, 5_000, tid=2)
    b.kernel("in a graph", 610_000, 1, launch_ns=None, correlation=graph)
    b.kernel("in a graph", 610_001, 1, launch_ns=None, correlation=graph)

    truth = b.rank(3)
    rank = read_kineto(b.write_kineto(tmp_path / name, rank=3, world_size=4, indent=indent))

    expected, events = events_of(truth), events_of(rank)
    for column in ("ts", "dur", "kind", "correlation", "launch", "external"):
        assert getattr(events, column).tolist() == getattr(expected, column).tolist(), column
    assert [events.named(row) for row in range(len(events))] == [expected.named(row) for row in range(len(expected))]
    assert [rank.lanes[lane] for lane in events.lane] == [truth.lanes[lane] for lane in expected.lane]
    for table in ("collectives", "copied_bytes", "shapes", "streams"):
        assert getattr(events, table) == getattr(expected, table), table
    assert (rank.rank, rank.origin_ns) == (3, ORIGIN_NS)
    for share in ("unlinked_kernel_share", "has_shapes", "has_operators", "has_sync_events", "warnings"):
        assert getattr(rank.quality, share) == getattr(truth.quality, share), share
    assert rank.marks.number.tolist() == truth.marks.number.tolist()
    assert rank.marks.start_ns.tolist() == truth.marks.start_ns.tolist()
    assert rank.marks.end_ns.tolist() == truth.marks.end_ns.tolist()


def test_absolute_epoch_microseconds_keep_their_nanoseconds(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text(
        '[{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":1713398000123456.789,"dur":0.001},'
        '{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":1713398000123457,"dur":1.5e1}]'
    )
    rank = read_kineto(path)
    assert rank.origin_ns == 1713398000123456789
    assert events_of(rank).ts.tolist() == [0, 211]
    assert events_of(rank).dur.tolist() == [1, 15_000]


def test_parents_come_before_children_that_start_with_them(tmp_path: Path) -> None:
    b = TraceBuilder()
    for name, length in (("inner", 10), ("outer", 30), ("middle", 20)):
        b.op(name, 0, length)
    events = events_of(read_kineto(b.write_kineto(tmp_path / "t.json")))
    assert [events.named(row) for row in range(3)] == ["outer", "middle", "inner"]


def test_categories_and_keys_of_2021(tmp_path: Path) -> None:
    def old(document: dict[str, Any]) -> None:
        names = {"kernel": "Kernel", "cuda_runtime": "Runtime", "cpu_op": "Operator", "user_annotation": "Operator"}
        for event in document["traceEvents"]:
            event["cat"] = names[event["cat"]]
            event["args"]["external id"] = event["args"].pop("External id", 5)
        document["traceEvents"].append(
            {"ph": "s", "id": 1, "cat": "async_gpu", "name": "launch", "ts": 1, "pid": 1, "tid": 1}
        )

    rank = read_kineto(written(tmp_path / "old.json", old))
    events = events_of(rank)
    assert rank.marks.number.tolist() == [7, 8]
    assert rank.quality.unlinked_kernel_share == 0.5
    assert set(events.external.tolist()) == {1, 5}


def test_a_kernel_without_arguments_takes_its_stream_from_its_thread(tmp_path: Path) -> None:
    rank = read_kineto(written(tmp_path / "t.json", lambda document: kernel_of(document).pop("args")))
    events = events_of(rank)
    lanes = {rank.lanes[lane] for lane in events.lane[events.rows(Kind.KERNEL)]}
    assert {(lane.device, lane.thread) for lane in lanes} == {(0, 7)}
    assert rank.quality.unlinked_kernel_share == 1


def test_the_stream_of_an_operator_means_nothing(tmp_path: Path) -> None:
    def mislead(document: dict[str, Any]) -> None:
        next(event for event in document["traceEvents"] if event["cat"] == "cpu_op")["args"]["stream"] = 0

    rank = read_kineto(written(tmp_path / "t.json", mislead))
    events = events_of(rank)
    assert not rank.lanes[events.lane[events.rows(Kind.CPU_OP)[0]]].on_device


def test_words_for_pid_and_tid_and_the_name_of_a_thread(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    events = [
        {"ph": "X", "cat": "cpu_op", "name": "a", "pid": "python3", "tid": "main", "ts": 0, "dur": 1},
        {"ph": "X", "cat": "cpu_op", "name": "b", "pid": -12, "tid": 5, "ts": 1, "dur": 1},
        {"ph": "M", "name": "thread_name", "pid": -12, "tid": 5, "ts": 0, "args": {"name": "thread 5 (pt_autograd)"}},
        {"ph": "X", "cat": "Trace", "name": "PyTorch Profiler (0)", "pid": "Spans", "tid": "x", "ts": 0, "dur": 99},
        {"ph": "i", "cat": "cpu_instant_event", "name": "[memory]", "pid": 1, "tid": 1, "ts": 0, "args": {"Bytes": 1}},
    ]
    path.write_text(json.dumps({"traceEvents": events}))
    rank = read_kineto(path)
    assert [(lane.process, lane.thread, lane.label) for lane in rank.lanes] == [
        (0, 0, "python3 main"),
        (-12, 5, "thread 5 (pt_autograd)"),
    ]
    assert rank.quality.unlinked_kernel_share is None
    assert len(events_of(rank)) == 2


@pytest.mark.parametrize(
    ("text", "ranks"), [("[0, 1]", (0, 1)), ("[]", None), ("[0, 1, ..., 7]", None), ([2, 3], (2, 3)), (["x"], None)]
)
def test_ranks_of_a_group(tmp_path: Path, text: object, ranks: tuple[int, ...] | None) -> None:
    added = {"Collective name": "allgather", "Process Group Ranks": text}
    rank = read_kineto(written(tmp_path / "t.json", lambda document: kernel_of(document)["args"].update(added)))
    (call,) = events_of(rank).collectives.values()
    assert (call.name, call.ranks) == ("allgather", ranks)
