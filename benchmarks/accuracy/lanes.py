"""Which part of the machine does a case get, and how do its processes start quickly?

Importing torch takes as long as many a measurement. So the recorded run of the next case is started early and waits at
a gate, before it has touched the device (see `place` in cases/common.py), and what is measured is forked from a process
that has imported everything.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from case import Case

__all__ = ["ROOT", "Lane", "Process", "command", "split"]

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(__file__).resolve().parent / "cases"
QUIET = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
"""Whether there is a GPU is asked without touching it: a process that has touched it cannot be forked."""
Variables = Mapping[str, "str | None"]


@dataclass
class Process:
    """A process of which only the id is known; it may be the child of another one."""

    pid: int
    child: subprocess.Popen[bytes] | None = None

    def alive(self) -> bool:
        """Whether it still runs."""
        if self.child is not None:
            return self.child.poll() is None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def ended(self, limit_s: float) -> bool:
        """Wait for its end; kill it and what it started when it takes too long. False: it had to be killed."""
        until = time.monotonic() + limit_s
        while self.alive():
            if time.monotonic() > until:
                self.kill()
                return False
            time.sleep(0.02)
        return True

    def terminate(self) -> None:
        """Ask it to end, so that it can end what it started in other groups; kill it when it does not."""
        os.kill(self.pid, signal.SIGTERM)
        self.ended(5)

    def kill(self) -> None:
        """End the process and its group, which it leads."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        if self.child is not None:
            self.child.wait()


@dataclass
class Lane:
    """A part of the machine: its GPUs (empty: as they are), cores to train on, one core for everything beside it."""

    gpus: str
    cores: list[int]
    _server: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _ports: int = field(default=0, init=False)

    @property
    def training(self) -> list[int]:
        """Cores of what is measured."""
        return self.cores[:-1] if len(self.cores) > 4 else self.cores

    @property
    def beside(self) -> list[int]:
        """Cores of what starts or analyses meanwhile."""
        return self.cores[-1:] if len(self.cores) > 4 else self.cores

    def environment(self, variables: Variables | None = None) -> dict[str, str]:
        """What a process of this lane finds, with these set, or taken away (None)."""
        shown = {"CUDA_VISIBLE_DEVICES": self.gpus} if self.gpus else {}
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        merged: dict[str, str | None] = {**os.environ, **shown, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        merged |= dict(variables or {})
        return {name: value for name, value in merged.items() if value is not None}

    def start(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
        """Start a command beside what trains."""
        cores = self.beside
        with log.open("w") as out:
            child = subprocess.Popen(
                words, env=dict(environment), stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )  # fmt: skip
        return Process(child.pid, child)

    def fork(self, script: str, options: list[str], variables: Variables, log: Path, ranks: int) -> list[Process]:
        """Train in processes that have imported everything already, one a rank; they start at once."""
        environment = {**variables, "CUDA_VISIBLE_DEVICES": self.gpus or os.environ.get("CUDA_VISIBLE_DEVICES")}
        if ranks > 1:
            self._ports += 1
            environment |= {
                "WORLD_SIZE": str(ranks),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(29600 + self._ports),
            }
        processes = []
        for rank in range(ranks):
            mine = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if ranks > 1 else {}
            said = log if rank == 0 else log.with_suffix(f".{rank}.log")
            job: dict[str, Any] = {"script": script, "options": options, "cores": self.training, "log": str(said)}
            job["environment"] = {**environment, **mine}
            processes.append(Process(int(self._ask(job))))
        return processes

    def _ask(self, job: dict[str, Any]) -> str:
        server = self.warm()
        stdin, stdout = _pipes(server)
        stdin.write(json.dumps(job).encode() + b"\n")
        stdin.flush()
        return stdout.readline().decode()

    def warm(self) -> subprocess.Popen[bytes]:
        """The process that has imported everything; started when there is none."""
        if self._server is None or self._server.poll() is not None:
            cores = self.beside
            self._server = subprocess.Popen(
                [sys.executable, str(CASES.parent / "forkserver.py")],
                env=self.environment(QUIET), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, cwd=CASES, preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )  # fmt: skip
        return self._server

    def close(self) -> None:
        """End the warm process."""
        if self._server is not None:
            for pipe in _pipes(self._server):
                pipe.close()
            self._server.terminate()  # it may still be importing
            self._server.wait()


def _pipes(server: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert server.stdin is not None and server.stdout is not None
    return server.stdin, server.stdout


def command(case: Case, options: Iterable[str]) -> list[str]:
    """The training command of a case."""
    launcher = [sys.executable]
    if case.ranks > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(case.ranks)]
    return [*launcher, str(CASES / f"{case.script}.py"), *options]


def split(lanes: int, cores: list[int]) -> list[Lane]:
    """The machine in equal parts, a GPU each."""
    share = max(1, len(cores) // lanes)
    parts = [cores[n * share : (n + 1) * share] or cores for n in range(lanes)]
    return [Lane(str(n) if lanes > 1 else "", part) for n, part in enumerate(parts)]
