"""How does a training command run exactly as it would alone, with the recorder inside its Python processes?

The wrapper process stays out of the way: the child keeps the terminal, the process group, the signals and its own exit
code. While it waits, it samples the telemetry of its node; nothing else depends on the wrapper being alive: when it is
killed, the training goes on and keeps recording its steps.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from llmprof.collectors.relay import Relay
from llmprof.collectors.wrappers import Wrapper, exit_code_of
from llmprof.errors import CommandError, InputError
from llmprof.timeline import rundir

__all__ = ["ARCHIVE", "SETTINGS", "Ended", "exit_like", "launch"]

SETTINGS = "llmprof_run.json"
"""Settings of a run, beside the sitecustomize.py that reads them. A file, because launchers drop variables."""
ARCHIVE = "llmprof.zip"
"""The recorder, for a Python that has no llmprof: another environment, a container, another node."""

_PACKAGE = Path(__file__).resolve().parents[1]
_BOOTSTRAP = _PACKAGE / "collectors" / "live" / "bootstrap"
_RECORDER = tuple(
    f"{folder}*.py"
    for folder in (
        "",
        "timeline/",
        "collectors/",
        *(f"collectors/{one}/**/" for one in ("live", "telemetry", "timing")),
    )
)
JOIN_S = 0.5
NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes of a shell for a command that is not there, and for one that may not be executed (POSIX, 2.8.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    returncode: int
    """As of subprocess: the exit code, or minus the number of the signal that ended it; see `exit_like`."""
    elsewhere: tuple[str, ...] | None
    """Hosts where other wrappers of this run still wait for theirs. None of them: the run is over, and this process
    the one to diagnose it. None: it is over, and another process diagnoses it."""


def launch(command: Sequence[str], run_dir: Path, options: Mapping[str, Any]) -> Ended:
    """Run `command` recorded into `run_dir` and wait for it, however long it takes.

    The directory is empty, or not there yet, or another node of the same job records into it. Raises InputError when it
    cannot be used and CommandError when the command cannot be started.
    """
    if not command:
        raise InputError(
            "there is no command to run; write it after `--`, for example `llmprof run -- python train.py`."
        )
    if os.pathsep in os.path.abspath(run_dir):
        raise InputError(
            f"the run directory {run_dir} has a {os.pathsep!r} in its path, which PYTHONPATH cannot carry; rename it."
        )
    wrapper = Wrapper.enter(run_dir, command, options, lambda folder: _fill_bootstrap(folder, options))
    try:
        returncode = _run(command, wrapper)
    except CommandError:
        wrapper.withdraw()
        raise
    elsewhere = wrapper.leave(returncode)
    return Ended(returncode=returncode, elsewhere=None if elsewhere is None else tuple(elsewhere))


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


def _run(command: Sequence[str], wrapper: Wrapper) -> int:
    bootstrap = str(wrapper.directory / rundir.BOOTSTRAP)
    path = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": f"{bootstrap}{os.pathsep}{path}" if path else bootstrap}
    with Relay() as relay:
        child = _start(list(command), environment)
        relay.attach(child)
        with _telemetry(wrapper.directory) if wrapper.has_node_to_itself() else contextlib.nullcontext():
            return child.wait()


def _start(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the command as a shell does: a script without a first line that names its interpreter is one of sh."""
    try:
        try:
            return subprocess.Popen(command, env=environment)
        except OSError as error:
            script = shutil.which(command[0])
            if error.errno != errno.ENOEXEC or script is None:
                raise
            return subprocess.Popen(["/bin/sh", script, *command[1:]], env=environment)
    except OSError as error:
        # subprocess says ENOENT of a missing interpreter and of a missing working directory, too.
        code = NOT_FOUND if isinstance(error, (FileNotFoundError, NotADirectoryError)) else NOT_EXECUTABLE
        message = f"cannot start {command[0]!r} ({error.strerror}); check the name, the path and its permissions."
        raise CommandError(message, code) from None
    except ValueError as error:
        raise CommandError(f"cannot start {command[0]!r} ({error}); write the command anew.", NOT_EXECUTABLE) from None


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


def _fill_bootstrap(folder: Path, options: Mapping[str, Any]) -> None:
    """What goes on PYTHONPATH: the code that Python looks for there, the recorder, and the settings of this run."""
    for file in _BOOTSTRAP.glob("*.py"):
        shutil.copyfile(file, folder / file.name)
    with zipfile.ZipFile(folder / ARCHIVE, "w") as archive:
        for pattern in _RECORDER:
            for file in _PACKAGE.glob(pattern):
                archive.write(file, Path("llmprof") / file.relative_to(_PACKAGE))
    rundir.write_json_atomic(folder / SETTINGS, {"schema": rundir.SCHEMA, "options": dict(options)})
