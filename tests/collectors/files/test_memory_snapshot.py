"""Memory snapshots: their totals are those of torch's own tools, their history has the peak, and traps are refused."""

from __future__ import annotations

import gzip
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from llmprof.collectors.files import load
from llmprof.collectors.files.memory_snapshot import is_snapshot, read_snapshot
from llmprof.errors import NotFoundError, UnknownFormatError, UnreadableError, UnsafePickleError
from llmprof.timeline.memory import LiveBlocks, MemorySnapshot
from tests.collectors.files.snapshots import ACTIVATIONS, MIB, block, entry, segment, snapshot, write
from tests.scenarios.builder import TraceBuilder


def read(tmp_path: Path, value: Any) -> MemorySnapshot:
    return read_snapshot(write(tmp_path / "snapshot.pickle", value)).snapshot()


def test_the_snapshots_of_these_tests_are_of_the_form_that_torch_s_tools_take() -> None:
    viz = pytest.importorskip("torch.cuda._memory_viz")
    summary = viz.segsum(snapshot())
    assert "total_reserved: 160.0MiB" in summary and "segments: 4" in summary
    assert "raise OutOfMemoryError # 40.0MiB requested, 7.0MiB free" in viz.trace(snapshot())
    assert viz.trace_plot(snapshot()) and viz.segment_plot(snapshot())


def test_the_totals(tmp_path: Path) -> None:
    found = read(tmp_path, snapshot()).segments
    assert found.reserved_bytes == 160 * MIB
    assert (found.allocated_bytes, found.requested_bytes) == (96 * MIB, 96 * MIB - 512)
    assert (found.awaiting_free_bytes, found.free_bytes) == (4 * MIB, 60 * MIB)
    assert found.inactive_split_bytes == 24 * MIB  # the wholly free segment can be given back
    assert found.largest_free_bytes == 36 * MIB
    assert found.blocks == 4
    assert [(pool.name, pool.segments, pool.reserved_bytes) for pool in found.pools] == [
        ("large", 3, 156 * MIB),
        ("small", 1, 4 * MIB),
    ]


def test_live_blocks_are_grouped_by_the_place_that_allocated_them(tmp_path: Path) -> None:
    found = read(tmp_path, snapshot()).segments.live
    assert found[0] == LiveBlocks(
        bytes=64 * MIB, blocks=2, stack=("project/train.py:42 forward", "project/train.py:90 <module>")
    )
    assert found[1].place == "project/model.py:10 __init__"
    assert found[2] == LiveBlocks(bytes=4 * MIB, blocks=1)


def test_without_stacks_they_are_grouped_by_size(tmp_path: Path) -> None:
    blocks = [block(0, size, "active_allocated", []) for size in (2 * MIB, 8 * MIB, 2 * MIB, 2 * MIB)]
    found = read(tmp_path, {"segments": [segment(0, blocks)], "device_traces": [[]]})
    assert [(group.bytes, group.blocks) for group in found.segments.live] == [(8 * MIB, 1), (6 * MIB, 3)]
    assert (found.peak_bytes, found.curve, found.events) == (None, None, 0)


def test_expandable_segments_are_not_split(tmp_path: Path) -> None:
    one = segment(0, [block(0, MIB, "active_allocated", []), block(MIB, MIB, "inactive", [])])
    assert read(tmp_path, {"segments": [{**one, "is_expandable": True}]}).segments.inactive_split_bytes == 0


