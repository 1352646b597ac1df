"""Recording on a real device: bursts on demand, one that the run's end cuts, a run that becomes slow, HF's length."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from llmprof.collectors.files.kineto import read_kineto
from llmprof.timeline import rundir
from llmprof.timeline.events import Kind
from tests.collectors.live.conftest import read
from tests.collectors.live.test_regression_run import check_slowing_run

pytestmark = [pytest.mark.gpu, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

TRAIN = """
import os, sys, time, torch
from torch.utils.data import DataLoader

layers = [torch.nn.TransformerEncoderLayer(256, 4, 512, batch_first=True, dropout=0.0) for _ in range(8)]
model = torch.nn.Sequential(*layers).cuda()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
ends_in, enough = int(sys.argv[1]), sys.argv[2]
deadline = time.monotonic() + 100
for number, rows in enumerate(DataLoader(torch.randn(200_000, 64, 256), batch_size=4)):
    loss = model(rows.cuda()).pow(2).mean()
    if number == ends_in:
        sys.exit(5)  # in the middle of a step, between its forward and its backward
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if os.path.exists(enough) or time.monotonic() > deadline:
        break
"""


def start(folder: Path, *options: str, ends_in: int = -1) -> subprocess.Popen[str]:
    (folder / "train.py").write_text(TRAIN)
    command = [sys.executable, "-m", "llmprof", "run", "--no-report", "-o", str(folder / "run"), *options]
    script = [sys.executable, str(folder / "train.py"), str(ends_in), str(folder / "enough")]
    return subprocess.Popen([*command, "--", *script], cwd=folder, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


def rank(run: Path) -> dict[str, Any]:
    try:
        return rundir.read_json(run / "ranks" / "r00000" / rundir.RANK)
    except Exception:
        return {}


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def kernels(run: Path, name: str) -> int:
    return int(read_kineto(run / "ranks" / "r00000" / name).events.rows(Kind.KERNEL).size)


def test_a_second_burst_on_demand_has_kernels_and_leaves_the_run_as_fast(tmp_path: Path) -> None:
    run = tmp_path / "run"
    job = start(tmp_path)
    try:
        wait_for(lambda: len(rank(run).get("bursts", [])) == 1, "the run's own burst")
        command = [sys.executable, "-m", "llmprof", "trigger", str(run)]
        asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert asked.returncode == 0, asked.stderr
        wait_for(lambda: len(rank(run).get("bursts", [])) == 2, "the burst that was asked for")
        time.sleep(5)
    finally:
        (tmp_path / "enough").touch()
        _, errors = job.communicate(timeout=60)
    assert job.returncode == 0, errors[-2000:]
    own, asked_for = rank(run)["bursts"]
    assert asked_for["cause"] == "trigger"
    first, second = kernels(run, own["file"]), kernels(run, asked_for["file"])
    assert first > 400
    assert second == pytest.approx(first * len(asked_for["steps"]) / len(own["steps"]), rel=0.2)
    steps = read(run).steps
    before = median(step["wall"] for step in steps if step["phase"] == "baseline")
    after = median(step["wall"] for step in steps if step["n"] > max(asked_for["steps"]) + 20)
    assert after < 1.15 * before


def test_a_burst_that_the_end_of_the_run_cuts_keeps_the_exit_code_and_what_was_traced(tmp_path: Path) -> None:
    job = start(tmp_path, "--burst-at", "30", "--trace-steps", "6", ends_in=33)
    _, errors = job.communicate(timeout=120)
    assert job.returncode == 5, errors[-2000:]
    found = rank(tmp_path / "run")
    assert found["ended"] == "exit"
    events = read(tmp_path / "run").events
    assert [event["kind"] for event in events if event["kind"].startswith("burst_")] == ["burst_cut_short"]
    (burst,) = found["bursts"]
    assert burst["complete"] is False
    assert kernels(tmp_path / "run", burst["file"]) > 200
    analyzed = [sys.executable, "-m", "llmprof", "analyze", str(tmp_path / "run"), "--json"]
    done = subprocess.run(analyzed, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["capture"]["steps_traced"] >= 1


def test_a_loader_that_becomes_slow_has_the_run_trace_itself(tmp_path: Path) -> None:
    check_slowing_run(tmp_path, "cuda")
    assert kernels(tmp_path, rank(tmp_path)["bursts"][1]["file"]) > 10


def test_the_burst_fits_into_a_short_run_of_the_huggingface_trainer(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra `frameworks`")
    pytest.importorskip("accelerate", reason="needs the extra `frameworks`")
    script = (ROOT / "tests/collectors/live/frameworks/scripts/huggingface_trainer.py").read_text()
    (tmp_path / "train.py").write_text(script.replace("use_cpu=True,", ""))
    command = [sys.executable, "-m", "llmprof", "run", "--no-report", "-o", str(tmp_path / "run"), "--"]
    one_device = {**ENVIRONMENT, "CUDA_VISIBLE_DEVICES": "0", "HF_HUB_OFFLINE": "1"}
    training = [*command, sys.executable, str(tmp_path / "train.py")]
    done = subprocess.run(training, cwd=tmp_path, env=one_device, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = [event["reason"] for event in read(tmp_path / "run").events if event["kind"] == "burst_shortened"]
    assert len(told) == 1
    assert "expected to have 22 steps" in told[0]  # both epochs: the loader knows of one
    assert kernels(tmp_path / "run", rank(tmp_path / "run")["bursts"][0]["file"]) > 10
