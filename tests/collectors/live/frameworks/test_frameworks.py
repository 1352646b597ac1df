"""Unedited scripts of every framework under `llmprof run`: their own number of updates is the number of steps.

A script prints, as its last line, how many updates its framework has counted. Frameworks come with the extra
`frameworks`; DeepSpeed has to be installed by hand (DS_BUILD_OPS=0 pip install deepspeed).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collectors.live.conftest import Recorded, read

pytest.importorskip("torch")

SCRIPTS = Path(__file__).parent / "scripts"
ROOT = Path(__file__).resolve().parents[4]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def run(
    tmp_path: Path, script: str, *arguments: str, launcher: tuple[str, ...] = (sys.executable,), trace_steps: int = 0
) -> int:
    """Record the script, in tmp_path; returns the number of updates that it has counted."""
    options = ["--no-report", "--trace-steps", str(trace_steps), "-o", str(tmp_path / "run")]
    command = [sys.executable, "-m", "llmprof", "run", *options]
    offline = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--", *launcher, str(SCRIPTS / script), *arguments],
        cwd=tmp_path,
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout.split()[-1])


def with_stall(recorded: Recorded, name: str) -> list[int]:
    """The steps in which there was one; it is never longer than its step."""
    parts = ("data_wait", "forward", "backward", "optimizer", "checkpoint", "evaluation")
    assert all(sum(step.get(part, 0) for part in parts) <= step["wall"] for step in recorded.steps)
    return [step["n"] for step in recorded.steps if name in step]


def status(recorded: Recorded, hook: str) -> str:
    state: str = recorded.rank["collectors"][hook]["status"]
    return state


def test_accelerate(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="needs the extra `frameworks`")
    updates = run(tmp_path, "accelerate_loop.py")
    recorded = read(tmp_path / "run")
    assert updates == 21
    assert [step["micro"] for step in recorded.steps] == [2] * 20 + [1]
    assert (with_stall(recorded, "evaluation"), with_stall(recorded, "checkpoint")) == ([10], [10])
    assert status(recorded, "accelerate") == "armed"


def test_huggingface_trainer(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra `frameworks`")
    pytest.importorskip("accelerate", reason="needs the extra `frameworks`")
    updates = run(tmp_path, "huggingface_trainer.py", trace_steps=4)
    recorded = read(tmp_path / "run")
    assert updates == 22
    assert [step["micro"] for step in recorded.steps] == ([2] * 10 + [1]) * 2  # 21 batches an epoch
    assert (with_stall(recorded, "evaluation"), with_stall(recorded, "checkpoint")) == ([10, 20], [10, 20])
    assert status(recorded, "huggingface") == "armed"
    (shortened,) = [event["reason"] for event in recorded.events if event["kind"] == "burst_shortened"]
    assert "expected to have 22 steps" in shortened  # the Trainer knows; its loader knows of one epoch only


@pytest.mark.parametrize("package", ["lightning", "pytorch_lightning"])
def test_lightning_trainer(tmp_path: Path, package: str) -> None:
    pytest.importorskip(package, reason="needs the extra `frameworks`")
    updates = run(tmp_path, "lightning_trainer.py", package)
    recorded = read(tmp_path / "run")
    assert updates == 42
    accumulated, by_hand = ([2] * 10 + [1]) * 2, [2] * 20
    assert [step["micro"] for step in recorded.steps] == accumulated + by_hand
    # Every ten batches, that is after five updates, and again in the second epoch; the one before training is in none.
    assert with_stall(recorded, "evaluation") == [5, 10, 16, 21]
    assert with_stall(recorded, "checkpoint") == [5, 10, 16, 21]
    assert status(recorded, "lightning") == "armed"


@pytest.mark.slow  # its first start builds an extension
@pytest.mark.parametrize(("stage", "dtype"), [("1", "bf16"), ("3", "bf16")])
def test_deepspeed(tmp_path: Path, stage: str, dtype: str) -> None:
    pytest.importorskip("deepspeed", reason="DS_BUILD_OPS=0 pip install deepspeed")
    updates = run(tmp_path, "deepspeed_zero.py", stage, dtype)
    recorded = read(tmp_path / "run")
    assert updates == 20
    assert [step["micro"] for step in recorded.steps] == [2] * 20
    assert all("data_wait" in step for step in recorded.steps)
    assert with_stall(recorded, "checkpoint") == [9]  # a step ends where the next batch is fetched
    assert status(recorded, "deepspeed") == "armed"


def test_fsdp2_on_two_ranks(tmp_path: Path) -> None:
    pytest.importorskip("torch.distributed.fsdp", reason="needs torch with distributed training")
    updates = run(tmp_path, "fsdp2.py", launcher=TORCHRUN)
    assert updates == 20
    for rank in (0, 1):
        recorded = read(tmp_path / "run", rank)
        assert [step["micro"] for step in recorded.steps] == [2] * 20
        assert with_stall(recorded, "checkpoint") == [9]


def test_stateful_data_loader_with_workers(tmp_path: Path) -> None:
    pytest.importorskip("torchdata.stateful_dataloader", reason="needs the extra `frameworks`")
    updates = run(tmp_path, "stateful_loader.py")
    steps = read(tmp_path / "run").steps
    assert len(steps) == updates == 20
    assert all(step["data_wait"] > 0 for step in steps)
