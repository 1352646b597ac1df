"""Is the end of a process seen from outside, and what its parent has not asked for yet?"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from llmprof.collectors.telemetry.endings import watch_ending
from llmprof.timeline import rundir

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="no pidfd on this system")


def end_of(folder: Path) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while not (folder / rundir.END).exists():
        assert time.monotonic() < deadline, "nothing was written"
        time.sleep(0.01)
    return rundir.read_json(folder / rundir.END)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGSEGV"])
def test_the_signal_that_ended_a_process(tmp_path: Path, name: str) -> None:
    process = subprocess.Popen(["sleep", "60"])
    watch_ending(process.pid, tmp_path)
    before = time.time_ns()
    process.send_signal(getattr(signal, name))
    end = end_of(tmp_path)  # asked for by nobody: the process is a zombie
    assert process.wait() == -getattr(signal, name)
    assert (end["signal"], end["exit_code"]) == (name, None)
    assert before <= end["t"] <= time.time_ns()


def test_the_exit_code(tmp_path: Path) -> None:
    process = subprocess.Popen(["sh", "-c", "read line; exit 3"], stdin=subprocess.PIPE)
    watch_ending(process.pid, tmp_path)
    assert process.stdin is not None
    process.stdin.close()
    end = end_of(tmp_path)
    assert (process.wait(), end["signal"], end["exit_code"]) == (3, None, 3)


def test_a_process_that_is_gone_is_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    watch_ending(process.pid, tmp_path)
    assert list(tmp_path.iterdir()) == []
