"""A trial runs what the run ran: the same interpreter, found where it was found; and knows what it ran on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from llmprof.cli.trial_sources import (
    Recorded,
    environment_of,
    losses_of,
    read_recorded,
    trained_without_gpu,
    versions_of,
)
from llmprof.collectors.live.fixes.applying.catalogue import VARIABLE
from llmprof.timeline import rundir


def program(folder: Path, says: str) -> Path:
    """A folder with a `python` of its own."""
    folder.mkdir()
    (folder / "python").write_text(f"#!/bin/sh\necho {says}\n")
    (folder / "python").chmod(0o755)
    return folder


def run_of(folder: Path, **header: object) -> Path:
    rundir.write_json_atomic(folder / rundir.RUN, {**rundir.new_run(["sh", "train.sh"], {}, "0"), **header})
    return folder


def rank_of(run: Path, **header: object) -> Path:
    folder = rundir.claim_rank_dir(run, len(rundir.rank_dirs(run)))
    rundir.write_json_atomic(folder / rundir.RANK, header)
    return folder


def test_a_script_finds_the_python_that_the_run_had_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell script says `python`; today another environment is active."""
    then, now = program(tmp_path / "then", "then"), program(tmp_path / "now", "now")
    monkeypatch.setenv("PATH", f"{then}:/usr/bin:/bin")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    (tmp_path / "train.sh").write_text("python train.py\n")
    run = run_of(tmp_path)
    monkeypatch.setenv("PATH", f"{now}:/usr/bin:/bin:/opt/tools")
    monkeypatch.setenv("VIRTUAL_ENV", "/another")
    monkeypatch.setenv("CONDA_PREFIX", "/another")
    environment = environment_of(read_recorded(run), ["tf32"])
    done = subprocess.run(["sh", "train.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "then\n"
    assert environment["VIRTUAL_ENV"] == str(tmp_path / "venv")
    assert "CONDA_PREFIX" not in environment, "none was active then"
    assert environment["PATH"].split(os.pathsep) == [str(then), "/usr/bin", "/bin", str(now), "/opt/tools"]
    assert environment[VARIABLE] == "tf32"


def test_a_run_that_does_not_say_where_it_looked_is_looked_up_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/today")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    recorded = Recorded(command=("python",), cwd=tmp_path, variables={"OMP_NUM_THREADS": "4"})
    environment = environment_of(recorded, [])
    assert (environment["PATH"], environment["OMP_NUM_THREADS"], environment[VARIABLE]) == ("/today", "4", "")
    run = run_of(tmp_path, search=["a header of something else"])
    assert read_recorded(run).search == {}


@pytest.mark.parametrize(
    ("devices", "without"), [([None, None], True), ([None, {"index": 0}], False), ([{"index": 0}], False), ([], False)]
)
def test_a_run_without_a_gpu_is_known_by_its_ranks(tmp_path: Path, devices: list[object], without: bool) -> None:
    for device in devices:
        rank_of(tmp_path, device=device, environment={"torch_version": "2.13.0", "device": {}})
    assert trained_without_gpu(tmp_path) is without


def test_a_rank_that_has_not_told_its_settings_says_nothing_of_a_gpu(tmp_path: Path) -> None:
    rank_of(tmp_path, device=None, environment={})
    assert not trained_without_gpu(tmp_path)
    assert versions_of(tmp_path) == {}


def test_versions_are_those_of_the_first_rank_that_tells_them(tmp_path: Path) -> None:
    rank_of(tmp_path, environment={})
    rank_of(tmp_path, environment={"torch_version": "2.13.0", "python_version": "3.11.7", "cuda_version": None})
    assert versions_of(tmp_path) == {"Python": "3.11.7", "torch": "2.13.0"}


def test_losses_are_there_only_where_they_were_kept(tmp_path: Path) -> None:
    folder = rank_of(tmp_path, environment={})
    assert losses_of(tmp_path) == []
    rundir.write_json_atomic(folder / "trial.json", {"losses": [2.0, 1.5], "fixes": {}})
    assert losses_of(tmp_path) == [2.0, 1.5]
