"""Host telemetry counts this process with its children, from /proc alone."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmprof.collectors.live import host as module
from llmprof.collectors.live.host import HostTelemetry, ProcessTree
from tests.collectors.live.fake_session import FakeSession

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no /proc")

BUSY = "import time; end = time.time() + 30; print(1, flush=True)\nwhile time.time() < end: pass"


@pytest.fixture
def busy_child():
    child = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE)
    child.stdout.readline()
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_a_busy_child_counts_as_cpu_of_this_rank(busy_child):
    tree = ProcessTree(os.getpid())
    before = sum(os.times()[:2])
    time.sleep(0.4)
    own = sum(os.times()[:2]) - before
    sample = tree.sample()
    assert sample["cpu_percent"] > 100 * own / 0.4
    assert sample["processes"] >= 2


def test_memory_holds_the_children(busy_child):
    alone = ProcessTree(busy_child.pid).sample()["rss_bytes"]
    assert ProcessTree(os.getpid()).sample()["rss_bytes"] > alone > 1 << 20


def test_a_process_that_has_ended_has_no_processes():
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert ProcessTree(child.pid).sample()["processes"] == 0


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []


def test_lines_of_a_rank_land_in_the_file_of_its_node(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "INTERVAL_S", 0.01)
    for rank in (0, 1):
        session = FakeSession(tmp_path, rank=rank, local_rank=rank, world_size=2)
        collector = HostTelemetry()
        collector.start(session)
        deadline = time.monotonic() + 5
        path = session.node_dir / "host.csv"
        while time.monotonic() < deadline and str(rank) not in {row["rank"] for row in rows(path)}:
            time.sleep(0.01)
        collector.stop()
    assert {row["rank"] for row in rows(path)} == {"0", "1"}
    assert all(int(row["rss_bytes"]) > 0 and int(row["threads"]) > 0 for row in rows(path))


def test_without_proc_the_collector_is_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PROC", tmp_path)
    session = FakeSession(tmp_path)
    HostTelemetry().start(session)
    assert session.statuses["host"] == ("absent", "no host telemetry: this system has no /proc")
