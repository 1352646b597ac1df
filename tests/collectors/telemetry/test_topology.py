"""topology.json: links, limits and places of GPUs as the driver tells them; what it refuses is null with a reason."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from llmprof.collectors.telemetry.topology import write_topology

pytest.importorskip("pynvml")
from tests.collectors.telemetry.fake_nvml import Node, library


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A /sys of eight CPUs in two NUMA nodes, with a GPU in each."""
    root = tmp_path / "root"
    files = {
        "sys/devices/system/cpu/online": "0-7\n",
        "sys/devices/system/node/node0/cpulist": "0-3\n",
        "sys/devices/system/node/node1/cpulist": "4-7\n",
        "sys/bus/pci/devices/0000:19:00.0/numa_node": "0\n",
        "sys/bus/pci/devices/0000:1a:00.0/numa_node": "1\n",
        "proc/meminfo": "MemTotal:       1048576 kB\n",
    }
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


@pytest.fixture
def topology(tmp_path: Path, machine: Path, monkeypatch: pytest.MonkeyPatch):
    def of(node: Node) -> dict[str, Any]:
        monkeypatch.setitem(sys.modules, "pynvml", library(node))
        write_topology(tmp_path, machine)
        found: dict[str, Any] = json.loads((tmp_path / "topology.json").read_text())
        return found

    return of


def test_limits_and_place_of_every_gpu(topology):
    found = topology(Node(2))
    assert found["gpus"][1] == {
        "index": 1,
        "name": "NVIDIA H200",
        "uuid": "GPU-00000001",
        "pci_bus_id": "00000000:1a:00.0",
        "memory_bytes": 141 << 30,
        "numa_node": 1,
        "cpu_affinity": "4-7",
        "pcie_gen_max": 5,
        "pcie_width_max": 16,
        "sm_mhz_max": 1980,
        "mem_mhz_max": 3201,
        "power_limit_w": 700.0,
        "power_default_w": 700.0,
        "nvlinks": 17,
        "mig": False,
        "ecc": True,
        "persistence": True,
    }
    assert found["unread"] == {}
    assert (found["driver_version"], found["driver_cuda_version"]) == ("570.86.15", "12.8")


def test_gpus_behind_switches_reach_each_other_over_all_active_links(topology):
    found = topology(Node(3, links="switch"))
    assert [(pair["a"], pair["b"], pair["nvlinks"], pair["nvlink"]) for pair in found["pairs"]] == [
        (0, 1, 17, True),
        (0, 2, 17, True),
        (1, 2, 17, True),
    ]
    assert [pair["ancestor"] for pair in found["pairs"]] == ["host-bridge", "system", "host-bridge"]


def test_direct_links_count_for_the_pair_that_they_join(topology):
    found = topology(Node(4, links="direct"))
    between = {(pair["a"], pair["b"]): pair["nvlinks"] for pair in found["pairs"]}
    assert between[0, 1] == 9
    assert between[0, 2] == 0  # the other corner of the ring
    assert between[0, 3] == 8  # one of the nine is down


def test_without_nvlink_the_pairs_have_their_pcie_path_alone(topology):
    found = topology(Node(2, links=""))
    assert found["pairs"] == [{"a": 0, "b": 1, "nvlinks": None, "nvlink": False, "ancestor": "host-bridge"}]
    assert found["gpus"][0]["nvlinks"] is None
    assert "nvlinks" in found["unread"]


@pytest.mark.parametrize(
    ("refused", "field"),
    [
        ("nvmlDeviceGetMigMode", "mig"),
        ("nvmlDeviceGetMaxPcieLinkGeneration", "pcie_gen_max"),
        ("nvmlDeviceGetEnforcedPowerLimit", "power_limit_w"),
        ("nvmlDeviceGetCpuAffinity", "cpu_affinity"),
    ],
)
def test_a_refused_question_costs_its_own_field_and_says_why(topology, refused, field):
    found = topology(Node(2, refused=frozenset({refused})))
    assert [gpu[field] for gpu in found["gpus"]] == [None, None]
    assert found["unread"] == {field: "NVMLError_NotSupported: Not Supported"}


def test_links_whose_end_is_not_told_leave_the_pair_to_the_driver(topology):
    refused = frozenset({"nvmlDeviceGetNvLinkRemotePciInfo", "nvmlDeviceGetNvLinkRemoteDeviceType"})
    found = topology(Node(2, links="direct", refused=refused))
    assert (found["pairs"][0]["nvlinks"], found["pairs"][0]["nvlink"]) == (None, True)
    assert found["gpus"][0]["nvlinks"] == 17


def test_without_a_driver_the_host_is_described_all_the_same(topology):
    found = topology(Node(0, refused=frozenset({"nvmlInit"})))
    assert found["gpus"] == found["pairs"] == []
    assert "NotSupported" in found["unread"]["gpus"]
    assert found["numa_nodes"] == {"0": "0-3", "1": "4-7"}
    assert found["memory_bytes"] == 1 << 30


def test_this_very_host(tmp_path):
    write_topology(tmp_path)
    found = json.loads((tmp_path / "topology.json").read_text())
    assert found["cpu_count"] >= 1
    assert found["memory_bytes"] > 1 << 20
