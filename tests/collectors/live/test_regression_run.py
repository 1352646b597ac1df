"""A run that really becomes slow traces itself, the slow steps and not the fast ones, and says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from llmprof.timeline import rundir
from tests.collectors.live.conftest import read

ROOT = Path(__file__).resolve().parents[3]
SLOW_FROM = 150


def check_slowing_run(folder: Path, device: str) -> None:
    command = [sys.executable, "-m", "tests.collectors.live.slowing_run", str(folder), device]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    recorded = read(folder)
    own, later = recorded.rank["bursts"]
    assert (own["cause"], later["cause"]) == ("plan", "regression")
    assert max(own["steps"]) < SLOW_FROM < min(later["steps"])
    told = [event for event in recorded.events if "the step takes" in str(event)]
    assert len(told) == 1, recorded.events
    assert rundir.read_json(folder / "ranks" / "r00000" / later["file"])["traceEvents"]


def test_a_loader_that_becomes_slow(tmp_path: Path) -> None:
    check_slowing_run(tmp_path, "cpu")
