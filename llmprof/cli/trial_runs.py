"""How is one run of a trial started, ended when it has steps enough, and read?

A side is `llmprof run` without a burst in a session of its own. It is ended as a scheduler would end it, with SIGTERM,
and what does not go within GRACE_S is killed: only processes that the side has started. When this process is killed
itself, the kernel sends the side its SIGTERM.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from llmprof.cli.trial_sources import Recorded, environment_of, steady_lines, steps_of, told_of
from llmprof.timeline import rundir

if TYPE_CHECKING:
    from llmprof.analyzers.trial import RunSteps

__all__ = ["SideRun", "last_lines", "log_of", "run_side"]

GRACE_S = 40.0
"""torchrun waits 30 s for its ranks."""
LOOK_S = 0.2
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_BASELINE = b'"phase":"baseline"'
_FAREWELL = "llmprof: recorded in "
"""How `llmprof run` ends, which is no part of what failed."""
_TRACEBACK = re.compile(r"Traceback \(most recent call last\)")
_CHILD_FAILED = re.compile(r"[\w.]*(ChildFailedError|CalledProcessError)\b")
"""How a launcher (torchrun, accelerate launch) ends when a process that it started has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRun:
    """One run of a trial that is over."""

    side: str
    pair: int
    directory: Path
    exit_code: int
    """As a shell says it: 128 + n after signal n."""
    stopped: bool
    """Whether it was ended here, and not by itself."""
    steps: RunSteps | None
    epochs: int = 0
    """Of these steps, those in which an epoch began."""
    losses: list[float] = field(default_factory=list)
    fixes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the first rank says of each fix, with `status` failed when one of any rank failed."""


def run_side(
    recorded: Recorded,
    directory: Path,
    *,
    fixes: Sequence[str],
    side: str,
    pair: int,
    steps: int,
    duration_s: float | None,
) -> SideRun:
    """Run the command once, recorded into `directory`, until `steps` steady steps or `duration_s` have passed."""
    wrapper = [sys.executable, "-m", "llmprof", "run", "--trace-steps", "0", "--no-report", "-o", str(directory), "--"]
    environment = environment_of(recorded, fixes)
    deadline = time.monotonic() + duration_s if duration_s is not None else None
    stopped = False
    with open(log_of(directory), "wb") as log, _leaving_on_signals():
        process = subprocess.Popen(
            [*wrapper, *recorded.command],
            cwd=recorded.cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_its_parent,
        )
        try:
            while process.poll() is None:
                if _steady(directory) >= steps or (deadline is not None and time.monotonic() > deadline):
                    stopped = True
                    break
                time.sleep(LOOK_S)
        finally:
            _end(process)
    lines = steady_lines(directory)
    return SideRun(
        side=side,
        pair=pair,
        directory=directory,
        exit_code=128 - process.returncode if process.returncode < 0 else process.returncode,
        stopped=stopped,
        steps=steps_of(lines),
        epochs=sum("epoch_start" in line for line in lines),
        **told_of(directory),
    )


def _end_with_its_parent() -> None:
    """In the side, before it begins: have it told to end when `llmprof try` is killed, and can end nothing."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))


def last_lines(run: SideRun, count: int = 12) -> str:
    """The end of what the command has printed, without what its launcher says of a process that has failed."""
    with contextlib.suppress(OSError):
        lines = log_of(run.directory).read_text(errors="replace").splitlines()
        lines = [line for line in lines if line and not line.startswith(_FAREWELL)]
        ends = [place for place, line in enumerate(lines) if _CHILD_FAILED.match(line)]
        begins = [place for place, line in enumerate(lines) if _TRACEBACK.match(line) and ends and place < ends[-1]]
        own = lines[: begins[-1]] if begins else []
        return "\n".join((own or lines)[-count:])
    return ""


@contextlib.contextmanager
def _leaving_on_signals() -> Iterator[None]:
    """Meanwhile leave by an exception when this process is to end: the side has to end too, in its own session."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def log_of(directory: Path) -> Path:
    """What the command has printed in the run of this directory."""
    return directory.with_name(f"{directory.name}.log")


def _steady(run: Path) -> int:
    """Steady steps that every rank which has begun has written."""
    counts = []
    for _, _, folder in rundir.rank_dirs(run):
        with contextlib.suppress(OSError):
            counts.append((folder / rundir.STEPS).read_bytes().count(_BASELINE))
    return min(counts, default=0)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the side and wait until nothing of it is left."""
    family = _family(process.pid)
    if process.poll() is None:
        _signal([process.pid], signal.SIGTERM)
    deadline, told = time.monotonic() + GRACE_S, False
    try:
        while time.monotonic() < deadline and (process.poll() is None or _living(family)):
            if process.poll() is not None and not told:  # a shell that has ended leaves what it has started alone
                _signal(_living(family), signal.SIGTERM)
                told = True
            time.sleep(LOOK_S / 2)
    finally:  # a second Ctrl-C ends the wait, and not the care
        _signal(_living(family), signal.SIGKILL)
        process.wait()


def _signal(processes: Sequence[int], number: signal.Signals) -> None:
    for one in processes:
        with contextlib.suppress(OSError):
            os.kill(one, number)


def _living(family: Mapping[int, str]) -> list[int]:
    """Which of them have not ended."""
    return [process for process, started in family.items() if _started(process) == started]


def _family(process: int) -> dict[int, str]:
    """A process and all that it has started, each with the time of its start, which tells it from a later one."""
    found: dict[int, str] = {}
    waiting = [process]
    while waiting:
        one = waiting.pop()
        started = _started(one)
        if started is None or one in found:
            continue
        found[one] = started
        with contextlib.suppress(OSError, ValueError):
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
    return found


def _started(process: int) -> str | None:
    """When this process was started, in ticks of the kernel; None when it is not there, or over."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        return None
