"""Where does a recording that a script started itself go, and how is it diagnosed when it has ended?"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llmprof._version import __version__
from llmprof.collectors.live.session import place_of_rank
from llmprof.timeline import rundir

__all__ = ["Place", "say"]

RUNS = "llmprof-runs"
OTHER_RANKS_S = 10.0
"""How long rank 0 waits for the other ranks' last lines."""


class Place:
    """The run directory of one `profile` block; rank 0 makes it at the start, the other ranks find it after a step."""

    def __init__(self, out: str | os.PathLike[str] | None, options: Mapping[str, Any]) -> None:
        rank, _, self._world_size = place_of_rank()
        self._first = rank == 0
        self._wanted = Path(os.path.abspath(_default(self._world_size) if out is None else out))
        self.directory: Path | None = None
        self._record: dict[str, Any] = {}
        if self._first:
            self.directory = self._make(options)

    def claim(self) -> Path:
        """The directory of this run: for other ranks the newest, which rank 0 made before the first step."""
        if self.directory is None:
            existing = self._wanted
            for path in _siblings(self._wanted):
                if not path.exists():
                    break
                existing = path
            existing.mkdir(parents=True, exist_ok=True)
            self.directory = existing
        return self.directory

    def finish(self, exit_code: int) -> None:
        """Rank 0 notes the end in run.json."""
        if self._first and self.directory is not None:
            self._record.update(end_unix_ns=time.time_ns(), exit_code=exit_code)
            with contextlib.suppress(OSError):
                rundir.write_json_atomic(self.directory / rundir.RUN, self._record)

    def diagnose(self) -> None:
        """Rank 0 starts `llmprof analyze` and prints its verdict on standard error; a failure is one line."""
        if not self._first or self.directory is None:
            return
        self._await_other_ranks(self.directory)
        package = str(Path(__file__).resolve().parents[3])
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), package)))
        command = [sys.executable, "-m", "llmprof", "analyze", str(self.directory), "-o", str(self.directory)]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False
        )
        if done.returncode == 0:
            sys.stderr.write(done.stdout)
            return
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        say(f"recorded in {self.directory}, but not diagnosed: {reason}")

    def _make(self, options: Mapping[str, Any]) -> Path:
        for path in _siblings(self._wanted):
            if path.exists() and any(path.iterdir()):
                continue
            directory = rundir.create(path)
            self._record = rundir.new_run(sys.orig_argv, options, __version__)
            rundir.write_json_atomic(directory / rundir.RUN, self._record)
            return directory
        raise AssertionError("siblings never end")

    def _await_other_ranks(self, directory: Path) -> None:
        deadline = time.monotonic() + OTHER_RANKS_S
        while self._world_size > 1 and time.monotonic() < deadline:
            newest = {rank: folder for rank, _, folder in rundir.rank_dirs(directory)}
            with contextlib.suppress(Exception):
                states = [rundir.read_json(folder / rundir.RANK)["ended"] for folder in newest.values()]
                if len(states) >= self._world_size and "running" not in states:
                    return
            time.sleep(0.1)


def say(message: str) -> None:
    """One line on standard error."""
    with contextlib.suppress(Exception):
        print(f"llmprof: {message}", file=sys.stderr, flush=True)


def _siblings(path: Path) -> Iterator[Path]:
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.name}-{number}")
        number += 1


def _default(world_size: int) -> Path:
    """A new name for a single process; one that all ranks of a node derive from their common launcher for many."""
    if world_size > 1:
        return Path(RUNS) / f"job-{os.environ.get('MASTER_PORT', '')}-{os.getppid()}"
    return Path(RUNS) / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
