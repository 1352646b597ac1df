"""Where bytes come from and how they are wrapped makes no difference; damage is told."""

from __future__ import annotations

import gzip
import importlib
import io
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmprof.collectors.files import limits, load, streams
from llmprof.collectors.files.streams import open_stream
from llmprof.errors import InputError, NotFoundError, UnreadableError
from tests.scenarios.files import events_of, small

DATA = b"[" + bytes(range(32, 127)) * 40_000


def content(path: Path | str) -> tuple[bytes, list[str], bool]:
    with open_stream(path) as stream:
        data = stream.head(None)
        assert data is not None
        return data, stream.notes, stream.truncated


def in_pieces(path: Path) -> bytes:
    with open_stream(path) as stream:
        assert stream.head(1000) is None
        parts, buffer = [], bytearray(70_001)
        while count := stream.readinto(memoryview(buffer)):
            parts.append(bytes(buffer[:count]))
        return b"".join(parts)


@pytest.fixture(params=["isal", "zlib"])
def gunzip(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "isal":
        pytest.importorskip("isal")
    else:
        monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)


@pytest.mark.usefixtures("gunzip")
def test_gzip_of_one_and_of_several_members(tmp_path: Path) -> None:
    path = tmp_path / "t"
    for wrapped in (gzip.compress(DATA), gzip.compress(DATA[:70_000]) + gzip.compress(DATA[70_000:])):
        path.write_bytes(wrapped)
        assert content(path) == (DATA, [], False)
        assert in_pieces(path) == DATA


@pytest.mark.usefixtures("gunzip")
def test_cut_and_damaged_gzip_give_what_lies_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BLOCK_BYTES", 512)
    source = random.Random(0)
    text = b"[" + bytes(source.choices(range(32, 127), k=100_000))
    wrapped = bytearray(gzip.compress(text))
    path = tmp_path / "t.gz"
    path.write_bytes(wrapped[: len(wrapped) // 2])
    data, notes, truncated = content(path)
    assert (len(data) > 40_000, text.startswith(data), truncated) == (True, True, True)
    assert notes == ["its gzip data ends early"]
    wrapped[len(wrapped) // 2 : -4096] = source.randbytes(len(wrapped) - len(wrapped) // 2 - 4096)
    path.write_bytes(wrapped)
    data, notes, truncated = content(path)
    assert (len(data) > 40_000, text[:40_000] == data[:40_000], truncated) == (True, True, True)
    assert "its gzip data is damaged" in notes[0]


def test_zstd_of_one_and_of_several_frames_and_cut(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    pack = zstandard.ZstdCompressor().compress
    path = tmp_path / "t.zst"
    path.write_bytes(pack(DATA[:70_000]) + pack(DATA[70_000:]))
    assert content(path) == (DATA, [], False)
    path.write_bytes(pack(DATA)[:-300])
    data, notes, truncated = content(path)
    assert DATA.startswith(data)
    assert (notes, truncated) == (["its zstd data ends early, after 14 % of its text"], True)


def test_zstd_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = tmp_path / "t.zst"
    path.write_bytes(streams.ZSTD_MAGIC + b"rest")
    with pytest.raises(InputError, match=r"install llmprof\[fast\]"):
        content(path)


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = small().write_kineto(tmp_path / "t.json.gz", rank=3).read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(data))))
    timeline = load("-")
    assert (timeline.paths, timeline.ranks[0].rank, len(events_of(timeline.ranks[0]))) == (("-",), 3, 6)


def test_a_remote_address(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://traces/rank5.json.gz", "wb") as file:
        file.write(small().write_kineto(tmp_path / "t.json.gz").read_bytes())
    timeline = load("memory://traces/rank5.json.gz")
    assert timeline.ranks[0].rank == 5
    assert len(events_of(timeline.ranks[0])) == 6
    with pytest.raises(NotFoundError, match="does not exist"):
        load("memory://traces/none.json")
    with pytest.raises(InputError, match="cannot be opened"):
        load("nosuch://traces/none.json")


def test_a_remote_address_without_fsspec_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"install llmprof\[remote\]"):
        load("s3://bucket/trace.json")


def test_a_run_directory_is_given_alone(tmp_path: Path) -> None:
    (tmp_path / "ranks").mkdir()
    with pytest.raises(InputError, match="given alone"):
        load([tmp_path, "s3://bucket/trace.json"])


def test_a_bomb_is_refused_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INFLATED_BYTES", 1 << 20)
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(b"[" + b" " * (16 << 20)))
    with pytest.raises(UnreadableError, match="inflates to more than"):
        in_pieces(path)
