"""Who else uses a GPU? Processes that NVML lists on it and that do not belong to this run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from llmprof.collectors.telemetry.host import children

__all__ = ["family", "others_on"]

MOST = 10_000


def family(pids: Iterable[int]) -> frozenset[int]:
    """These processes and all their descendants."""
    found: set[int] = set()
    waiting = list(pids)
    while waiting and len(found) < MOST:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(children(pid))
    return frozenset(found)


def others_on(listed: Collection[Any], own: Collection[int], *, ours_seen: bool) -> tuple[int, int | None] | None:
    """Processes on a GPU beside `own`, and the bytes they hold there (None when NVML does not tell).

    listed      what nvmlDeviceGetComputeRunningProcesses answered
    ours_seen   whether any GPU of the node lists a process of the run: if not, NVML counts processes otherwise than
                this container does (the driver may give the host's numbers), and nobody can be told apart

    None when it cannot be known.
    """
    if listed and not ours_seen:
        return None
    foreign = [process for process in listed if process.pid not in own]
    held = [process.usedGpuMemory for process in foreign]
    return len(foreign), None if None in held else sum(held)
