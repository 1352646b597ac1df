"""What the process may use of its host: affinity, and the limits of control groups in both versions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmprof.collectors.live.configuration import host
from llmprof.collectors.live.configuration.probing import Probes
from llmprof.timeline.cpus import cpu_set


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """An empty /sys/fs/cgroup; the process is in /job/step of every hierarchy."""
    monkeypatch.setattr(host, "CGROUP", tmp_path)
    lines = "4:memory:/job/step\n2:cpu,cpuacct:/job/step\n0::/job/step\n"
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda self, *a, **k: lines if str(self) == "/proc/self/cgroup" else read(self, *a, **k)
    )

    def write(path: str, content: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    return write


def test_cores_are_those_of_the_affinity_mask(monkeypatch, groups):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    assert host.usable_cores() == 3


@pytest.mark.parametrize(
    ("path", "content"),
    [("job/cpu.max", "250000 100000\n"), ("job/step/cpu.max", "250000 100000\n"), ("unified/cpu.max", "25 10")],
)
def test_a_quota_of_version_2_anywhere_above_the_process_cuts_the_cores(monkeypatch, groups, path, content):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    groups(path, content)
    groups("cpu.max", "max 100000\n")
    assert host.cpu_quota() == 2.5
    assert host.usable_cores() == 2


def test_a_quota_of_version_1(groups):
    groups("cpu/job/cpu.cfs_quota_us", "300000")
    groups("cpu/job/cpu.cfs_period_us", "100000")
    groups("cpu/cpu.cfs_quota_us", "-1")
    groups("cpu/cpu.cfs_period_us", "100000")
    assert host.cpu_quota() == 3.0


def test_less_than_a_core_is_one(monkeypatch, groups):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    groups("job/cpu.max", "50000 100000")
    assert host.usable_cores() == 1


def test_the_smallest_memory_limit_counts(groups):
    groups("job/memory.max", "max")
    groups("memory.max", str(64 << 30))
    groups("memory/job/memory.limit_in_bytes", str(32 << 30))
    groups("memory/memory.limit_in_bytes", "9223372036854771712")
    assert host.memory_limit() == 32 << 30


def test_without_limits_nothing_is_known(groups):
    groups("memory/memory.limit_in_bytes", "9223372036854771712")
    assert (host.cpu_quota(), host.memory_limit()) == (None, None)


def test_numa_nodes_are_those_of_the_affinity_mask(tmp_path, monkeypatch):
    for node, cpus in (("node0", "0-3"), ("node1", "4-7"), ("node2", "\n")):
        (tmp_path / node).mkdir()
        (tmp_path / node / "cpulist").write_text(cpus)
    (tmp_path / "online").write_text("0-2")
    monkeypatch.setattr(host, "NODES", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 4})
    assert host.host_limits(Probes())["numa_nodes"] == [0, 1]


def test_this_process(monkeypatch):
    probes = Probes()
    found = host.host_limits(probes)
    assert cpu_set(found["cpu_affinity"]) == os.sched_getaffinity(0)
    assert 1 <= found["cpu_count"] <= len(os.sched_getaffinity(0))
