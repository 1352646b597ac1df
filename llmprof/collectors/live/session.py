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
                blocks.setdefault(filename, []).append(_line(filename, obj))
            for filename, lines in blocks.items():
                with contextlib.suppress(OSError), open(self.rank_dir / filename, "ab") as file:
                    file.write("".join(lines).encode())
            text = self._rank_json()
            if text:
                with contextlib.suppress(OSError):
                    rundir.write_text_atomic(self.rank_dir / rundir.RANK, text)
        self.flush_cost_ns += time.thread_time_ns() - began

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
        self.update_rank(ended=ended, reason=reason)
        self.flush()

    def _flush_often(self) -> None:
        while not self._closed.wait(FLUSH_S):
            with contextlib.suppress(Exception):  # nothing of ours is printed into the training's output
                self.flush()


def place_of_rank() -> tuple[int, int, int]:
    """(rank, local rank, world size) from the process group when there is one, else from the launcher's variables."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        rank, world_size = distributed.get_rank(), distributed.get_world_size()
    else:
        rank, world_size = _variable("RANK", 0), _variable("WORLD_SIZE", 1)
    return rank, _variable("LOCAL_RANK", _variable("SLURM_LOCALID", rank if world_size > 1 else 0)), world_size


def _variable(name: str, default: int) -> int:
    try:
        return max(int(os.environ[name]), 0)
    except (KeyError, ValueError):
        return default


def _line(filename: str, obj: Mapping[str, Any] | Callable[[], Mapping[str, Any]]) -> str:
    try:
        made = obj() if callable(obj) else obj
        if filename == rundir.LOG:
            return f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {made['message']}\n"
        return _encode(made) + "\n"
    except Exception:  # what cannot be written costs its own line alone
        return ""
