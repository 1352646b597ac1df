"""What does one recorded process offer to its collectors, and how do their lines reach the disk?

Lines are kept in memory and appended in blocks by a daemon thread, seldom and briefly: the training waits for Python's
lock meanwhile. rank.json is replaced when something in it changed, for changed costs alone every COSTS_S seconds.
A killed process loses at most the last FLUSH_S seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llmprof.timeline import rundir

__all__ = ["Session", "place_of_rank"]

FLUSH_S = 2.0
COSTS_S = 10.0
_encode = json.JSONEncoder(default=str, separators=(",", ":")).encode
MAX_LINES = 100_000
"""Lines that wait at most; more only pile up while the disk is away, and the oldest are dropped then."""


class Session:
    """The recording of one process of one rank; its methods may be called from any thread and are cheap."""

    def __init__(self, run_dir: Path, options: Mapping[str, Any], *, unix_ns: int, perf_ns: int) -> None:
        """Make the rank's folder; the two clocks are one instant, and step times are perf plus their difference."""
        self.rank, self.local_rank, self.world_size = place_of_rank()
        self.host = socket.gethostname()
        self.options = options
        self.run_dir = run_dir
        self.rank_dir = rundir.claim_rank_dir(run_dir, self.rank)
        self.phase = "warmup"
        self.current_step = 0
        self.loaders: list[weakref.ref[Any]] = []
        self.optimizers: list[weakref.ref[Any]] = []
        self.models: list[weakref.ref[Any]] = []
        self.disarmed: set[str] = set()
        """Names of collectors that are not called any more."""
        self.costs: Callable[[], Mapping[str, Any]] | None = None
        """Asked for what goes into rank.json about costs, from any thread."""
        self.on_disarm: Callable[[], None] | None = None
        """Told whenever there is a new name in `disarmed`."""
        self.expected_steps: int | None = None
        """How many steps the run will have, from what a framework or a loader says; None when nobody does."""
        self.during_step: Callable[[], None] | None = None
        """Called before every backward in the training thread, while it is set."""
        self.note_apart: Callable[[str, int, int], None] = _nothing
        """Told what no step has to answer for: its name, and from when to when it was done (perf_counter_ns)."""
        self.on_wake: Callable[[], None] | None = None
        """Told when a collector has changed its `next_step` from another thread."""
        self.before_flush: list[Callable[[], None]] = []
        """Called by the writing thread before it writes."""
        self.before_close: list[Callable[[], None]] = []
        """Called by the thread that closes it."""
        self.every_flush: list[Callable[[], None]] = []
        """Called by the writing thread each time that it has written, every FLUSH_S seconds."""
        self.on_lines: list[Callable[[str, Mapping[str, Any]], None]] = []
        """Called by the writing thread for every line that it has made: the file, and what the line says."""
        self.flush_cost_ns = 0
        self._costs_noted = time.monotonic()
        self.lines: deque[tuple[str, Mapping[str, Any] | Callable[[], Mapping[str, Any]]]] = deque(maxlen=MAX_LINES)
        """What waits for the disk: (file, object, or what makes it when it is written)."""
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._changed = True
        self._closed = threading.Event()
        self._rank: dict[str, Any] = {
            "schema": rundir.SCHEMA,
            "rank": self.rank,
            "local_rank": self.local_rank,
            "world_size": self.world_size,
            "host": self.host,
            "pid": os.getpid(),
            "clock": {"unix_ns": unix_ns, "perf_ns": perf_ns},
            "ended": "running",
            "reason": None,
            "environment": {},
            "collectors": {},
            "overhead_ns_per_step": None,
        }
        self.flush()
        with contextlib.suppress(RuntimeError):  # an interpreter that shuts down starts no threads; `close` writes then
            threading.Thread(target=self._flush_often, name="llmprof-writer", daemon=True).start()

    def append(self, filename: str, obj: Mapping[str, Any]) -> None:
        """Append one JSON line to a file of this rank, a little later."""
        self.lines.append((filename, obj))

    def event(self, kind: str, **fields: Any) -> None:
        """Note something rare in events.jsonl, with the time and the step now running."""
        self.append(rundir.EVENTS, {"t": time.time_ns(), "kind": kind, "step": self.current_step, **fields})

    def update_rank(self, **keys: Any) -> None:
        """Merge into rank.json; a key that holds an object is merged one level deep."""
        with self._lock:
            for key, value in keys.items():
                held = self._rank.get(key)
                self._rank[key] = {**held, **value} if isinstance(held, dict) and isinstance(value, Mapping) else value
            self._changed = True

    def set_collector(self, name: str, status: str, reason: str | None = None) -> None:
        """Note how a collector is: armed, disarmed or absent."""
        with self._lock:
            self._rank["collectors"][name] = {
                "cost_ns": 0,
                "calls": 0,
                **self._rank["collectors"].get(name, {}),
                "status": status,
                "reason": reason,
            }
            self._changed = True

    def disarm(self, name: str, reason: str) -> None:
        """A collector has switched itself off for the rest of the run: one event, one line in the log."""
        self.disarmed.add(name)
        self.set_collector(name, "disarmed", reason)
        self.event("disarmed", collector=name, reason=reason)
        self.log(f"{name} was switched off: {reason}")
        if self.on_disarm is not None:
            self.on_disarm()

    def wake(self) -> None:
        """From any thread: a collector wants to be called earlier than it has said; it is, within some steps."""
        if self.on_wake is not None:
            self.on_wake()

    def log(self, message: str) -> None:
        """Append a line to the rank's log.txt, a little later."""
        self.lines.append((rundir.LOG, {"message": message}))

    def flush(self) -> None:
        """Write everything that waits. A full or vanished disk costs the recording, never the training."""
        began = time.thread_time_ns()
        with self._writing:
            blocks: dict[str, list[str]] = {}
            while self.lines:
                filename, obj = self.lines.popleft()
                blocks.setdefault(filename, []).append(self._line(filename, obj))
            for filename, lines in blocks.items():
                with contextlib.suppress(OSError), open(self.rank_dir / filename, "ab") as file:
                    file.write("".join(lines).encode())
            text = self._rank_json()
            if text:
                with contextlib.suppress(OSError):
                    rundir.write_text_atomic(self.rank_dir / rundir.RANK, text)
        self.flush_cost_ns += time.thread_time_ns() - began

    def _line(self, filename: str, obj: Mapping[str, Any] | Callable[[], Mapping[str, Any]]) -> str:
        try:
            made = obj() if callable(obj) else obj
            if filename == rundir.LOG:
                return f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {made['message']}\n"
            line = _encode(made) + "\n"
        except Exception:  # what cannot be written costs its own line alone
            return ""
        for call in self.on_lines:
            with contextlib.suppress(Exception):
                call(filename, made)
        return line

    def _rank_json(self) -> str:
        """The text of rank.json when it has to be written again, else nothing; on one line, which is quickly made."""
        now = time.monotonic()
        with self._lock:
            if self._changed or now - self._costs_noted >= COSTS_S:
                self._changed = False
                self._costs_noted = now
                self._note_costs()
                return json.dumps(self._rank, default=str) + "\n"
        return ""

    def _note_costs(self) -> None:
        costs = dict(self.costs()) if self.costs is not None else {}
        for name, cost in costs.pop("collectors", {}).items():
            self._rank["collectors"].setdefault(name, {"status": "armed", "reason": None}).update(cost)
        self._rank.update(costs)

    def close(self, ended: str, reason: str | None) -> None:
        """Write the rest and how the process ended; the writer thread stops."""
        self._closed.set()
        for call in self.before_close:
            with contextlib.suppress(Exception):
                call()
        self.update_rank(ended=ended, reason=reason)
        self.flush()

    def _flush_often(self) -> None:
        while not self._closed.wait(FLUSH_S):
            for call in (*self.before_flush, self.flush, *self.every_flush):
                with contextlib.suppress(Exception):  # nothing of ours is printed into the training's output
                    call()


def _nothing(*what: object) -> None:
    """Nobody wants to know."""


def place_of_rank() -> tuple[int, int, int]:
    """(rank, local rank, world size) from the process group when there is one, else from the launcher's variables."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        rank, world_size = distributed.get_rank(), distributed.get_world_size()
    else:
        names = next((names for names in _LAUNCHERS if names[0] in os.environ), _LAUNCHERS[0])
        rank, world_size = _variable(names[0], 0), _variable(names[1], 1)
        world_size = max(world_size, rank + 1)
    local = next((name for _, _, name in _LAUNCHERS if name in os.environ), "")
    return rank, _variable(local, rank if world_size > 1 else 0), world_size


_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    # Of srun, not of sbatch: its script has SLURM_NTASKS too, and the one Python that it may start is no rank of many.
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
)
"""Variables that tell a process its rank, the number of ranks and its rank on the node: torchrun (and whoever imitates
it), Open MPI, MPICH and Intel MPI, Slurm."""


def _variable(name: str, default: int) -> int:
    try:
        return max(int(os.environ[name]), 0)
    except (KeyError, ValueError):
        return default
