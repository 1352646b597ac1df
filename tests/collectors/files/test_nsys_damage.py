"""Does a report that cannot be read say so in one sentence: cut, empty, locked, foreign, hostile?"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from llmprof.collectors.files import load
from llmprof.errors import InputError, LlmprofError, UnknownFormatError, UnreadableError
from tests.scenarios.nsys_export import KERNEL, NVTX, Export


def assert_one_sentence(error: LlmprofError, path: Path) -> None:
    text = str(error)
    assert str(path) in text
    assert "\n" not in text and text.endswith(".")


def large(path: Path) -> Path:
    export = Export()
    for place in range(3_000):
        export.launched(f"kernel {place}", place * 1_000, place * 1_000 + 500, place * 1_000 + 900)
    return export.write(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_a_cut_file(tmp_path: Path, share: float) -> None:
    path = large(tmp_path / "cut.sqlite")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnreadableError) as raised:
        load(path)
    assert_one_sentence(raised.value, path)


def test_a_file_with_a_hole(tmp_path: Path) -> None:
    path = large(tmp_path / "hole.sqlite")
    data = bytearray(path.read_bytes())
    data[8_192 : len(data) // 2] = bytes(len(data) // 2 - 8_192)
    path.write_bytes(data)
    with pytest.raises(LlmprofError) as raised:
        load(path)
    assert_one_sentence(raised.value, path)


@pytest.mark.parametrize("name", ["report.sqlite", "report.nsys-rep", "report.qdstrm"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UnreadableError, match="is empty") as raised:
        load(tmp_path / name)
    assert_one_sentence(raised.value, tmp_path / name)


def test_something_else_under_the_name_of_a_report(tmp_path: Path) -> None:
    (tmp_path / "report.sqlite").write_text("just text, and more of it than a header has")
    with pytest.raises(UnknownFormatError) as raised:
        load(tmp_path / "report.sqlite")
    assert_one_sentence(raised.value, tmp_path / "report.sqlite")


def test_an_export_that_is_still_being_written(tmp_path: Path) -> None:
    path = large(tmp_path / "report.sqlite")
    (tmp_path / "report.sqlite-journal").write_bytes(b"x")
    with pytest.raises(UnreadableError, match="still being written") as raised:
        load(path)
    assert_one_sentence(raised.value, path)


def test_a_file_that_another_program_has_locked_is_read(tmp_path: Path) -> None:
    path = Export().launched("k", 100, 500, 900).write(tmp_path / "report.sqlite")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        assert len(load(path).ranks) == 1
    finally:
        other.close()


def test_reading_leaves_the_file_and_its_folder_as_they_were(tmp_path: Path) -> None:
    path = Export().launched("k", 100, 500, 900).write(tmp_path / "report.sqlite")
    before = path.read_bytes(), path.stat().st_mtime_ns
    load(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["with space.sqlite", "100%.sqlite", "what?.sqlite", "a#b.sqlite", "ü.sqlite"])
def test_any_file_name(tmp_path: Path, name: str) -> None:
    assert len(load(Export().launched("k", 100, 500, 900).write(tmp_path / name)).ranks) == 1


def test_a_database_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(UnknownFormatError) as raised:
        load(path)
    assert_one_sentence(raised.value, path)


def test_a_database_of_nvprof(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {KERNEL} (_id_ INTEGER, start INTEGER)")
    with pytest.raises(UnknownFormatError, match="nvprof") as raised:
        load(path)
    assert_one_sentence(raised.value, path)


def test_views_are_not_looked_at(tmp_path: Path) -> None:
    path = Export().launched("k", 100, 500, 900).write(tmp_path / "report.sqlite")
    endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n AS start, n AS end FROM r"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE VIEW {NVTX} AS {endless}")
    assert len(load(path).ranks) == 1


def test_cells_of_the_wrong_type(tmp_path: Path) -> None:
    path = Export().launched("k", 100, 500, 900).write(tmp_path / "report.sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {KERNEL} SET start = 'soon'")
    with pytest.raises(UnreadableError) as raised:
        load(path)
    assert_one_sentence(raised.value, path)


def test_a_damaged_parquet_folder(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "StringIds.parquet").write_bytes(b"PAR1 no table")
    (tmp_path / "NVTX_EVENTS.parquet").write_bytes(b"PAR1 no table")
    with pytest.raises(UnreadableError) as raised:
        load(tmp_path)
    assert_one_sentence(raised.value, tmp_path)


def test_a_parquet_folder_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "StringIds.parquet").touch()
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match="pip install pyarrow") as raised:
        load(tmp_path)
    assert_one_sentence(raised.value, tmp_path)


def test_a_report_is_not_mixed_with_a_trace_of_pytorch(tmp_path: Path) -> None:
    report = Export().launched("k", 100, 500, 900).write(tmp_path / "report.sqlite")
    trace = tmp_path / "trace.json"
    trace.write_text('{"traceEvents": []}')
    with pytest.raises(InputError, match="is not"):
        load([report, trace])
