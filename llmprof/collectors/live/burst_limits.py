"""Does the burst fit into the memory and on the disk of this machine, also when a step has millions of events?

How many events there are nobody says while they are recorded; but the process grows by them, and later by a multiple.
Measured with torch 2.13 on the CPU, bytes an event: 490 while recording, 1400 to 2000 at the peak of stopping (2900 to
4300 with shapes), 260 on the disk (430 with shapes).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

from llmprof.units import format_bytes

__all__ = ["BurstLimits", "available_memory", "is_whole", "resident_memory"]

RECORDED, PEAK, PEAK_SHAPES, ON_DISK, ON_DISK_SHAPES = 490, 2_000, 4_300, 300, 450
"""Bytes an event: rows of the device are longer on disk than those of the CPU that were measured."""
MOST_EVENTS = 2_000_000
"""Of one recording: to stop and write as many takes the training about half a minute."""
MEMORY_SHARE, DISK_SHARE = 0.25, 0.25
"""Of what is available, for all ranks of the node together."""
LEAST_FREE = 64 << 20
LOOK_EVERY_S = 0.2
CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


class BurstLimits:
    """One recording of the profiler, from its first traced step on."""

    def __init__(self, folder: Path, *, shapes: bool, ranks: int, resident: Callable[[], int | None]) -> None:
        """`ranks` share the machine; `resident` is the memory of this process in bytes."""
        self._folder = folder
        self._ranks = max(ranks, 1)
        self._peak, self._on_disk = (PEAK_SHAPES, ON_DISK_SHAPES) if shapes else (PEAK, ON_DISK)
        self._resident = resident
        self._began: int | None = None
        self._events = 0.0
        self._looked = 0.0

    def begin(self) -> str | None:
        """The first traced step begins; the reason when there is no room for even a small recording."""
        self._began = self._resident()
        return self.too_large(force=True)

    def too_large(self, *, force: bool = False) -> str | None:
        """Why recording has to end, as far as it has come; None when it may go on. Quick when asked often."""
        now = monotonic()
        if now - self._looked < LOOK_EVERY_S and not force:
            return None
        self._looked = now
        self._count()
        if self._events > MOST_EVENTS:
            return f"it has recorded about {self._events / 1e6:.0f} million events, and more take too long to write"
        memory = available_memory()
        needed = self._events * (self._peak - RECORDED)
        if memory is not None and needed > memory * MEMORY_SHARE / self._ranks:
            return f"it would take {format_bytes(needed)} more of memory, of which {format_bytes(memory)} are left"
        return self.no_space()

    def no_space(self) -> str | None:
        """Why what has been recorded cannot be written; None when it can."""
        self._count()
        needed = self._events * self._on_disk
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError:
            return None
        if needed > free * DISK_SHARE / self._ranks or free < LEAST_FREE:
            return f"the trace would take {format_bytes(needed)} on a disk with {format_bytes(free)} left"
        return None

    def _count(self) -> None:
        """How many events there are, to judge by what the process has grown."""
        resident = self._resident()
        if resident is not None and self._began is not None:
            self._events = max(self._events, (resident - self._began) / RECORDED)


def available_memory() -> int | None:
    """Bytes that this process could still take: of the machine, or of its container if that has less."""
    found = []
    with suppress(OSError, ValueError), open("/proc/meminfo", encoding="ascii") as file:
        found += [1024 * int(line.split()[1]) for line in file if line.startswith("MemAvailable:")]
    for limit, usage in CGROUPS:
        with suppress(OSError, ValueError):  # no such group, or no limit ("max")
            found.append(int(Path(limit).read_text("ascii")) - int(Path(usage).read_text("ascii")))
    return max(min(found), 0) if found else None


def resident_memory() -> int | None:
    """Bytes of memory that this process holds."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def is_whole(path: Path) -> bool:
    """Whether the profiler has written its file to the end; on a full disk it stops without a word."""
    try:
        with open(path, "rb") as file:
            file.seek(max(path.stat().st_size - 64, 0))
            return file.read().rstrip().endswith(b"}")
    except OSError:
        return False
