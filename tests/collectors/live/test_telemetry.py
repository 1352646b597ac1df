"""The sampler is started once a node, where no wrapper is, and is gone after the recording."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from llmprof.collectors.live import telemetry as module
from llmprof.collectors.live.telemetry import TelemetryProcess
from llmprof.timeline import rundir
from tests.collectors.live.fake_session import FakeSession

HOST = socket.gethostname()


class Session(FakeSession):
    """A session on this very host, whose rank.json is written."""

    def __init__(self, run: Path, **place: int) -> None:
        super().__init__(run, **place)
        self.host = HOST
        rundir.write_json_atomic(self.rank_dir / rundir.RANK, {"host": HOST, "pid": os.getpid(), "ended": "running"})


def wrapped_on(run: Path, *hosts: str) -> None:
    for host in hosts:
        rundir.write_json_atomic(rundir.claim_wrapper_file(run, host), {"host": host, "pid": 1})


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The run directories that samplers were to be started for."""
    found: list[Path] = []
    monkeypatch.setattr(module, "_start", found.append)
    return found


@pytest.mark.parametrize("hosts", [["a login node"], []])
def test_local_rank_0_starts_it_where_there_is_no_wrapper(
    tmp_path: Path, commands: list[Path], hosts: list[str]
) -> None:
    wrapped_on(tmp_path, *hosts)
    rundir.write_json_atomic(tmp_path / rundir.RUN, {"host": HOST, "pid": os.getpid()})
    collector = TelemetryProcess()
    collector.start(Session(tmp_path, rank=8, local_rank=0, world_size=16))
    collector.stop()
    assert commands == [tmp_path]


def test_the_wrapper_of_this_node_does_it_itself(tmp_path: Path, commands: list[Path]) -> None:
    wrapped_on(tmp_path, "another node", HOST)
    session = Session(tmp_path)
    TelemetryProcess().start(session)
    assert (commands, session.statuses["telemetry"][0]) == ([], "absent")


def test_other_ranks_of_the_node_leave_it_to_the_first(tmp_path: Path, commands: list[Path]) -> None:
    session = Session(tmp_path, rank=1, local_rank=1, world_size=2)
    TelemetryProcess().start(session)
    assert (commands, session.statuses["telemetry"][0]) == ([], "absent")


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no /proc")
def test_a_real_one_samples_this_process_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "types.py").write_text("raise SystemExit('a file of the training script was imported')")
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    run = tmp_path / "run"
    session = Session(run)
    collector = TelemetryProcess()
    collector.start(session)
    node = rundir.node_dir(run, HOST)
    deadline = time.monotonic() + 30
    while not (node / "telemetry.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.2)
    process = collector._process
    assert process is not None
    collector.stop()
    assert process.returncode == 0
    lines = (node / "host.csv").read_text().splitlines()
    assert lines[0].startswith("t_ns,rank,")
    assert [line.split(",")[1] for line in lines[1:]] == ["0"]
    assert capfd.readouterr() == ("", "")