def test_the_peak_of_the_history(tmp_path: Path) -> None:
    """Counted back from the 100 MiB in use at the end: 62 MiB came and went before the last 32."""
    found = read(tmp_path, snapshot())
    assert (found.events, found.peak_bytes) == (5, 130 * MIB)
    assert found.curve is not None
    assert [value // MIB for value in found.curve.bytes] == [130, 68, 99]


def test_the_peak_may_lie_before_the_first_entry(tmp_path: Path) -> None:
    value = snapshot()
    value["device_traces"] = [[entry("free_completed", 0, 500 * MIB, 1, []), entry("alloc", 0, MIB, 2, [])]]
    assert read(tmp_path, value).peak_bytes == 599 * MIB - 512


def test_a_long_history_is_thinned_and_keeps_its_peak(tmp_path: Path) -> None:
    trace = [entry("alloc" if n % 2 == 0 else "free_completed", n, 512, n, []) for n in range(20_000)]
    trace.insert(10_000, entry("alloc", 1, 9 * MIB, 10_000, []))
    trace.insert(10_001, entry("free_completed", 1, 9 * MIB, 10_000, []))
    found = read(tmp_path, {**snapshot(), "device_traces": [trace]})
    assert found.curve is not None and len(found.curve.bytes) <= 400
    assert max(found.curve.bytes) == found.peak_bytes == 109 * MIB - 512


def test_a_failed_allocation_in_the_history(tmp_path: Path) -> None:
    (failed,) = read(tmp_path, snapshot()).failures
    assert (failed.requested_bytes, failed.free_bytes, failed.ended_the_run) == (40 * MIB, 7 * MIB, True)
    assert failed.stack[0] == "project/train.py:42 forward"


def test_a_failure_after_which_memory_was_allocated_was_survived(tmp_path: Path) -> None:
    value = snapshot()
    value["device_traces"][0].append(entry("alloc", 1, 512, 5000, []))
    assert not read(tmp_path, value).failures[0].ended_the_run


def test_of_several_devices_the_fullest_is_shown(tmp_path: Path) -> None:
    value = snapshot()
    value["segments"].append(segment(1 << 40, [block(1 << 40, 900 * MIB, "active_allocated", [])], device=3))
    value["device_traces"] += [[], [], [entry("alloc", 1 << 40, 900 * MIB, 1, ACTIVATIONS)]]
    found = read(tmp_path, value)
    assert (found.segments.device, found.segments.reserved_bytes, found.events) == (3, 900 * MIB, 1)
    assert found.notes == ("snapshot.pickle holds 2 devices; device 3, the fullest, is shown.",)


def test_the_list_of_segments_alone_is_a_snapshot_too(tmp_path: Path) -> None:
    assert read(tmp_path, snapshot()["segments"]).segments.reserved_bytes == 160 * MIB


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_and_gzip(tmp_path: Path, protocol: int) -> None:
    path = write(tmp_path / "snapshot.bin", snapshot(), protocol)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert is_snapshot(path) and is_snapshot(packed)
    assert read_snapshot(packed).segments == read_snapshot(path).segments == snapshot()["segments"]


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04", b"\x80", b"\x1f\x8b", b"\x1f\x8bjunk", b"(lp0\n."])
def test_other_files_are_told_by_their_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "snapshot.pickle"
    path.write_bytes(content)
    assert not is_snapshot(path)


@pytest.mark.parametrize(
    "value", [{}, {"segments": None}, {"segments": [1]}, {"segments": [{"blocks": 1}]}, "text", [[1]], {"a": 1}]
)
def test_plain_data_that_is_no_snapshot(tmp_path: Path, value: Any) -> None:
    with pytest.raises(UnknownFormatError, match="no memory snapshot"):
        read(tmp_path, value)


def test_a_process_that_never_allocated(tmp_path: Path) -> None:
    found = read(tmp_path, {"segments": [], "device_traces": [[], []]})
    assert (found.segments.reserved_bytes, found.peak_bytes) == (0, None)


HOSTILE: list[dict[str, Any]] = [
    {"total_size": "x", "blocks": [{}, 1, None, {"size": -1, "state": 3, "frames": 7}]},
    {"total_size": 2**60, "blocks": [{"size": 2**60, "state": "active_allocated", "frames": [1, None, {"line": []}]}]},
    {"total_size": 1, "device": "x", "segment_type": ["x"] * 100, "blocks": []},
    {"total_size": 1, "device": 2**60, "blocks": []},
]


@pytest.mark.parametrize("part", HOSTILE)
def test_what_is_not_of_the_documented_form_counts_as_nothing(tmp_path: Path, part: dict[str, Any]) -> None:
    value = snapshot()
    value["segments"].append(part)
    value["device_traces"][0] += [1, None, {}, {"action": "alloc"}, {"action": "alloc", "size": 2**70, "time_us": "x"}]
    assert read(tmp_path, value).segments.reserved_bytes <= 160 * MIB + 1


def test_one_segment_listed_a_million_times_is_refused(tmp_path: Path) -> None:
    """Two bytes each in the file, but each has a thousand blocks to look at."""
    many = segment(0, [block(0, 512, "active_allocated", [])] * 1000)
    with pytest.raises(UnsafePickleError, match="more than its size allows"):
        read(tmp_path, {"segments": [many] * 100_000, "device_traces": []})


def test_a_file_that_inflates_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pickle.gz"
    path.write_bytes(gzip.compress(b"\x80\x04\x95" + bytes(50 << 20)))
    with pytest.raises(UnsafePickleError, match="inflates to more than"):
        read_snapshot(path)


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    data = pickle.dumps(snapshot())
    path = tmp_path / "snapshot.pickle"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableError, match="cut short"):
        read_snapshot(path)
    path.write_bytes(gzip.compress(data)[:-20])
    with pytest.raises(UnreadableError, match="gzip data"):
        read_snapshot(path)
    with pytest.raises(NotFoundError):
        read_snapshot(tmp_path / "none.pickle")


# Beside traces


def trace(path: Path, rank: int | None = None) -> Path:
    b = TraceBuilder()
    b.kernel("gemm", 100, 50, launch_ns=0)
    return b.write_kineto(path, rank=rank, world_size=2)


def test_alone_it_is_the_only_rank(tmp_path: Path) -> None:
    timeline = load(write(tmp_path / "it", snapshot()))
    (rank,) = timeline.ranks
    assert (timeline.kind, rank.rank, rank.events) == ("snapshot", 0, None)
    assert rank.memory is not None and rank.memory.peak_allocated_bytes == 130 * MIB
    assert rank.memory.out_of_memory is not None


def test_in_a_folder_the_name_says_the_rank(tmp_path: Path) -> None:
    for name in ("mem_rank1.pickle", "mem_rank3.pickle"):
        write(tmp_path / name, snapshot())
    (tmp_path / "data.pkl").write_bytes(pickle.dumps(OSError("not ours")))
    timeline = load(tmp_path)
    assert [rank.rank for rank in timeline.ranks] == [1, 3]
    assert any("data.pkl" in warning and "could run code" in warning for warning in timeline.warnings)


def test_beside_one_trace_it_joins_its_rank(tmp_path: Path) -> None:
    trace(tmp_path / "trace.json", rank=5)
    write(tmp_path / "memory.pickle", snapshot())
    for paths in ([tmp_path], [tmp_path / "trace.json", tmp_path / "memory.pickle"]):
        timeline = load(paths)
        (rank,) = timeline.ranks
        assert (timeline.kind, rank.rank, rank.events is not None) == ("kineto", 5, True)
        assert rank.memory is not None and rank.memory.snapshot is not None


def test_beside_several_traces_its_name_has_to_say_the_rank(tmp_path: Path) -> None:
    for rank in (0, 1):
        trace(tmp_path / f"rank{rank}.json", rank=rank)
    write(tmp_path / "rank1.pickle", snapshot())
    write(tmp_path / "some.pickle", snapshot())
    write(tmp_path / "rank7.pickle", snapshot())
    timeline = load(tmp_path)
    assert [rank.memory is not None and rank.memory.snapshot is not None for rank in timeline.ranks] == [False, True]
    left_out = {warning.split(" is of")[0] for warning in timeline.warnings if "left out" in warning}
    assert left_out == {"nothing says which rank some.pickle", "nothing says which rank rank7.pickle"}


def test_a_second_snapshot_of_a_rank_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "rank0_a.pickle", snapshot(history=False))
    write(tmp_path / "rank0_b.pickle", snapshot())
    timeline = load(tmp_path)
    assert "rank 0 has several memory snapshots; rank0_b.pickle is left out." in timeline.warnings


def test_a_file_that_the_user_names_raises_its_own_error(tmp_path: Path) -> None:
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps(OSError("not ours")))
    with pytest.raises(UnsafePickleError):
        load(path)


def test_zlib_is_not_gzip(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(zlib.compress(pickle.dumps(snapshot())))
    assert not is_snapshot(path)
