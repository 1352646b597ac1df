"""How is one run of a trial started, ended when it has steps enough, and read?

A side is `llmprof run` without a burst in a session of its own. It is ended as a scheduler would end it, with SIGTERM,
and what does not go within GRACE_S is killed: only processes that the side has started. When this process is killed
itself, the kernel sends the side its SIGTERM.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
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

from llmprof.collectors.live.fixes.applying.catalogue import VARIABLE
from llmprof.errors import InputError, LlmprofError
from llmprof.timeline import rundir

if TYPE_CHECKING:
    from llmprof.analyzers.trial import RunSteps

__all__ = ["Recorded", "SideRun", "last_lines", "log_of", "read_recorded", "read_steps", "run_side"]

GRACE_S = 40.0
"""torchrun waits 30 s for its ranks."""
LOOK_S = 0.2
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_BASELINE = b'"phase":"baseline"'
_TRIAL = "trial.json"
_FAREWELL = "llmprof: recorded in "
"""How `llmprof run` ends, which is no part of what failed."""
_OF_ONE_RANK = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_OF_THE_LAUNCHER = ("RANK", "LOCAL_", "WORLD_SIZE", "SLURM_", "OMPI_", "LD_PRELOAD", "PYTHON", "TORCHELASTIC_")
"""Beginnings of variables that a launcher gives each rank anew, or that the recorder has no business with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """How the run was started that a fix is tried on."""

    command: tuple[str, ...]
    cwd: Path
    variables: Mapping[str, str]
    """Recorded environment variables that this shell does not have."""


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


def read_recorded(run: Path) -> Recorded:
    """How this run was started. Raises LlmprofError when it cannot be started again here."""
    header = rundir.read_json(run / rundir.RUN)
    command = header.get("command")
    if not isinstance(command, list) or not command:
        raise InputError(f"{run / rundir.RUN} holds no command; only a run of `llmprof run` can be tried again.")
    if Path(str(command[0])).name == "nsys":
        raise InputError(
            f"{run} was recorded under nsys, which would run again; record it without --nsys, and try the fix there."
        )
    hosts = []
    for path in rundir.wrapper_files(run):
        with contextlib.suppress(LlmprofError):
            hosts.append(rundir.read_json(path).get("host"))
    if len(hosts) > 1:
        where = f"on {len(set(hosts))} nodes" if len(set(hosts)) > 1 else f"by {len(hosts)} commands side by side"
        raise InputError(
            f"{run} was recorded {where}, and a fix is tried with one command on one node; record a run that one "
            "command starts (torchrun), or apply the fix, record again and give that run with --against."
        )
    cwd = Path(header.get("cwd") or os.getcwd())
    if not cwd.is_dir():
        raise InputError(f"{cwd}, where the command of {run} was started, does not exist; start llmprof where it is.")
    return Recorded(command=tuple(map(str, command)), cwd=cwd, variables=_variables(run))


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
    environment = {**recorded.variables, **os.environ, VARIABLE: ",".join(fixes)}
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
    lines = _steady_lines(directory)
    return SideRun(
        side=side,
        pair=pair,
        directory=directory,
        exit_code=128 - process.returncode if process.returncode < 0 else process.returncode,
        stopped=stopped,
        steps=_steps_of(lines),
        epochs=sum("epoch_start" in line for line in lines),
        **_told(directory),
    )


def _end_with_its_parent() -> None:
    """In the side, before it begins: have it told to end when `llmprof try` is killed, and can end nothing."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))


def read_steps(run: Path) -> RunSteps | None:
    """The steady unprofiled steps of a run's first rank; None when there are none."""
    return _steps_of(_steady_lines(run))


def _steady_lines(run: Path) -> list[dict[str, Any]]:
    """The lines of the steady steps of the first rank that has any."""
    for _, _, folder in rundir.rank_dirs(run):
        with contextlib.suppress(LlmprofError):
            lines = rundir.read_json_lines(folder / rundir.STEPS)
            if steady := [line for line in lines if line.get("phase") == "baseline"]:
                return steady
    return []


def _steps_of(lines: Sequence[Mapping[str, Any]]) -> RunSteps | None:
    from llmprof.analyzers.trial import RunSteps

    return RunSteps.of([(line["n"], line["wall"]) for line in lines]) if lines else None


def last_lines(run: SideRun, count: int = 12) -> str:
    """The end of what the command has printed."""
    with contextlib.suppress(OSError):
        lines = log_of(run.directory).read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if line and not line.startswith(_FAREWELL)][-count:])
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


def _variables(run: Path) -> dict[str, str]:
    """Of the recorded variables those that are whole and the same on every rank; launchers set theirs again."""
    ranks: list[dict[str, str]] = []
    for _, _, folder in rundir.rank_dirs(run):
        with contextlib.suppress(LlmprofError):
            environment = rundir.read_json(folder / rundir.RANK).get("environment")
            found = environment.get("variables") if isinstance(environment, dict) else None
            ranks.append({str(name): str(value) for name, value in (found or {}).items()})
    left_out = _OF_THE_LAUNCHER if len(ranks) < 2 else (*_OF_THE_LAUNCHER, *_OF_ONE_RANK)
    return {
        name: value
        for name, value in (ranks[0] if ranks else {}).items()
        if not name.startswith(left_out)
        and "~" not in value
        and not value.endswith("...")
        and all(rank.get(name) == value for rank in ranks)
    }


def _steady(run: Path) -> int:
    """Steady steps that every rank which has begun has written."""
    counts = []
    for _, _, folder in rundir.rank_dirs(run):
        with contextlib.suppress(OSError):
            counts.append((folder / rundir.STEPS).read_bytes().count(_BASELINE))
    return min(counts, default=0)


def _told(run: Path) -> dict[str, Any]:
    """Losses and fixes of the first rank, and which fix has failed on any."""
    losses: list[float] = []
    fixes: dict[str, dict[str, Any]] = {}
    for _, _, folder in rundir.rank_dirs(run):
        with contextlib.suppress(LlmprofError):
            told = rundir.read_json(folder / _TRIAL)
            losses = losses or [float(value) for value in told.get("losses") or ()]
            for name, report in (told.get("fixes") or {}).items():
                if name not in fixes or report.get("status") == "failed":
                    fixes[name] = report
    return {"losses": losses, "fixes": fixes}


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
