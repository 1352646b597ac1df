"""Does `llmprof trigger` have a running job traced, and does it say why not where it cannot?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmprof.timeline import rundir
from tests.cli.conftest import ROOT, Llmprof, assert_one_sentence

TRAIN = """
import os, sys, time, torch
from torch.utils.data import DataLoader

model = torch.nn.Linear(64, 64)
optimizer = torch.optim.AdamW(model.parameters())
deadline = time.monotonic() + 90
while not os.path.exists(sys.argv[1]) and time.monotonic() < deadline:
    for batch in DataLoader(torch.randn(4000, 64), batch_size=4):
        model(batch).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        time.sleep(0.002)
        if os.path.exists(sys.argv[1]):
            break
"""


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def bursts(run: Path) -> list[dict[str, object]]:
    try:
        return list(rundir.read_json(run / "ranks" / "r00000" / rundir.RANK).get("bursts", []))
    except Exception:
        return []


@pytest.mark.slow
def test_a_running_job_is_traced_once_more_and_the_report_reads_that(llmprof: Llmprof, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(TRAIN)
    run, enough = tmp_path / "run", tmp_path / "enough"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = ["--baseline-steps", "5", "--no-report", "-o", str(run)]
    command = [sys.executable, "-m", "llmprof", "run", *options, "--", sys.executable, "train.py", str(enough)]
    job = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(bursts(run)) == 1, "the run's own burst")
        asked = llmprof("trigger", run, "--steps", "2", "--stacks")
        assert (asked.returncode, asked.stdout.count("\n")) == (0, 1), asked.stderr
        assert asked.stdout.startswith("burst 1: steps ")
        assert "with input shapes and stacks" in asked.stdout
        wait_for(lambda: len(bursts(run)) == 2, "the burst that was asked for")
        again = llmprof("trigger", run)
        assert again.returncode == 0
        wait_for(lambda: len(bursts(run)) == 3, "the one after it")
        used_up = llmprof("trigger", run)
        assert used_up.returncode == 2
        assert_one_sentence(used_up.stderr)
        assert "10 steps that a run may trace are used up" in used_up.stderr
    finally:
        enough.touch()
        assert job.wait(60) == 0
    first, second, third = bursts(run)
    promised = json.loads((run / rundir.BURST).read_text())
    assert (first["cause"], second["cause"], promised["burst"]) == ("plan", "trigger", 2)
    assert (second["file"], len(second["steps"])) == ("trace.1.json", 2)
    assert len(third["steps"]) == 2  # of ten: four and one with shapes, two and one, and what is left
    found = json.loads(llmprof("analyze", run, "--json").stdout)
    assert found["capture"]["steps_traced"] == 2
    chosen = json.loads(llmprof("analyze", run, "--json", "--burst", "0").stdout)
    assert chosen["capture"]["steps_traced"] == 4
    unknown = llmprof("analyze", run, "--burst", "7")
    assert unknown.returncode == 2
    assert_one_sentence(unknown.stderr)


def a_run(path: Path, *, exit_code: int | None = None, ended: str | None = None) -> Path:
    rundir.create(path)
    rundir.write_json_atomic(path / rundir.RUN, {"schema": 1, "exit_code": exit_code})
    if ended is not None:
        rundir.write_json_atomic(rundir.claim_rank_dir(path, 0) / rundir.RANK, {"ended": ended})
    return path


@pytest.mark.parametrize(
    ("exit_code", "ended", "why"),
    [(0, "exit", "is over (exit code 0)"), (None, None, "has no rank 0 yet"), (None, "signal", "has ended (signal)")],
)
def test_where_nobody_can_answer_one_sentence_says_so(
    llmprof: Llmprof, tmp_path: Path, exit_code: int | None, ended: str | None, why: str
) -> None:
    done = llmprof("trigger", a_run(tmp_path / "run", exit_code=exit_code, ended=ended))
    assert done.returncode == 2
    assert_one_sentence(done.stderr)
    assert why in done.stderr
    assert not (tmp_path / "run" / rundir.TRIGGER).exists()


def test_a_folder_that_is_no_run_is_refused(llmprof: Llmprof, tmp_path: Path) -> None:
    done = llmprof("trigger", tmp_path)
    assert done.returncode == 2
    assert_one_sentence(done.stderr)


def test_a_rank_0_that_does_not_answer_is_named_and_the_request_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmprof.cli import trigger
    from llmprof.errors import InputError

    monkeypatch.setattr(trigger, "ANSWER_S", 0.3)
    run = a_run(tmp_path / "run", ended="running")
    with pytest.raises(InputError, match="did not answer"):
        trigger.trigger(run)
    assert not (run / rundir.TRIGGER).exists()
