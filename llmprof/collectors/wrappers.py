"""Which `llmprof run` processes record into one run directory: who begins the run, who joins it, and who is the last?

On several nodes every node has its own wrapper, all told the same directory on a shared file system. Nothing but files
is shared: the first to make the bootstrap folder begins the run; whoever finds a run of the same command still going on
joins it; the one that ends when all others have ended ends the run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmprof._version import __version__
from llmprof.errors import InputError, LlmprofError
from llmprof.timeline import rundir

__all__ = ["Wrapper", "exit_code_of"]

APPEARS_S = 60.0
"""How long a joining wrapper waits for the files of the first: a network file system remembers for half a minute that
something was not there."""
NODE_OPTIONS = {"node_rank", "machine_rank", "local_addr", "nproc_per_node"}
"""Options of launchers whose values differ from node to node of one job."""
_CLOSED = "closed"


class Wrapper:
    """What this process does for a run directory, from `enter` to `leave`."""

    def __init__(self, directory: Path, run: dict[str, Any], *, first: bool) -> None:
        self.directory = directory
        self.first = first
        self._run = run
        self._record = {key: run[key] for key in _OWN}
        self._file = rundir.claim_wrapper_file(directory, run["host"])
        rundir.write_json_atomic(self._file, self._record)

    @classmethod
    def enter(
        cls, path: Path, command: Sequence[str], options: Mapping[str, Any], fill: Callable[[Path], None]
    ) -> Wrapper:
        """Begin a run in an empty or missing directory, or join the one that another wrapper has begun there.

        `fill` is called with the bootstrap folder of a new run. Raises InputError when the directory cannot be used.
        """
        run = rundir.new_run(command, options, __version__)
        directory = Path(os.path.abspath(path))
        joining = _can_join(directory, command)
        if not joining:
            try:
                rundir.create(directory)
            except InputError:
                joining = _can_join(directory, command)  # another node was quicker
                if not joining:
                    raise
        try:
            if not joining and _claimed(directory / rundir.BOOTSTRAP):
                fill(directory / rundir.BOOTSTRAP)
                rundir.write_json_atomic(directory / rundir.RUN, run)
                return cls(directory, run, first=True)
            if not joining and not _can_join(directory, command):
                raise InputError(f"the run in {directory} ended before this node had joined it; choose a new folder.")
            return cls(directory, run, first=False)
        except OSError as error:
            message = f"cannot write into {directory} ({error.strerror}); choose another run directory."
            raise InputError(message) from None

    def has_node_to_itself(self) -> bool:
        """Whether no other wrapper on this host is alive: one of them samples the telemetry of the node."""
        return not any(
            other["host"] == self._record["host"] and _is_alive(other["pid"])
            for other in self._others()
            if other["end_unix_ns"] is None
        )

    def withdraw(self) -> None:
        """The command could not be started: leave nothing behind."""
        with contextlib.suppress(OSError):
            self._file.unlink()
            self._file.parent.rmdir()  # fails while others record here
            for file in (self.directory / rundir.BOOTSTRAP).iterdir():
                file.unlink()
            (self.directory / rundir.BOOTSTRAP).rmdir()
            (self.directory / rundir.RUN).unlink()

    def leave(self, returncode: int) -> list[str] | None:
        """Note how the command ended; when all others have ended too, that the run has.

        Returns the hosts where it still goes on: none for the wrapper that ended the run, None when another has.
        """
        self._record.update(_end(returncode))
        with contextlib.suppress(OSError):  # a full disk must not change the exit code
            rundir.write_json_atomic(self._file, self._record)
        others = list(self._others())
        going_on = sorted({str(other["host"]) for other in others if self._goes_on(other)})
        if going_on:
            return going_on
        try:
            if not _claimed(self._file.parent / _CLOSED):
                return None
        except OSError:  # nothing can be written: all the same, somebody has to tell
            return []
        failed = next((one for one in (self._record, *others) if one["exit_code"]), self._record)
        with contextlib.suppress(OSError, LlmprofError):
            run = self._run if self.first else rundir.read_json(self.directory / rundir.RUN)
            run.update(_end(returncode), exit_code=failed["exit_code"], signal=failed["signal"])
            rundir.write_json_atomic(self.directory / rundir.RUN, run)
        return []

    def _goes_on(self, other: Mapping[str, Any]) -> bool:
        here = other["host"] == self._record["host"]
        return other["end_unix_ns"] is None and (not here or _is_alive(other["pid"]))

    def _others(self) -> Iterator[dict[str, Any]]:
        for path in rundir.wrapper_files(self.directory):
            if path != self._file:
                with contextlib.suppress(LlmprofError):  # claimed a moment ago, and still empty
                    yield {**dict.fromkeys(_OWN), **rundir.read_json(path)}


_OWN = ("command", "host", "pid", "start_unix_ns", "end_unix_ns", "exit_code", "signal")


def exit_code_of(returncode: int) -> int:
    """The code that a shell reports: 128 + n for a process that signal n ended."""
    return 128 - returncode if returncode < 0 else returncode


def _end(returncode: int) -> dict[str, Any]:
    return {
        "end_unix_ns": time.time_ns(),
        "exit_code": exit_code_of(returncode),
        "signal": _signal_name(-returncode) if returncode < 0 else None,
    }


def _can_join(directory: Path, command: Sequence[str]) -> bool:
    """Whether a run of this command goes on in the directory.

    Raises InputError when the run that goes on there is of another command.
    """
    run = _run_of(directory)
    if run is None or run.get("end_unix_ns") is not None or (directory / rundir.WRAPPERS / _CLOSED).exists():
        return False
    if _job_of(run.get("command") or ()) != _job_of(command):
        raise InputError(
            f"{directory} is being recorded into by another command; choose another folder. The nodes of one job join "
            "when their commands are the same but for --node-rank; give a script its node's rank as a variable."
        )
    return True


def _run_of(directory: Path) -> dict[str, Any] | None:
    """What run.json says; the wrapper that has made the bootstrap folder writes it a moment later."""
    deadline = time.monotonic() + APPEARS_S
    while (directory / rundir.BOOTSTRAP).is_dir():
        with contextlib.suppress(LlmprofError):
            return rundir.read_json(directory / rundir.RUN)
        names = {path.name for path in directory.iterdir() if not path.name.startswith(".")}
        begins = rundir.RUN in names or names <= {rundir.BOOTSTRAP, rundir.WRAPPERS}
        if time.monotonic() > deadline or not begins:
            break  # a folder of somebody else
        time.sleep(0.05)
    return None


def _job_of(command: Sequence[str]) -> list[str]:
    """The words of a command without those that tell one node of a job from another."""
    words: list[str] = []
    skip = False
    for word in command:
        name, equals, _ = word.partition("=")
        if skip:
            skip = False
        elif word.startswith("-") and name.lstrip("-").replace("-", "_") in NODE_OPTIONS:
            skip = not equals
        else:
            words.append(word)
    return words


def _claimed(folder: Path) -> bool:
    """Make a folder, which of all that try only one can."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def _is_alive(pid: object) -> bool:
    try:
        os.kill(int(str(pid)), 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError):
        return True
    return True


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # real-time signals have no name
