"""The host as /proc and /sys describe it, from small trees of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmprof.collectors.telemetry.machine import machine, numa_node_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sockets of two cores with two threads each."""
    cpus = {cpu: (cpu // 2 % 2, cpu % 2) for cpu in range(8)}
    write(tmp_path, "sys/devices/system/cpu/online", "0-7\n")
    for cpu, (socket, core) in cpus.items():
        write(tmp_path, f"sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id", f"{socket}\n")
        write(tmp_path, f"sys/devices/system/cpu/cpu{cpu}/topology/core_id", f"{core}\n")
    write(tmp_path, "proc/cpuinfo", "processor\t: 0\nmodel name\t: Fast CPU 9000\n")
    write(tmp_path, "proc/meminfo", "MemFree: 1 kB\nMemTotal:  2048 kB\n")
    write(tmp_path, "sys/devices/system/node/node10/cpulist", "4-7\n")
    write(tmp_path, "sys/devices/system/node/node2/cpulist", "0-3\n")
    return tmp_path


def write(root: Path, path: str, content: str = "") -> Path:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(content)
    return root / path


def test_cpus_and_memory(root):
    found = machine(root, {})
    assert (found["cpu_count"], found["cpu_cores"], found["cpu_sockets"]) == (8, 4, 2)
    assert (found["cpu_model"], found["memory_bytes"]) == ("Fast CPU 9000", 2 << 20)
    assert list(found["numa_nodes"].items()) == [("2", "0-3"), ("10", "4-7")]


def test_an_empty_system_tells_nothing(tmp_path):
    found = machine(tmp_path, {})
    assert {name: value for name, value in found.items() if value not in (None, {}, [])} == {"container": "none"}


@pytest.mark.parametrize(
    ("variables", "file", "kind"),
    [
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, ".dockerenv", "kubernetes"),
        ({"APPTAINER_CONTAINER": "/x.sif"}, "nothing", "apptainer"),
        ({}, ".dockerenv", "docker"),
        ({}, "run/.containerenv", "podman"),
        ({}, "nothing", "none"),
    ],
)
def test_container(root, variables, file, kind):
    write(root, file)
    assert machine(root, variables)["container"] == kind


def test_network_cards_with_their_place_and_speed(root):
    device = write(root, "sys/devices/pci0000:40/0000:41:00.0/numa_node", "1\n").parent
    card = root / "sys/class/infiniband/mlx5_0"
    write(card, "ports/1/rate", "400 Gb/sec (4X NDR)\n")
    write(card, "ports/1/state", "4: ACTIVE\n")
    write(card, "ports/1/link_layer", "InfiniBand\n")
    (card / "device").symlink_to(device)
    ethernet = root / "sys/class/net/eth0"
    write(ethernet, "speed", "100000\n")
    write(ethernet, "operstate", "up\n")
    (ethernet / "device").symlink_to(device)
    write(root, "sys/class/net/lo/operstate", "unknown\n")
    first, second = machine(root, {})["network"]
    assert first == {
        "name": "mlx5_0:1",
        "kind": "infiniband",
        "link_layer": "InfiniBand",
        "pci_bus_id": "0000:41:00.0",
        "numa_node": 1,
        "megabits_per_s": 400_000,
        "state": "active",
    }
    assert (second["name"], second["kind"], second["megabits_per_s"], second["state"]) == (
        "eth0",
        "ethernet",
        100_000,
        "up",
    )


def test_a_link_that_is_down_has_no_speed(root):
    ethernet = root / "sys/class/net/eth1"
    write(ethernet, "device/numa_node", "-1\n")
    write(ethernet, "speed", "-1\n")
    (card,) = machine(root, {})["network"]
    assert (card["megabits_per_s"], card["numa_node"]) == (None, None)


@pytest.mark.parametrize(("content", "node"), [("1\n", 1), ("0\n", 0), ("-1\n", None), ("?", None)])
def test_numa_node_of_a_device(tmp_path, content, node):
    write(tmp_path, "numa_node", content)
    assert numa_node_of(tmp_path) == node
