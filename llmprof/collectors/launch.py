"""How does a training command run exactly as it would alone, with the recorder inside its Python processes?

The wrapper process stays out of the way: the child keeps the terminal, the process group, the signals and its own exit
code. While it waits, it samples the telemetry of its node; nothing else depends on the wrapper being alive: when it is
killed, the training goes on and keeps recording its steps.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from llmprof._version import __version__
from llmprof.errors import InputError, NotFoundError
from llmprof.timeline import rundir

__all__ = ["SETTINGS", "exit_code_of", "exit_like", "launch"]

SETTINGS = "llmprof_run.json"
"""Settings of a run, beside the sitecustomize.py that reads them. A file, because launchers drop variables."""

_PACKAGE = Path(__file__).resolve().parents[1]
_SITECUSTOMIZE = _PACKAGE / "collectors" / "live" / "bootstrap" / "sitecustomize.py"
JOIN_S = 0.5
_FORWARDED = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
_LEFT_TO_CHILD = ("SIGINT", "SIGQUIT")
"""The terminal sends these to the whole foreground group, so the child has its own copy."""


def launch(command: Sequence[str], run_dir: Path, options: Mapping[str, Any]) -> int:
    """Run `command` recorded into `run_dir` (empty, or not there yet) and wait for it, however long it takes.

    Returns what subprocess does: the exit code, or minus the number of the signal that ended it; see `exit_like`.
    Raises InputError when the directory cannot be used and NotFoundError when there is no such command.
    """
    if not command:
        raise InputError(
            "there is no command to run; write it after `--`, for example `llmprof run -- python train.py`."
        )
    if os.pathsep in os.path.abspath(run_dir):
        raise InputError(
            f"the run directory {run_dir} has a {os.pathsep!r} in its path, which PYTHONPATH cannot carry; rename it."
        )
    directory = rundir.create(run_dir)
    record = {
        "schema": rundir.SCHEMA,
        "id": uuid.uuid4().hex,
        "command": list(command),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "start_unix_ns": time.time_ns(),
        "end_unix_ns": None,
        "exit_code": None,
        "signal": None,
        "options": dict(options),
        "llmprof": __version__,
    }
    try:
        bootstrap = _write_bootstrap(directory, options)
        rundir.write_json_atomic(directory / rundir.RUN, record)
    except OSError as error:
        raise InputError(f"cannot write into {directory} ({error.strerror}); choose another run directory.") from None
    returncode = _run(command, directory, bootstrap)
    record.update(
        end_unix_ns=time.time_ns(),
        exit_code=exit_code_of(returncode),
        signal=_signal_name(-returncode) if returncode < 0 else None,
    )
    with contextlib.suppress(OSError):  # a full disk must not change the exit code
        rundir.write_json_atomic(directory / rundir.RUN, record)
    return returncode


def exit_code_of(returncode: int) -> int:
    """The code that a shell reports: 128 + n for a process that signal n ended."""
    return 128 - returncode if returncode < 0 else returncode


def exit_like(returncode: int) -> NoReturn:
    """Leave this process as the child left: with its exit code, or ended by the same signal."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    if returncode < 0 and -returncode not in (signal.SIGKILL, signal.SIGSTOP):
        with contextlib.suppress(OSError, ValueError, ImportError):
            import resource

            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child's core file tells more than ours would
        with contextlib.suppress(OSError, ValueError):
            signal.signal(-returncode, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {-returncode})
            os.kill(os.getpid(), -returncode)
    # Still here: SIGKILL cannot be set to its default, and process 1 of a container survives default signals.
    os._exit(exit_code_of(returncode))


def _run(command: Sequence[str], directory: Path, bootstrap: Path) -> int:
    path = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": f"{bootstrap}{os.pathsep}{path}" if path else str(bootstrap)}
    with _Relay() as relay:
        try:
            child = subprocess.Popen(list(command), env=environment)
        except OSError as error:
            shutil.rmtree(bootstrap, ignore_errors=True)
            (directory / rundir.RUN).unlink(missing_ok=True)
            message = f"cannot start {command[0]!r} ({error.strerror}); check the name, the path and its permissions."
            raise NotFoundError(message) from None
        relay.attach(child)
        with _telemetry(directory):
            return child.wait()


@contextlib.contextmanager
def _telemetry(directory: Path) -> Iterator[None]:
    """Sample the telemetry of this node meanwhile, in a thread that the wrapper waits for no longer than JOIN_S."""
    stopping = threading.Event()

    def sample() -> None:
        with contextlib.suppress(Exception):  # the command runs without telemetry
            from llmprof.collectors.telemetry.sampler import sample_node

            sample_node(directory, stopping)

    thread = threading.Thread(target=sample, name="llmprof-telemetry", daemon=True)
    # A signal that the system gave to this thread would not wake the main one, whose handlers pass it on.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with contextlib.suppress(RuntimeError):  # no more threads
            thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        yield
    finally:
        stopping.set()
        if thread.ident is not None:
            thread.join(JOIN_S)


class _Relay:
    """Signals while the child runs: INT and QUIT are left to it, TERM, HUP, USR1 and USR2 are passed on.

    Handlers, not SIG_IGN: an ignored signal would stay ignored in the child, a handled one is reset there. A signal
    that was ignored already (nohup) stays so, for both.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Relay:
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._wanted():
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def attach(self, child: subprocess.Popen[bytes]) -> None:
        """Pass on from now; also what came while the child was being started."""
        self._child = child
        while self._early:
            child.send_signal(self._early.pop(0))

    def _wanted(self) -> Iterator[tuple[int, Any]]:
        for names, handler in ((_LEFT_TO_CHILD, _nothing), (_FORWARDED, self._forward)):
            for name in names:
                if hasattr(signal, name):
                    yield getattr(signal, name), handler

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if self._child is None:
            self._early.append(number)
        else:
            with contextlib.suppress(OSError):
                self._child.send_signal(number)


def _nothing(number: int, frame: FrameType | None) -> None:
    """The handler of a signal that the child gets from the terminal itself."""


def _write_bootstrap(directory: Path, options: Mapping[str, Any]) -> Path:
    """The folder that goes on PYTHONPATH: a copy of sitecustomize.py and the settings of this run."""
    folder = directory / rundir.BOOTSTRAP
    folder.mkdir()
    shutil.copyfile(_SITECUSTOMIZE, folder / _SITECUSTOMIZE.name)
    settings = {
        "schema": rundir.SCHEMA,
        "run_dir": str(directory),
        "package": str(_PACKAGE),
        "options": dict(options),
    }
    rundir.write_json_atomic(folder / SETTINGS, settings)
    return folder


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # real-time signals have no name
