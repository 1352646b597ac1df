"""How is a benchmark kept from the noise of its own process? Every thread on a core of its own.

The training thread and the thread of the backward pass get one physical core each; all else (loader workers, the
process that samples telemetry, threads of CUDA and of the recorder) shares the cores that are left.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["pin"]

OTHERS = 4
"""Cores that are left to all else, at most: those of one socket are nearer to each other than those of two."""


def pin() -> str:
    """Pin this process and its children as they are now; says how. To be called once everything has been started."""
    cores = _physical(sorted(os.sched_getaffinity(0)))
    if len(cores) < 3:
        return f"not pinned: {len(cores)} cores"
    training, backward, *rest = cores
    others = rest[:OTHERS]
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has ended
            name = (task / "comm").read_text()
            own = [training] if int(task.name) == os.getpid() else [backward] if "autograd" in name else others
            os.sched_setaffinity(int(task.name), own)
    children = _children(os.getpid())
    for child in children:
        with suppress(OSError):
            os.sched_setaffinity(child, others)
    return f"training on core {training}, backward on {backward}, {len(children)} children and the rest on {others}"


def _physical(cores: list[int]) -> list[int]:
    """One of the logical cores of each physical one."""
    found: dict[str, int] = {}
    for core in cores:
        siblings = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        with suppress(OSError):
            found.setdefault(siblings.read_text().strip(), core)
    return sorted(found.values()) or cores


def _children(pid: int) -> list[int]:
    """All tasks of all processes below this one."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                child = int(status.parent.name)
                found += [int(task.name) for task in (status.parent / "task").iterdir()] + _children(child)
    return found
