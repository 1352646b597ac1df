"""One sampler a node: it begins with the first rank, ends by itself, and what fails costs its own file."""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from llmprof.collectors.telemetry import sampler
from llmprof.collectors.telemetry.host import HostTelemetry
from llmprof.timeline import rundir

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no /proc")
ROOT = Path(__file__).resolve().parents[3]
HOST = socket.gethostname()


class Device:
    """A kind of telemetry that writes a line a sample."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "device.csv"

    def sample(self, ranks: Iterable[tuple[int, int]]) -> None:
        with self.file.open("a") as file:
            file.write("".join(f"{rank}\n" for rank, _ in ranks))

    def close(self) -> None:
        pass


class Failing(Device):
    def sample(self, ranks: Iterable[tuple[int, int]]) -> None:
        raise OSError("the driver is gone")


def train(run: Path, pid: int, ended: str = "running") -> None:
    folder = run / "ranks" / "r00000"
    folder.mkdir(parents=True, exist_ok=True)
    rundir.write_json_atomic(folder / rundir.RANK, {"host": HOST, "pid": pid, "ended": ended})


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run directory that a quick sampler with a pretended device looks at."""
    monkeypatch.setattr(sampler, "TICK_S", 0.01)
    monkeypatch.setattr(sampler, "PARTS", {"device": Device, "host": HostTelemetry})
    stopping = threading.Event()
    thread = threading.Thread(target=sampler.sample_node, args=(tmp_path, stopping))
    thread.start()
    yield tmp_path
    stopping.set()
    thread.join(20)
    assert not thread.is_alive()


def files(run: Path) -> list[str]:
    folder = rundir.node_dir(run, HOST)
    return sorted(os.listdir(folder)) if folder.is_dir() else []


TOPOLOGY = {"topology": {"status": "written", "reason": None}}


def states(run: Path) -> dict[str, dict[str, str | None]]:
    return rundir.read_json(rundir.node_dir(run, HOST) / "telemetry.json")


def rows(run: Path, name: str) -> list[str]:
    path = rundir.node_dir(run, HOST) / name
    return path.read_text().splitlines() if path.exists() else []


def test_nothing_is_written_before_a_rank_trains(run: Path) -> None:
    time.sleep(0.2)
    assert files(run) == []
    train(run, os.getpid())
    wait_for(lambda: len(rows(run, "host.csv")) >= 3)
    assert files(run) == ["device.csv", "host.csv", "telemetry.json", "topology.json"]
    assert set(rows(run, "device.csv")) == {"0"}
    assert states(run) == {name: {"status": "armed", "reason": None} for name in ("device", "host")} | TOPOLOGY


def test_nothing_is_sampled_after_the_last_rank_has_ended(run: Path) -> None:
    train(run, os.getpid())
    wait_for(lambda: rows(run, "device.csv"))
    train(run, os.getpid(), ended="exit")
    time.sleep(0.3)
    before = len(rows(run, "device.csv"))
    time.sleep(0.2)
    assert len(rows(run, "device.csv")) == before


@pytest.mark.parametrize(("parts", "state"), [
    ({"device": Failing}, {"status": "disarmed", "reason": "OSError: the driver is gone"}),
    ({"device": lambda folder: 1 / 0},
     {"status": "absent", "reason": "no device telemetry: ZeroDivisionError: division by zero"}),
])  # fmt: skip
def test_what_fails_is_noted_and_the_other_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: dict[str, type], state: dict[str, str]
) -> None:
    monkeypatch.setattr(sampler, "PARTS", {**parts, "host": HostTelemetry})
    monkeypatch.setattr(sampler, "TICK_S", 0.01)
    train(tmp_path, os.getpid())
    stopping = threading.Event()
    threading.Timer(0.5, stopping.set).start()
    sampler.sample_node(tmp_path, stopping)
    assert states(tmp_path) == {"device": state, "host": {"status": "armed", "reason": None}} | TOPOLOGY
    assert len(rows(tmp_path, "host.csv")) > 2


def test_a_topology_that_cannot_be_read_is_noted_and_the_sampling_goes_on(run, monkeypatch):
    monkeypatch.setattr(sampler, "write_topology", lambda folder: 1 / 0)
    train(run, os.getpid())
    wait_for(lambda: rows(run, "host.csv"))
    assert states(run)["topology"] == {"status": "absent", "reason": "no topology: ZeroDivisionError: division by zero"}


# The process of its own


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], subprocess.Popen[bytes]]]]:
    """Starts a process that pretends to train, and the sampler for it."""
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
        training = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        command = [sys.executable, "-m", "llmprof.collectors.telemetry", str(tmp_path), str(training.pid)]
        processes.extend((training, subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)))
        train(tmp_path, training.pid)
        wait_for(lambda: states_written(tmp_path))
        return training, processes[-1]

    yield start  # type: ignore[misc]
    for process in processes:
        process.kill()
        process.communicate()


def states_written(run: Path) -> bool:
    return (rundir.node_dir(run, HOST) / "telemetry.json").exists()


def test_the_process_ends_soon_after_the_one_that_trains(started, tmp_path: Path) -> None:
    training, process = started()
    process.send_signal(signal.SIGINT)  # Ctrl-C goes to all processes of the terminal
    time.sleep(0.3)
    assert process.poll() is None
    training.kill()
    assert process.wait(10) == 0
    assert process.stderr.read() == b""


def test_the_process_ends_when_the_recording_has_ended(started, tmp_path: Path) -> None:
    training, process = started()
    train(tmp_path, training.pid, ended="exit")
    assert process.wait(10) == 0


def test_a_terminated_process_writes_a_last_line(started, tmp_path: Path) -> None:
    _, process = started()
    time.sleep(0.3)
    process.terminate()
    assert process.wait(10) == 0
    path = rundir.node_dir(tmp_path, HOST) / "host.csv"
    lines = list(csv.DictReader(path.read_text().splitlines()))
    assert [line["rank"] for line in lines] == ["0"]
    assert int(lines[0]["processes"]) == 1


def test_the_process_loads_neither_torch_nor_numpy() -> None:
    code = "import llmprof.collectors.telemetry.__main__, sys; print({'torch', 'numpy', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
