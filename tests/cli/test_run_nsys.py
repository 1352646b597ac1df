"""Does `llmprof run --nsys` record with nsys, export what it left, and diagnose it?"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from llmprof.collectors.files import load
from tests.cli.conftest import Llmprof, assert_one_sentence
from tests.scenarios import fake_nsys
from tests.scenarios.nsys_export import EPOCH, Export

MS = 1_000_000


def training(steps: int = 6, *, pid: int = 100, marked: bool = True) -> Export:
    export = Export()
    for step in range(steps):
        start = step * 10 * MS
        for place in range(9):
            at = start + place * MS
            export.launched("ampere_bf16_s16816gemm_bf16_128x128", at, at + MS // 10, at + MS, pid=pid)
        if marked:
            export.range(f"step {step}", start, start + 10 * MS - 1, pid=pid)
    return export


@pytest.fixture
def export(tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    return training().write(tmp_path / "made" / "export.sqlite")


def path_with(folder: Path) -> str:
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_the_run_is_recorded_exported_and_diagnosed(llmprof: Llmprof, tmp_path: Path, export: Path) -> None:
    log = fake_nsys.install(tmp_path / "bin", export)
    done = llmprof(
        "run", "--nsys", "-o", "run", "--", sys.executable, "-c", "print('mine')", PATH=path_with(tmp_path / "bin")
    )
    assert (done.returncode, done.stdout) == (0, "mine\n")
    assert [json.loads(line)[0] for line in log.read_text().splitlines()] == ["profile", "export"]
    document = json.loads((tmp_path / "run" / "analysis.json").read_text())
    assert document["source"]["kind"] == "nsys"
    assert document["step"]["mean_ms"] == pytest.approx(10.0, rel=0.05)
    assert sum(document["partition"].values()) == pytest.approx(document["step"]["mean_ms"])
    assert (tmp_path / "run" / "report.html").is_file()


def test_the_childs_exit_code_is_ours(llmprof: Llmprof, tmp_path: Path, export: Path) -> None:
    fake_nsys.install(tmp_path / "bin", export)
    code = "import sys; sys.exit(3)"
    done = llmprof("run", "--nsys", "--", sys.executable, "-c", code, PATH=path_with(tmp_path / "bin"))
    assert done.returncode == 3


def test_without_nsys_nothing_runs(llmprof: Llmprof, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = llmprof("run", "--nsys", "--", sys.executable, "-c", "print('ran')", PATH=str(tmp_path / "empty"))
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_sentence(done.stderr)
    assert "install Nsight Systems" in done.stderr
    assert not (tmp_path / "llmprof-runs").exists() or not list((tmp_path / "llmprof-runs").iterdir())


def test_an_nsys_that_leaves_no_report_is_said(llmprof: Llmprof, tmp_path: Path, export: Path) -> None:
    fake_nsys.install(tmp_path / "bin", export, report=False)
    done = llmprof("run", "--nsys", "--", sys.executable, "-c", "pass", PATH=path_with(tmp_path / "bin"))
    assert done.returncode == 0
    assert "nsys left no report" in done.stderr


def recorded(folder: Path, pid: int, rank: int = 3) -> None:
    """What the recorder leaves of one rank: steps of 10 ms, the first two of them warm-up."""
    ranks = folder / "ranks" / f"r{rank:05d}"
    ranks.mkdir(parents=True)
    header = {"schema": 1, "rank": rank, "world_size": 8, "pid": pid, "environment": {"cpu_count": 4}}
    (ranks / "rank.json").write_text(json.dumps(header))
    lines = [
        {"n": n, "t": EPOCH + n * 10 * MS, "wall": 10 * MS, "phase": "warmup" if n < 2 else "baseline"}
        for n in range(6)
    ]
    (ranks / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "run.json").write_text(json.dumps({"schema": 1, "exit_code": 0}))


@pytest.mark.parametrize("marked", [True, False])
def test_both_halves_of_a_rank_are_joined_by_its_process(tmp_path: Path, marked: bool) -> None:
    recorded(tmp_path, pid=100)
    training(pid=100, marked=marked).write(tmp_path / "nsys.sqlite")
    (rank,) = load(tmp_path).ranks
    assert (rank.rank, rank.environment.cpu_count) == (3, 4)
    assert rank.events is not None and rank.times is not None
    assert {lane.rank for lane in rank.lanes} == {3}
    assert rank.marks.source == ("NVTX range step #" if marked else "llmprof")
    assert rank.marks.number.tolist() == ([0, 1, 2, 3, 4, 5] if marked else [2, 3, 4])


def test_a_rank_that_nsys_did_not_see_is_said(tmp_path: Path) -> None:
    recorded(tmp_path, pid=999)
    training(pid=100).write(tmp_path / "nsys.sqlite")
    timeline = load(tmp_path)
    assert timeline.ranks[0].events is None
    assert any("recorded nothing of rank 3" in text for text in timeline.warnings)
