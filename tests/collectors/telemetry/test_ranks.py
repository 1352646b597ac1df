"""The ranks of a node are found by what they wrote, and gone when they said so or died."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmprof.collectors.telemetry.ranks import NodeRanks
from llmprof.timeline import rundir


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    made = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield made
    made.kill()
    made.communicate()


def write(run: Path, name: str, pid: int, host: str = "here", ended: str = "running") -> None:
    folder = run / "ranks" / name
    folder.mkdir(parents=True, exist_ok=True)
    rundir.write_json_atomic(folder / rundir.RANK, {"host": host, "pid": pid, "ended": ended})


def alive(ranks: NodeRanks, *, search: bool = True) -> list[int]:
    ranks.look(search=search)
    return [rank for rank, _ in ranks.alive()]


def test_ranks_of_this_host_alone(tmp_path: Path) -> None:
    write(tmp_path, "r00000", os.getpid())
    write(tmp_path, "r00001", os.getpid(), host="there")
    write(tmp_path, "r00002", os.getpid(), ended="exit")
    (tmp_path / "ranks" / "r00003").mkdir()  # its rank.json is not written yet
    ranks = NodeRanks(tmp_path, "here")
    assert alive(ranks) == [0]
    write(tmp_path, "r00003", os.getpid())
    assert alive(ranks, search=False) == [0]
    assert alive(ranks) == [0, 3]


def test_a_rank_that_says_it_has_ended_drops_out(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    write(tmp_path, "r00000", process.pid)
    ranks = NodeRanks(tmp_path, "here")
    assert (alive(ranks), ranks.has_ended(process.pid)) == ([0], False)
    write(tmp_path, "r00000", process.pid, ended="exception")
    assert (alive(ranks, search=False), ranks.has_ended(process.pid)) == ([], True)


def test_a_rank_that_dies_without_a_word_drops_out(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    write(tmp_path, "r00000", process.pid)
    ranks = NodeRanks(tmp_path, "here")
    assert alive(ranks) == [0]
    process.kill()
    process.wait()
    assert alive(ranks, search=False) == []


def test_before_the_run_has_begun_nobody_trains(tmp_path: Path) -> None:
    ranks = NodeRanks(tmp_path / "not there", "here")
    assert (alive(ranks), ranks.has_ended(os.getpid())) == ([], False)


def test_a_run_directory_that_is_removed_ends_its_ranks(tmp_path: Path) -> None:
    write(tmp_path, "r00000", os.getpid())
    ranks = NodeRanks(tmp_path, "here")
    assert alive(ranks) == [0]
    (tmp_path / "ranks" / "r00000" / rundir.RANK).unlink()
    assert alive(ranks, search=False) == []
