"""How busy is the host? CPU, memory and disk of every rank of this node with its children, from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from llmprof.errors import NotFoundError

__all__ = ["COLUMNS", "HostTelemetry", "ProcessTree", "children", "started"]

COLUMNS = (
    "t_ns",
    "rank",
    "cpu_percent",  # of one core, over the whole process tree: 800 is eight busy cores
    "rss_bytes",  # summed over the tree; pages that workers share count once a process
    "processes",
    "threads",
    "read_bytes",  # from storage since the first sample
    "write_bytes",
    "load_1m",  # of the node
    "available_bytes",  # of the node
    "swap_in_bytes",  # read back from swap by the whole node since it was started
)
PROC = Path("/proc")


class HostTelemetry:
    """Lines of host.csv."""

    def __init__(self, folder: Path) -> None:
        """Raises NotFoundError where there is no /proc."""
        if not (PROC / "self" / "stat").exists():
            raise NotFoundError("this system has no /proc")
        # A restarted job's sampler may write as well: one unbuffered append a sample, which the kernel keeps whole.
        self._file = (folder / "host.csv").open("ab", buffering=0)
        if self._file.tell() == 0:
            self._file.write((",".join(COLUMNS) + "\n").encode())
        self._trees: dict[tuple[int, int], ProcessTree] = {}

    def sample(self, ranks: Iterable[tuple[int, int]]) -> None:
        """One line for each (rank, process id) that was there in the last call too: it is about the time between."""
        known, self._trees = self._trees, {}
        lines = []
        for rank, pid in ranks:
            tree = self._trees[rank, pid] = known.get((rank, pid)) or ProcessTree(pid)
            sample = tree.sample() if (rank, pid) in known else None
            if sample is not None and sample["processes"]:
                cells = {"t_ns": time.time_ns(), "rank": rank, **sample, **_node()}
                lines.append(",".join("" if cells.get(name) is None else f"{cells[name]}" for name in COLUMNS) + "\n")
        if lines:
            self._file.write("".join(lines).encode())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def started(pid: int) -> int | None:
    """When a process began, in clock ticks since boot: tells it from a later one of the same id; None when it is gone.

    0 for a living process where there is no /proc.
    """
    if not PROC.is_dir():
        try:
            os.kill(pid, 0)
        except OSError:
            return None
        return 0
    try:
        fields = _stat(pid)
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the state on: the command name before it may hold spaces and brackets."""
    return (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()


class ProcessTree:
    """CPU time, memory and storage traffic of a process and its descendants."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._ticks_per_s = os.sysconf("SC_CLK_TCK")
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._read = self._written = 0
        self._time_ns = time.perf_counter_ns()
        self._seen: dict[int, tuple[int, int | None, int | None]] = self._scan()[0]

    def sample(self) -> dict[str, float | int | None]:
        """The cells of one line; a process that began since the last call counts whole, one that ended not at all."""
        now_ns = time.perf_counter_ns()
        seen, rss, threads = self._scan()
        elapsed_s = max(now_ns - self._time_ns, 1) / 1e9
        ticks, known = 0, False
        for pid, (used, read, written) in seen.items():
            before = self._seen.get(pid, (0, 0, 0))
            ticks += max(used - before[0], 0)
            if read is not None and written is not None:
                known = True
                self._read += max(read - (before[1] or 0), 0)
                self._written += max(written - (before[2] or 0), 0)
        self._seen, self._time_ns = seen, now_ns
        return {
            "cpu_percent": round(100 * ticks / self._ticks_per_s / elapsed_s, 1),
            "rss_bytes": rss,
            "processes": len(seen),
            "threads": threads,
            "read_bytes": self._read if known else None,
            "write_bytes": self._written if known else None,
        }

    def _scan(self) -> tuple[dict[int, tuple[int, int | None, int | None]], int, int]:
        """Per process (ticks, bytes read, bytes written), and resident bytes and threads of all."""
        seen: dict[int, tuple[int, int | None, int | None]] = {}
        rss = threads = 0
        waiting = [self._root]
        own = os.getpid() if self._root != os.getpid() else None
        while waiting:
            pid = waiting.pop()
            if pid == own:  # a sampler that a rank started is no part of the training
                continue
            try:
                fields = _stat(pid)  # numbered from the state on: proc(5) counts 3 more
                ticks, count, pages = int(fields[11]) + int(fields[12]), int(fields[17]), int(fields[21])
            except (OSError, ValueError, IndexError):
                continue
            seen[pid] = (ticks, *_storage(pid))
            rss += pages * self._page
            threads += count
            waiting.extend(children(pid))
        return seen, rss, threads


def children(pid: int) -> list[int]:
    """Process ids of the children of all threads of a process; empty when it is gone."""
    found: list[int] = []
    try:
        for task in (PROC / str(pid) / "task").iterdir():
            found += map(int, (task / "children").read_bytes().split())
    except (OSError, ValueError):
        pass  # the process has ended meanwhile, or the kernel does not list children
    return found


def _storage(pid: int) -> tuple[int | None, int | None]:
    try:
        rows = dict(line.split(b": ") for line in (PROC / str(pid) / "io").read_bytes().splitlines())
        return int(rows[b"read_bytes"]), int(rows[b"write_bytes"])
    except (OSError, ValueError, KeyError):
        return None, None


def _node() -> dict[str, float | int | None]:
    available = None
    try:
        for line in (PROC / "meminfo").read_bytes().splitlines():
            if line.startswith(b"MemAvailable:"):
                available = int(line.split()[1]) * 1024
                break
        return {"load_1m": os.getloadavg()[0], "available_bytes": available, "swap_in_bytes": _swapped_in()}
    except (OSError, ValueError, IndexError):
        return {"load_1m": None, "available_bytes": available}


def _swapped_in() -> int | None:
    try:
        rows = dict(line.split() for line in (PROC / "vmstat").read_bytes().splitlines())
        return int(rows[b"pswpin"]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, KeyError):
        return None
