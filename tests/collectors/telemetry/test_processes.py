"""Others on a GPU: told apart from the run's own processes only where both are counted the same way."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from llmprof.collectors.telemetry.processes import family, others_on


def listed(*entries: tuple[int, int | None]) -> list[SimpleNamespace]:
    return [SimpleNamespace(pid=pid, usedGpuMemory=held) for pid, held in entries]


@pytest.mark.parametrize(
    ("processes", "ours_seen", "expected"),
    [
        (listed((10, 5)), True, (0, 0)),
        (listed((10, 5), (99, 7), (98, 1)), True, (2, 8)),
        (listed((10, 5), (99, None)), True, (1, None)),
        (listed((99, 7)), False, None),  # perhaps it is ours under the host's number
        (listed(), False, (0, 0)),
    ],
)
def test_others(processes, ours_seen, expected):
    assert others_on(processes, {10, 11}, ours_seen=ours_seen) == expected


def test_the_family_of_a_process_holds_its_children():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert {os.getpid(), child.pid} <= family([os.getpid()])
    finally:
        child.communicate(b"\n")
    assert family([]) == frozenset()
