"""Host telemetry counts each rank with its children, from /proc alone."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmprof.collectors.telemetry import host as module
from llmprof.collectors.telemetry.host import HostTelemetry, ProcessTree, started
from llmprof.errors import NotFoundError

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


def test_the_sampler_is_no_part_of_the_rank_that_started_it():
    code = """
import os, sys
from llmprof.collectors.telemetry.host import ProcessTree
print(ProcessTree(os.getppid()).sample()["processes"], ProcessTree(os.getpid()).sample()["processes"])
"""
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    assert subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True).stdout == "1 1\n"


def test_a_process_is_told_from_a_later_one_of_its_id(busy_child):
    assert started(busy_child.pid) == started(busy_child.pid) >= started(os.getpid()) > 0
    busy_child.kill()
    deadline = time.monotonic() + 20
    while started(busy_child.pid) is not None:  # killed and not waited for: a zombie is gone too
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "host.csv").read_text().splitlines()))


def test_every_rank_that_lives_has_a_line_about_the_time_since_the_last_sample(tmp_path, busy_child):
    telemetry = HostTelemetry(tmp_path)
    ranks = [(0, os.getpid()), (3, busy_child.pid)]
    telemetry.sample(ranks)
    assert rows(tmp_path) == []
    time.sleep(0.2)
    telemetry.sample(ranks)
    assert [row["rank"] for row in rows(tmp_path)] == ["0", "3"]
    assert all(int(row["rss_bytes"]) > 0 and int(row["threads"]) > 0 for row in rows(tmp_path))
    assert float(rows(tmp_path)[1]["cpu_percent"]) > 0
    busy_child.kill()
    busy_child.wait()
    telemetry.sample(ranks)
    telemetry.close()
    assert [row["rank"] for row in rows(tmp_path)] == ["0", "3", "0"]


def test_without_proc_there_is_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PROC", tmp_path)
    with pytest.raises(NotFoundError, match="no /proc"):
        HostTelemetry(tmp_path)
    assert list(tmp_path.iterdir()) == []
