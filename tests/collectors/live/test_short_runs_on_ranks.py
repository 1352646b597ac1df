"""A short run of two ranks is traced, and both trace the same steps: real processes that reduce their gradients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[3]
SCRIPT = Path(__file__).with_name("two_short_ranks.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def test_60_steps_of_40_ms_on_two_ranks_are_traced_on_both(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "llmprof",
            "run",
            "--no-report",
            "-o",
            str(tmp_path / "run"),
            "--",
            *TORCHRUN,
            str(SCRIPT),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    traced = []
    for rank in ("r00000", "r00001"):
        told = json.loads((tmp_path / "run" / "ranks" / rank / "rank.json").read_text())
        traced.append(told["trace"]["steps"])
        assert told["trace"]["complete"]
    assert traced[0] == traced[1]
    assert len(traced[0]) == 4
