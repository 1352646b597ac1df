"""What is this host? CPUs, NUMA nodes, memory, container and network cards, from /proc and /sys.

The paths are the kernel's documented interfaces: sysfs-devices-system-cpu, sysfs-class-infiniband and
sysfs-class-net (Documentation/ABI), and proc(5).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmprof.collectors.telemetry.nvml import answer
from llmprof.timeline.cpus import cpu_set

__all__ = ["machine", "numa_node_of"]

CONTAINER_MARKS = {
    "KUBERNETES_SERVICE_HOST": "kubernetes",
    "APPTAINER_CONTAINER": "apptainer",
    "SINGULARITY_CONTAINER": "apptainer",
}
"""Variables that these set in every container."""
CONTAINER_FILES = {".dockerenv": "docker", "run/.containerenv": "podman"}


def machine(root: Path = Path("/"), variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Fields of timeline.topology.Node about the host itself; None where the system does not tell."""
    cpus = answer(lambda: _cpus(root)) or {}
    shm = answer(lambda: os.statvfs(root / "dev/shm"))
    return {
        **cpus,
        "numa_nodes": answer(lambda: _numa_nodes(root)) or {},
        "memory_bytes": answer(lambda: _memory(root)),
        "shm_bytes": None if shm is None else shm.f_blocks * shm.f_frsize,
        "shm_free_bytes": None if shm is None else shm.f_bavail * shm.f_frsize,
        "container": _container(root, os.environ if variables is None else variables),
        "network": answer(lambda: _network(root)) or [],
    }


def numa_node_of(device: Path) -> int | None:
    """The NUMA node of a device in /sys; None where the firmware tells none (-1), as on most single-socket machines."""
    node = _number(device / "numa_node")
    return node if node is not None and node >= 0 else None


def _cpus(root: Path) -> dict[str, Any]:
    online = cpu_set((root / "sys/devices/system/cpu/online").read_text("ascii"))
    cores, sockets = set(), set()
    for cpu in online:
        place = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        socket, core = _number(place / "physical_package_id"), _number(place / "core_id")
        sockets.add(socket)
        cores.add((socket, core))
    known = None not in sockets and all(core is not None for _, core in cores)
    return {
        "cpu_model": answer(lambda: _cpu_model(root)),
        "cpu_count": len(online),
        "cpu_cores": len(cores) if known else None,
        "cpu_sockets": len(sockets) if known else None,
    }


def _cpu_model(root: Path) -> str | None:
    for line in (root / "proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip() or None
    return None


def _numa_nodes(root: Path) -> dict[str, str]:
    """CPUs by node, as the kernel lists them; a node of memory alone (a CXL card, a GPU's memory) has none."""
    found = {}
    for folder in (root / "sys/devices/system/node").iterdir():
        number = folder.name.removeprefix("node")
        if number.isdigit():
            found[number] = (folder / "cpulist").read_text("ascii").strip()
    return dict(sorted(found.items(), key=lambda entry: int(entry[0])))


def _memory(root: Path) -> int | None:
    for line in (root / "proc/meminfo").read_text("ascii").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _container(root: Path, variables: Mapping[str, str]) -> str:
    for variable, name in CONTAINER_MARKS.items():
        if variables.get(variable):
            return name
    return next((name for file, name in CONTAINER_FILES.items() if (root / file).exists()), "none")


def _network(root: Path) -> list[dict[str, Any]]:
    """InfiniBand and RoCE cards, then Ethernet interfaces that are devices of their own (no bridges, no loopback)."""
    cards = _listed(root / "sys/class/infiniband")
    interfaces = [folder for folder in _listed(root / "sys/class/net") if (folder / "device").exists()]
    return [
        *(_infiniband(card, port) for card in cards for port in _listed(card / "ports")),
        *(_ethernet(interface) for interface in interfaces),
    ]


def _infiniband(card: Path, port: Path) -> dict[str, Any]:
    return {
        **_card(card / "device", f"{card.name}:{port.name}", "infiniband"),
        "link_layer": _text(port / "link_layer"),
        "megabits_per_s": answer(lambda: _rate(port)),
        "state": (_text(port / "state") or "").partition(":")[2].strip().lower() or None,
    }


def _ethernet(interface: Path) -> dict[str, Any]:
    speed = _number(interface / "speed")  # -1 where the link is down; virtual cards refuse
    return {
        **_card(interface / "device", interface.name, "ethernet"),
        "megabits_per_s": speed if speed is not None and speed > 0 else None,
        "state": _text(interface / "operstate"),
    }


def _card(device: Path, name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "kind": kind, "pci_bus_id": device.resolve().name, "numa_node": numa_node_of(device)}


def _rate(port: Path) -> int:
    """From `400 Gb/sec (4X NDR)`."""
    return round(float((port / "rate").read_text("ascii").split()[0]) * 1000)


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _number(path: Path) -> int | None:
    return answer(lambda: int(path.read_text("ascii")))


def _text(path: Path) -> str | None:
    return answer(lambda: path.read_text("ascii").strip())
