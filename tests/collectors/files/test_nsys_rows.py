"""Does each table of an export become the right rows? On small exports that are about one thing each."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from llmprof.analyzers.diagnose import diagnose
from llmprof.analyzers.facts.host.host import host_facts
from llmprof.analyzers.facts.loading.copies import copy_facts
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.collectors.files import load
from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.scenarios.nsys_export import (
    COPY,
    EPOCH,
    FILL,
    GRAPH,
    KERNEL,
    NVTX,
    SYNC,
    Export,
    process,
    thread,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "report.sqlite"


def only(timeline: Timeline) -> tuple[RankTimeline, EventTable]:
    (rank,) = timeline.ranks
    assert rank.events is not None
    return rank, rank.events


def row_named(events: EventTable, name: str, kind: Kind) -> int:
    (row,) = (row for row in events.rows(kind).tolist() if events.named(row) == name)
    return int(row)


def launch_times(timeline: Timeline) -> dict[str, int | None]:
    """For each kernel the Unix time of its launch."""
    found: dict[str, int | None] = {}
    for rank in timeline.ranks:
        assert rank.events is not None
        for row in rank.events.rows(Kind.KERNEL).tolist():
            call = int(rank.events.launch[row])
            found[rank.events.named(row)] = None if call == NONE else int(rank.events.ts[call]) + rank.origin_ns - EPOCH
    return found


def test_one_correlation_id_in_two_processes_is_two_launches(path: Path) -> None:
    export = Export()
    for pid, at in ((100, 1_000), (200, 1_500)):
        export.call("cudaLaunchKernel_v7000", at, at + 50, 7, pid=pid).kernel(f"k{pid}", 3_000, 4_000, 7, pid=pid)
    assert launch_times(load(export.write(path))) == {"k100": 1_000, "k200": 1_500}


def test_one_graph_launch_owns_all_its_nodes(path: Path) -> None:
    export = Export().call("cudaGraphLaunch_v10000", 1_000, 1_100, 7)
    for node in range(3):
        export.kernel(f"node{node}", 2_000 + 10 * node, 2_005 + 10 * node, 7)
    assert set(launch_times(load(export.write(path))).values()) == {1_000}


def test_work_without_its_call_is_kept_and_counted(path: Path) -> None:
    export = Export().launched("linked", 1_000, 2_000, 3_000).kernel("cut off", 100, 200, 99)
    rank, events = only(load(export.write(path)))
    assert rank.quality.unlinked_kernel_share == 0.5
    assert events.rows(Kind.KERNEL).size == 2


def test_a_whole_graph_keeps_the_device_busy(path: Path) -> None:
    export = Export().call("cudaGraphLaunch_v10000", 1_000, 1_100, 7)
    export.add(
        GRAPH,
        start=2_000,
        end=9_000,
        deviceId=0,
        contextId=1,
        streamId=7,
        correlationId=7,
        globalPid=process(),
        graphId=4,
    )
    rank, events = only(load(export.write(path)))
    graph = row_named(events, "CUDA graph 4", Kind.KERNEL)
    assert (events.dur[graph], events.ts[events.launch[graph]]) == (7_000, 0)
    assert any("--cuda-graph-trace=node" in text for text in rank.quality.warnings)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("cudaDeviceSynchronize_v3020", "Context Sync"),
        ("cuCtxSynchronize", "Context Sync"),
        ("cudaEventSynchronize_v3020", "Event Sync"),
        ("cudaEventQuery_v3020", "Event Query"),
        ("cudaStreamSynchronize_v3020", "Stream Sync"),
        ("cudaStreamWaitEvent_v3020", "Stream Wait Event"),
        ("cudaMemcpy_v3020", "Stream Sync"),
    ],
)
@pytest.mark.parametrize(("version", "kind"), [("3.13.2", 3), ("3.17.2", 0), ("3.25.0", 1)])
def test_a_synchronisation_is_what_its_call_is(path: Path, call: str, name: str, version: str, kind: int) -> None:
    export = Export(version).launched("k", 100, 500, 900).call(call, 1_000, 2_000, 7)
    export.add(
        SYNC,
        start=1_100,
        end=1_900,
        deviceId=0,
        contextId=1,
        streamId=7,
        correlationId=7,
        globalPid=process(),
        syncType=kind,
    )
    _, events = only(load(export.write(path)))
    (row,) = events.rows(Kind.SYNC).tolist()
    assert (events.named(row), events.streams) == (name, {row: 7})


@pytest.mark.parametrize(("version", "name"), [("3.24.14", "Synchronization"), ("3.25.0", "Stream Sync")])
def test_the_recorded_type_is_believed_from_the_schema_that_got_it_right(path: Path, version: str, name: str) -> None:
    export = Export(version).launched("k", 100, 500, 900)
    export.add(SYNC, start=1_100, end=1_900, streamId=2**32 - 1, correlationId=7, globalPid=process(), syncType=3)
    _, events = only(load(export.write(path)))
    (row,) = events.rows(Kind.SYNC).tolist()
    assert (events.named(row), events.streams) == (name, {})


def test_calls_are_named_as_pytorch_names_them(path: Path) -> None:
    export = Export().launched("k", 100, 500, 900)
    export.call("cudaStreamSynchronize_v3020", 1_000, 2_000).call("cuMemAlloc_v2", 2_000, 2_100, group=1)
    export.call("cudaLaunchKernelExC_v11060", 2_200, 2_300)
    export.range("step 1", 50, 2_400).range("step 2", 2_400, 4_000).launched("k", 2_500, 3_000, 3_500)
    rank, events = only(load(export.write(path)))
    names = {events.named(row) for row in events.rows(Kind.RUNTIME).tolist()}
    assert names == {"cudaLaunchKernel", "cudaStreamSynchronize", "cuMemAlloc_v2", "cudaLaunchKernelExC"}
    windows = windows_of(rank)
    assert windows is not None
    facts = host_facts(rank, windows)
    assert facts is not None
    assert (facts.launches, facts.syncs, facts.allocator_calls) == (1.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("kinds", "group"),
    [
        ((1, 0, 2), "pageable_to_device"),
        ((1, 1, 2), "pinned_to_device"),
        ((2, 2, 0), "to_host"),
        ((8, 2, 2), "on_device"),
        ((10, 2, 2), "peer"),
    ],
)
def test_copies_are_of_the_kinds_that_the_facts_know(path: Path, kinds: tuple[int, int, int], group: str) -> None:
    way, source, target = kinds
    export = (
        Export()
        .launched("k", 100, 500, 900)
        .launched("k", 1_000, 5_000, 6_000)
        .call("cudaMemcpyAsync", 1_200, 1_300, 9)
    )
    export.add(
        COPY, start=2_000, end=3_000, deviceId=0, contextId=1, streamId=7, correlationId=9, globalPid=process(),
        bytes=4096, copyKind=way, srcKind=source, dstKind=target,
    )  # fmt: skip
    rank, _ = only(load(export.write(path)))
    windows = windows_of(rank)
    assert windows is not None
    facts = copy_facts(rank, windows)
    assert facts is not None
    assert (getattr(facts, group).count, getattr(facts, group).bytes) == (1, 4096)


def test_fills_are_named_like_pytorchs(path: Path) -> None:
    export = Export().launched("k", 100, 500, 900)
    export.add(
        FILL, start=950, end=960, deviceId=0, contextId=1, streamId=7, correlationId=0, globalPid=process(), memKind=2
    )
    _, events = only(load(export.write(path)))
    assert row_named(events, "Memset (Device)", Kind.MEMSET)


def test_times_before_the_start_of_the_capture_are_kept(path: Path) -> None:
    rank, events = only(load(Export().launched("early", -20_000_000_000, -19_000_000_000, -18_000_000_000).write(path)))
    assert rank.origin_ns == EPOCH - 20_000_000_000
    assert int(events.dur[row_named(events, "early", Kind.KERNEL)]) == 1_000_000_000


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    export = Export()
    dice = random.Random(1)
    for place in dice.sample(range(200), 200):
        export.launched(f"k{place}", place * 1_000, place * 1_000 + 5_000, place * 1_000 + 5_900)
        export.range(f"r{place}", place * 1_000 - 1, place * 1_000 + 500)
    one = only(load(export.write(tmp_path / "a.sqlite")))[1]
    two = only(load(export.write(tmp_path / "b.sqlite", reverse=True)))[1]
    assert np.all(np.diff(one.ts) >= 0)
    for column in ("ts", "dur", "kind"):
        assert np.array_equal(getattr(one, column), getattr(two, column))
    assert [one.named(row) for row in range(len(one))] == [two.named(row) for row in range(len(two))]


def test_columns_that_other_tools_add_do_no_harm(path: Path) -> None:
    export = Export().launched("mine", 100, 500, 900)
    for row in export.tables[KERNEL]:
        row["name"] = "foreign"
    _, events = only(load(export.write(path)))
    assert row_named(events, "mine", Kind.KERNEL)


OPTIONAL = [
    "contextId", "streamId", "deviceId", "correlationId", "demangledName", "shortName", "mangledName", "eventClass",
    "domainId", "endGlobalTid", "textId", "text", "bytes", "srcKind", "dstKind", "copyKind", "utcEpochNs", "syncType",
]  # fmt: skip


@pytest.mark.parametrize("column", OPTIONAL)
def test_any_optional_column_may_be_missing(path: Path, column: str) -> None:
    export = Export().range("step", 50, 2_000).range(None, 60, 70, registered="named").launched("k", 100, 500, 900)
    export.add(
        COPY, start=1_000, end=1_100, deviceId=0, contextId=1, streamId=7, correlationId=3, globalPid=process(),
        bytes=8, copyKind=1, srcKind=0, dstKind=2,
    )  # fmt: skip
    export.add(SYNC, start=1_100, end=1_900, streamId=7, correlationId=3, globalPid=process(), syncType=3)
    rank, events = only(load(export.write(path, drop=[column])))
    assert events.rows(Kind.KERNEL).size == 1
    assert events.rows(Kind.MEMCPY).size == 1
    assert diagnose(load(path)).source.ranks == (rank.rank,)


def test_names_that_are_not_text_are_read_all_the_same(path: Path) -> None:
    export = Export().kernel(b"caf\xe9", 100, 200).kernel(b"gemm\0SECRET_TOKEN=hunter2", 300, 400)
    _, events = only(load(export.write(path)))
    assert {events.named(row) for row in events.rows(Kind.KERNEL).tolist()} == {"caf\ufffd", "gemm"}


def test_registered_names_are_found_where_there_is_no_text(path: Path) -> None:
    export = Export().launched("k", 100, 500, 900).range(None, 50, 950, registered="registered").range("plain", 60, 940)
    _, events = only(load(export.write(path)))
    assert row_named(events, "registered", Kind.ANNOTATION) < row_named(events, "plain", Kind.ANNOTATION)


def test_ranges_of_emit_nvtx_are_operators_without_their_numbers(path: Path) -> None:
    export = Export().launched("k", 100, 500, 900)
    for number in range(3):
        export.range(f"aten::mm, op_id = {number}, sizes = [[2, 2], [2, 2]]", 10 * number, 10 * number + 5)
    export.range("AddmmBackward0, seq = 4, op_id = 9", 100, 200)
    export.range("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__, op_id = 3", 300, 400)
    _, events = only(load(export.write(path)))
    assert {events.named(row) for row in events.rows(Kind.CPU_OP).tolist()} == {"aten::mm", "AddmmBackward0"}
    assert row_named(events, "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", Kind.ANNOTATION) >= 0


def test_a_range_that_was_never_closed_ends_with_the_capture(path: Path) -> None:
    export = Export().launched("k", 100, 500, 900).range("open", 50, None)
    export.add("ANALYSIS_DETAILS", duration=5_000)
    _, events = only(load(export.write(path)))
    assert int(events.dur[row_named(events, "open", Kind.ANNOTATION)]) == 4_950


def test_the_shadow_of_a_range_is_the_work_that_its_thread_launched(path: Path) -> None:
    export = Export().range("forward", 50, 400).launched("a", 100, 1_000, 1_500).launched("b", 200, 1_600, 2_000)
    export.launched("other thread", 150, 2_500, 3_000, tid=9)
    rank, events = only(load(export.write(path)))
    (row,) = events.rows(Kind.GPU_ANNOTATION).tolist()
    assert (events.named(row), int(events.ts[row]) + rank.origin_ns - EPOCH, int(events.dur[row])) == (
        "forward",
        1_000,
        1_000,
    )
    assert rank.lanes[events.lane[row]].on_device
    assert [int(events.launch[kernel]) for kernel in events.rows(Kind.KERNEL)] == events.rows(Kind.RUNTIME)[
        [0, 2, 1]
    ].tolist()


def test_rows_that_end_before_they_begin_are_left_out_and_counted(path: Path) -> None:
    export = Export().launched("k", 100, 500, 900).kernel("backwards", 900, 500)
    rank, events = only(load(export.write(path)))
    assert events.rows(Kind.KERNEL).size == 1
    assert rank.quality.dropped_events == 1
    assert any("negative duration" in text for text in rank.quality.warnings)


def test_the_gpu_of_a_process_is_the_one_that_the_report_maps(path: Path) -> None:
    export = Export().launched("k", 100, 500, 900)
    for number, ordinal, name in ((0, 3, "NVIDIA A40"), (1, 0, "NVIDIA A100")):
        export.add("TARGET_INFO_GPU", id=number, cuDevice=ordinal, name=name, smCount=108, totalMemory=1 << 35)
    rank, _ = only(load(export.write(path)))
    assert rank.environment.device.name == "NVIDIA A100"  # id 1 is CUDA device 0; id 0 is another card
    export.add("TARGET_INFO_CUDA_DEVICE", gpuId=0, cudaId=0, pid=100)
    rank, _ = only(load(export.write(path.with_name("mapped.sqlite"))))
    assert rank.environment.device.name == "NVIDIA A40"


def test_a_guessed_gpu_is_called_a_guess(path: Path) -> None:
    export = Export().launched("k", 100, 500, 900)
    for number, name in enumerate(("NVIDIA A40", "NVIDIA A100")):
        export.add("TARGET_INFO_GPU", id=number, cuDevice=number, name=name, smCount=108)
    assert any("guess" in text for text in load(export.write(path)).warnings)


def test_adapters_that_cannot_compute_are_no_gpus(path: Path) -> None:
    export = Export().launched("k", 100, 500, 900)
    export.add("TARGET_INFO_GPU", id=0, cuDevice=0, name="Intel UHD", smCount=0)
    export.add("TARGET_INFO_GPU", id=1, cuDevice=0, name="NVIDIA RTX", smCount=48)
    rank, _ = only(load(export.write(path)))
    assert (rank.environment.device.name, rank.environment.gpus_per_node) == ("NVIDIA RTX", 1)


def test_nothing_of_an_environment_reaches_the_timeline_or_the_verdict(path: Path) -> None:
    secret = "hunter2"
    export = Export().launched("k", 100, 500, 900).range("step", 50, 950)
    export.text(f"AWS_SECRET={secret}\0HOME=/home/{secret}")
    export.add("META_DATA_CAPTURE", name="PROCESS_0:ENVIRONMENT_VARIABLE", value=f"TOKEN={secret}")
    export.add("META_DATA_CAPTURE", name="PROCESS_0:ENVIRONMENT_VARIABLE", value="RANK=3")
    export.add("META_DATA_CAPTURE", name="COMMAND", value=f"python train.py --token {secret}")
    export.add("PROCESSES", globalPid=process(), pid=100, name=secret)
    export.add("DIAGNOSTIC_EVENT", severity=3, text=f"Cannot open /home/{secret}/file")
    export.add("TARGET_INFO_SYSTEM_ENV", name="Hostname", value=secret)
    timeline = load(export.write(path))
    assert secret not in repr(timeline) + diagnose(timeline).to_json()
    _, events = only(timeline)
    assert not [name for name in events.strings.names if secret in name]
    assert timeline.ranks[0].rank == 3  # the one variable that is read
    assert any("1 more error" in text for text in timeline.warnings)


def test_start_end_ranges_of_one_thread_do_not_disturb_its_nesting(path: Path) -> None:
    export = Export().launched("k", 100, 500, 900).range("outer", 50, 950).range("async", 60, 2_000, kind=60, end_tid=9)
    rank, events = only(load(export.write(path)))
    lanes = [rank.lanes[events.lane[row_named(events, name, Kind.ANNOTATION)]] for name in ("outer", "async")]
    assert lanes[0] != lanes[1]
    assert lanes[0].thread == lanes[1].thread == thread() & 0xFFFFFF


def test_the_same_tables_in_parquet_are_the_same_timeline(path: Path, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    import sqlite3

    export = Export().range("step 0", 50, 950).range("aten::mm, op_id = 4", 60, 90).launched("k", 100, 500, 900)
    export.range(None, 70, 80, domain=2, registered="r").range("trainer", 0, None, kind=75, domain=2)
    export.write(path)
    folder = tmp_path / "report_pqtdir"
    folder.mkdir()
    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
        for (table,) in connection.execute("SELECT name FROM sqlite_master").fetchall():
            rows = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
            columns = {name: [row[name] for row in rows] for name in rows[0]}
            types = {name: arrow.uint64() for name in columns if name.startswith("global")}
            made = {name: arrow.array(cells, type=types.get(name)) for name, cells in columns.items()}
            parquet.write_table(arrow.table(made), folder / f"{table}.parquet")
    one, two = only(load(path)), only(load(folder))
    assert one[0].origin_ns == two[0].origin_ns
    for column in ("ts", "dur", "kind", "launch", "correlation"):
        assert np.array_equal(getattr(one[1], column), getattr(two[1], column))
    assert [one[1].named(row) for row in range(len(one[1]))] == [two[1].named(row) for row in range(len(two[1]))]
    assert [lane.label for lane in one[0].lanes] == [lane.label for lane in two[0].lanes]


def test_an_empty_table_is_not_a_missing_one(path: Path) -> None:
    export = Export().launched("k", 100, 500, 900)
    export.write(path)
    import sqlite3

    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {NVTX} (start INTEGER, end INTEGER, eventType INTEGER, text TEXT)")
    assert only(load(path))[1].rows(Kind.KERNEL).size == 1
