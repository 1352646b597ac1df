"""A second look at a large trace is the same as the first, and nothing that is kept is ever trusted blindly."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("llvmlite")
pytest.importorskip("pyarrow")

from llmprof.collectors.files import kineto, scan_choice, trace_cache
from llmprof.collectors.files.kineto import parse_kineto
from llmprof.timeline.events import CollectiveCall
from tests.collectors.files.comparing import differences
from tests.scenarios.builder import TraceBuilder
from tests.scenarios.files import small


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; and every trace counts as large."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(kineto, "plain_limit", lambda: 0)
    monkeypatch.setattr(scan_choice, "KEEP_AFTER_S", 0)
    return tmp_path / "home" / "llmprof" / "traces"


def rich() -> TraceBuilder:
    b = small()
    call = CollectiveCall("allreduce", 10, 10, "Float", 2, "0", "default_pg", (0, 1))
    b.kernel("ncclDevKernel_AllReduce", 410_001, 50_003, launch_ns=402_000, stream=40, collective=call)
    b.memcpy("HtoD (Pageable -> Device)", 470_000, 1_000, 2**40, launch_ns=420_000)
    b.sync("Stream Wait Event", 490_000, 0, stream=40)
    b.op("µ", 10, 20, tid=2**60)
    return b


def from_cache(path: Path) -> bool:
    return isinstance(parse_kineto(path).found, trace_cache.Kept)


def test_the_second_look_is_the_first(tmp_path: Path, folder: Path) -> None:
    path = rich().write_kineto(tmp_path / "rank4.json", rank=4, world_size=8)
    path.write_text(path.read_text().replace('"correlation": 101', '"correlation": 101,'))
    first = parse_kineto(path)
    expected = first.timeline(4)
    assert not isinstance(first.found, trace_cache.Kept)
    second = parse_kineto(path)
    assert isinstance(second.found, trace_cache.Kept)
    assert second.claimed_rank == 4
    assert differences(second.timeline(4), expected) == []
    assert expected.quality.repaired_events == 1
    assert len(list(folder.iterdir())) == 1
    assert sorted(os.listdir(tmp_path)) == ["home", "rank4.json"]


def test_a_trace_that_changed_is_read_again(tmp_path: Path) -> None:
    path = rich().write_kineto(tmp_path / "t.json")
    parse_kineto(path).timeline(0)
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[data.index(b"gemm")] = ord("G")
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not from_cache(path)
    parse_kineto(path).timeline(0)
    assert from_cache(path)


def test_another_version_of_the_reader_reads_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = rich().write_kineto(tmp_path / "t.json")
    parse_kineto(path).timeline(0)
    assert from_cache(path)
    monkeypatch.setattr(trace_cache, "_reader_version", lambda: "next")
    assert not from_cache(path)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign", "folder"])
def test_a_damaged_cache_is_ignored_and_written_again(tmp_path: Path, folder: Path, damage: str) -> None:
    path = rich().write_kineto(tmp_path / "t.json")
    expected = parse_kineto(path).timeline(0)
    (kept,) = folder.iterdir()
    data = bytearray(kept.read_bytes())
    if damage == "folder":
        kept.unlink()
        kept.mkdir()
    elif damage == "flip":
        data[len(data) // 2] ^= 1
    kept.is_file() and kept.write_bytes({"cut": data[:-9], "empty": b"", "foreign": b"PK\x03\x04"}.get(damage, data))
    trace = parse_kineto(path)
    assert not isinstance(trace.found, trace_cache.Kept)
    assert differences(trace.timeline(0), expected) == []
    assert from_cache(path) == (damage != "folder")


def test_a_trace_of_a_run_is_kept_in_the_run(tmp_path: Path, folder: Path) -> None:
    rank = tmp_path / "run" / "ranks" / "r00002"
    rank.mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text("{}")
    path = rich().write_kineto(rank / "trace.json")
    parse_kineto(path).timeline(2)
    assert from_cache(path)
    assert [entry.name for entry in (tmp_path / "run" / "derived").iterdir()] == ["r00002.trace.json.arrow"]
    assert not folder.exists()
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "run", moved)
    assert from_cache(moved / "ranks" / "r00002" / "trace.json")


def test_nothing_is_kept_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    path = rich().write_kineto(tmp_path / "t.json")
    assert len(parse_kineto(path).timeline(0).lanes) > 1
    assert not from_cache(path)


def test_nothing_is_kept_without_pyarrow(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_cache.importlib.util, "find_spec", lambda name: None)
    path = rich().write_kineto(tmp_path / "t.json")
    parse_kineto(path).timeline(0)
    assert not folder.exists()


def test_a_kept_trace_without_pyarrow_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = rich().write_kineto(tmp_path / "t.json")
    parse_kineto(path).timeline(0)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert not from_cache(path)


def test_the_folder_stays_below_its_limit(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [rich().write_kineto(tmp_path / f"t{number}.json") for number in range(3)]
    for age, path in enumerate(paths):
        parse_kineto(path).timeline(0)
        for kept in folder.iterdir():
            os.utime(kept, (kept.stat().st_atime, kept.stat().st_mtime - 100))
        if age == 1:
            size = max(kept.stat().st_size for kept in folder.iterdir())
            monkeypatch.setattr(trace_cache, "MOST_BYTES", 2 * size + 100)
    assert [from_cache(path) for path in paths] == [False, True, True]
