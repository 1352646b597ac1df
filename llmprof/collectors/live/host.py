"""How busy is the host? CPU, memory and disk of this rank and its children, once a second, from /proc."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmprof.collectors.live.collector import StepRecord
    from llmprof.collectors.live.session import Session

__all__ = ["COLUMNS", "HostTelemetry", "ProcessTree"]

INTERVAL_S = 1.0
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
)
PROC = Path("/proc")


class HostTelemetry:
    """One line a second in nodes/HOST/host.csv for every rank of the node."""

    name = "host"

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, session: Session) -> None:
        """Begin sampling; says why not where there is no /proc."""
        if not (PROC / "self" / "stat").exists():
            session.set_collector(self.name, "absent", "no host telemetry: this system has no /proc")
            return
        session.node_dir.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(
            target=self._sample, args=(session.node_dir / "host.csv", session.rank), name="llmprof-host", daemon=True
        )
        self._thread.start()

    def on_step(self, record: StepRecord) -> None:
        """Nothing: the thread has its own clock."""

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _sample(self, path: Path, rank: int) -> None:
        tree = ProcessTree(os.getpid())
        # Ranks of a node share the file: one unbuffered append a line, which the kernel keeps whole.
        with path.open("ab", buffering=0) as file:
            if file.tell() == 0:
                file.write((",".join(COLUMNS) + "\n").encode())
            ended = False
            while not ended:
                ended = self._stopping.wait(INTERVAL_S)  # the end is sampled too: a short run has one line at least
                cells = {"t_ns": time.time_ns(), "rank": rank, **tree.sample(), **_node()}
                line = ",".join("" if cells.get(name) is None else f"{cells[name]}" for name in COLUMNS)
                file.write((line + "\n").encode())


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
        while waiting:
            pid = waiting.pop()
            try:
                # The command name may hold spaces and brackets; fields after its last bracket are fixed (proc(5)).
                fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
                ticks, count, pages = int(fields[11]) + int(fields[12]), int(fields[17]), int(fields[21])
            except (OSError, ValueError, IndexError):
                continue
            seen[pid] = (ticks, *_storage(pid))
            rss += pages * self._page
            threads += count
            waiting.extend(_children(pid))
        return seen, rss, threads


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for task in (PROC / str(pid) / "task").iterdir():
            children += map(int, (task / "children").read_bytes().split())
    except (OSError, ValueError):
        pass  # the process has ended meanwhile, or the kernel does not list children
    return children


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
        return {"load_1m": os.getloadavg()[0], "available_bytes": available}
    except (OSError, ValueError, IndexError):
        return {"load_1m": None, "available_bytes": available}
