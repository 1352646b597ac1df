"""Is a report recognised by its first bytes, exported by an installed nsys, and explained where there is none?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmprof.collectors.files import load
from llmprof.collectors.files.nsys import is_nsys, reports_in
from llmprof.collectors.files.nsys.convert import REPORT_HEADER
from llmprof.errors import InputError
from tests.scenarios import fake_nsys
from tests.scenarios.nsys_export import Export

HEADERS = Path(__file__).resolve().parents[4] / "shared" / "traces" / "nsys" / "headers"
NAMES = sorted(path.name for path in HEADERS.iterdir()) if HEADERS.is_dir() else []


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report1.nsys-rep"
    path.write_bytes(REPORT_HEADER + b"2025@3@2@474-253236389321v0.\nLocal (CLI)")
    return path


@pytest.fixture
def export(tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    return Export().launched("k", 100, 500, 900).write(tmp_path / "made" / "export.sqlite")


@pytest.fixture
def no_nsys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


@pytest.mark.parametrize("name", NAMES)
def test_real_headers_are_recognised_under_any_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "unnamed"
    path.write_bytes((HEADERS / name).read_bytes())
    assert is_nsys(path)


@pytest.mark.usefixtures("no_nsys")
@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith(".qdstrm")])
def test_without_nsys_the_exact_command_is_said(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes((HEADERS / name).read_bytes())
    with pytest.raises(InputError) as raised:
        load(path)
    assert f"`nsys export --type sqlite {name}`" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("no_nsys")
def test_the_version_that_recorded_is_said(report: Path) -> None:
    with pytest.raises(InputError, match=r"report of nsys 2025\.3\.2 "):
        load(report)


def test_a_raw_stream_needs_its_importer(tmp_path: Path) -> None:
    (tmp_path / "raw.qdstrm").write_bytes(b"U3w[END]NVIDIA Nsight Systems Stream 2023.4.4.54-234433681190v0")
    with pytest.raises(InputError, match="QdstrmImporter"):
        load(tmp_path / "raw.qdstrm")


@pytest.mark.parametrize("old", [False, True])
def test_an_installed_nsys_exports(
    report: Path, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    log = fake_nsys.install(tmp_path / "bin", export, old=old)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    timeline = load(report)
    assert timeline.paths == (str(report),)
    assert timeline.ranks[0].events is not None
    assert sorted(path.name for path in report.parent.iterdir()) == ["bin", "made", "report1.nsys-rep"]
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    assert [call[0] for call in calls] == ["export"] * (2 if old else 1)
    assert calls[-1][-1] == str(report)


@pytest.mark.usefixtures("no_nsys")
def test_an_export_beside_the_report_is_used(report: Path, export: Path) -> None:
    report.with_suffix(".sqlite").write_bytes(export.read_bytes())
    assert load(report).ranks[0].events is not None


def test_a_pipe_is_left_to_its_reader(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    assert not is_nsys(tmp_path / "pipe")


def test_an_nsys_that_refuses_is_quoted(report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nsys.install(tmp_path / "bin", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(InputError, match="the report was made by a newer version") as raised:
        load(report)
    assert "\n" not in str(raised.value)


def test_a_folder_of_reports(export: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("rank0.sqlite", "rank1.sqlite"):
        (folder / name).write_bytes(export.read_bytes())
    (folder / "rank1.nsys-rep").write_bytes(REPORT_HEADER)
    assert [path.name for path in reports_in(folder)] == ["rank0.sqlite", "rank1.sqlite"]
    assert [rank.rank for rank in load(folder).ranks] == [0, 1]


def test_a_folder_of_traces_stays_one(tmp_path: Path) -> None:
    (tmp_path / "trace.json").write_text("{}")
    (tmp_path / "notes.sqlite").touch()
    assert reports_in(tmp_path) == []
