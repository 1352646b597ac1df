"""Does the training script of the examples train, alone and on two ranks, and say how long a step takes?"""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--device", "cpu", "--layers", "1", "--width", "64", "--batch", "4", "--seq", "64", "--sample-ms", "0"]


def train(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command, *SMALL, "--print-every", "10"], cwd=ROOT, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def losses(output: str) -> list[float]:
    return [float(text) for text in re.findall(r"loss (\d+\.\d+)", output)]


@pytest.mark.parametrize("options", [(), ("--precision", "bf16", "--workers", "1")])
def test_the_loss_falls_and_the_mean_step_is_printed(options: tuple[str, ...]) -> None:
    pytest.importorskip("torch")
    output = train("examples/train_gpt.py", "--steps", "30", *options)
    assert losses(output)[-1] < losses(output)[0]
    assert re.search(r"mean step \d+\.\d+ ms over 25 steps", output)


def test_it_stops_after_the_seconds_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(sys, "argv", ["train_gpt.py", *SMALL, "--print-every", "10", "--seconds", "0"])
    threads = torch.get_num_threads()
    try:
        runpy.run_path(str(ROOT / "examples" / "train_gpt.py"), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    assert len(losses(capsys.readouterr().out)) == 1


@pytest.mark.slow
def test_two_ranks_train_together() -> None:
    pytest.importorskip("torch")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    output = train(*launcher, "examples/train_gpt.py", "--steps", "20", "--seconds", "60")
    assert len(losses(output)) == 2, "only the first rank prints"
    assert "over 15 steps" in output
