"""How much of its host may this process use? CPU affinity, NUMA nodes, and the limits of its control groups."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmprof.collectors.live.configuration.probing import Probes, attempt
from llmprof.timeline.cpus import cpu_list, cpu_set

__all__ = ["cpu_quota", "host_limits", "memory_limit", "usable_cores"]

CGROUP = Path("/sys/fs/cgroup")
NODES = Path("/sys/devices/system/node")
NO_LIMIT = 1 << 60
"""Version 1 writes a number near 2**63 where there is no memory limit."""


def host_limits(probes: Probes) -> dict[str, Any]:
    """Fields of Environment: cpu_count, cpu_affinity, numa_nodes, cpu_quota, memory_limit_bytes."""
    return {
        "cpu_count": usable_cores(),
        "cpu_affinity": probes.read("cpu_affinity", lambda: cpu_list(os.sched_getaffinity(0))),
        "numa_nodes": probes.read("numa_nodes", _numa_nodes) or [],
        "cpu_quota": cpu_quota(),
        "memory_limit_bytes": memory_limit(),
    }


def usable_cores() -> int | None:
    """Cores this process may use: its affinity mask, cut by the CPU quota of its control groups (v2, then v1)."""
    cores = attempt(lambda: len(os.sched_getaffinity(0))) or os.cpu_count()
    quota = cpu_quota()
    if cores is None or quota is None:
        return cores
    return min(max(int(quota), 1), cores)


def cpu_quota() -> float | None:
    """The smallest quota of the control groups above this process, in cores; None without one."""
    quotas = [_quota_v2(folder / "cpu.max") for folder in _folders("")]
    quotas += [_quota_v1(folder) for folder in _folders("cpu")]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit() -> int | None:
    """The smallest memory limit of the control groups above this process, in bytes; None without one."""
    limits = [_number(folder / "memory.max") for folder in _folders("")]
    limits += [_number(folder / "memory.limit_in_bytes") for folder in _folders("memory")]
    return min((limit for limit in limits if limit is not None and limit < NO_LIMIT), default=None)


def _folders(controller: str) -> Iterator[Path]:
    """The control group of this process and those above it; version 2 for an empty controller.

    In a container the path in /proc/self/cgroup may be that of the host: what does not exist answers nothing, and the
    root of the mount, which is the container's own group there, is always among them.
    """
    lines = (attempt(lambda: Path("/proc/self/cgroup").read_text("ascii")) or "").splitlines()
    for line in lines:
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if controller not in names.split(","):
            continue
        roots = [CGROUP / controller] if controller else [CGROUP, CGROUP / "unified"]
        for root in roots:
            folder = root / path.strip().lstrip("/")
            yield from (parent for parent in (folder, *folder.parents) if parent.is_relative_to(root))


def _quota_v2(path: Path) -> float | None:
    def read() -> float | None:
        quota, period = path.read_text("ascii").split()
        return None if quota == "max" else int(quota) / int(period)

    return attempt(read)


def _quota_v1(folder: Path) -> float | None:
    def read() -> float | None:
        quota = int((folder / "cpu.cfs_quota_us").read_text("ascii"))
        period = int((folder / "cpu.cfs_period_us").read_text("ascii"))
        return quota / period if quota > 0 else None

    return attempt(read)


def _number(path: Path) -> int | None:
    return attempt(lambda: int(path.read_text("ascii")))


def _numa_nodes() -> list[int]:
    """The nodes that hold a CPU of this process."""
    mine = os.sched_getaffinity(0)
    nodes = []
    for folder in NODES.iterdir():
        number = folder.name.removeprefix("node")
        if number.isdigit() and cpu_set((folder / "cpulist").read_text("ascii")) & mine:
            nodes.append(int(number))
    return sorted(nodes)
