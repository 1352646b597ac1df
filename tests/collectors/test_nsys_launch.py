"""Is the training command put behind `nsys profile` as it was given?"""

from __future__ import annotations

from pathlib import Path

import pytest

from llmprof.collectors.nsys_launch import report_of, wrapped
from llmprof.errors import InputError, NotFoundError
from tests.scenarios import fake_nsys


def test_the_command_follows_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nsys.install(tmp_path / "bin", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    given = ["python", "train.py", "--lr", "1 e-3", "--", "-x"]
    found = wrapped(given, tmp_path / "run")
    assert found[:3] == [str(tmp_path / "bin" / "nsys"), "profile", f"--output={tmp_path}/run/nsys"]
    assert found[-len(given) :] == given
    assert all(word.startswith("--") for word in found[2 : -len(given)])


def test_without_nsys_one_sentence_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFoundError, match="install Nsight Systems") as raised:
        wrapped(["python"], tmp_path)
    assert "\n" not in str(raised.value)


def test_a_path_that_nsys_would_fill_in_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nsys.install(tmp_path / "bin", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(InputError, match="%"):
        wrapped(["python"], tmp_path / "run%p")


def test_the_report_is_where_nsys_was_told(tmp_path: Path) -> None:
    assert report_of(tmp_path) is None
    (tmp_path / "nsys.nsys-rep").touch()
    assert report_of(tmp_path) == tmp_path / "nsys.nsys-rep"


def test_a_folder_that_another_node_records_into_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nsys.install(tmp_path / "bin", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "run" / "bootstrap").mkdir(parents=True)
    with pytest.raises(InputError, match="one node a folder"):
        wrapped(["python"], tmp_path / "run")
