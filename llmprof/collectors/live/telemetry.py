"""Who samples this node's telemetry? Never a training process: the wrapper of `llmprof run`, else one started here."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llmprof.errors import LlmprofError
from llmprof.timeline import rundir

if TYPE_CHECKING:
    from llmprof.collectors.live.session import Session

__all__ = ["TelemetryProcess"]

SAMPLER = "llmprof.collectors.telemetry"
STOP_S = 2.0


class TelemetryProcess:
    """Local rank 0 of a node without a wrapper starts the sampler, which ends with this process at the latest."""

    name = "telemetry"

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, session: Session) -> None:
        """Start it where it is missing: under `llmprof.profile`, and on nodes that a launcher reaches by network."""
        if session.local_rank != 0:
            session.set_collector(self.name, "absent", "local rank 0 sees to the telemetry of its node")
        elif _has_wrapper(session):
            session.set_collector(self.name, "absent", "llmprof run samples the telemetry of this node")
        else:
            self._process = _start(session.run_dir)

    def stop(self) -> None:
        """End it. It writes a last line; a process that does not answer is killed."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _has_wrapper(session: Session) -> bool:
    """Whether a wrapper of this run is on this host. No folder that the nodes share: no file of one either."""
    hosts = []
    for path in rundir.wrapper_files(session.run_dir):
        with suppress(LlmprofError):  # made a moment ago, and still empty
            hosts.append(rundir.read_json(path).get("host"))
    return session.host in hosts


def _start(run_dir: Path) -> subprocess.Popen[bytes]:
    package = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), package)))
    return subprocess.Popen(
        [sys.executable, "-m", SAMPLER, os.path.abspath(run_dir), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        cwd=run_dir,  # what lies in the script's folder (a types.py, a signal.py) must not be imported
    )
