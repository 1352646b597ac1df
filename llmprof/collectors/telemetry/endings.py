"""How did a training process of this node end, when it could not say so itself? Seen from outside, as it happens.

A process that a signal ends writes nothing more, and only its parent (torchrun, a shell) learns its status. But until
the parent has asked, the status stands in /proc/PID/stat, and the kernel wakes whoever holds a pidfd at that moment.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from pathlib import Path

from llmprof.timeline import rundir

__all__ = ["watch_ending"]

_EXIT_CODE = 52 - 3
"""Place of the wait status in /proc/PID/stat (proc(5): field 52), counted after the name in parentheses (field 2)."""


def watch_ending(pid: int, folder: Path) -> None:
    """Write end.json into the rank's folder when process `pid` has ended; nothing where the kernel does not tell."""
    try:
        descriptor = os.pidfd_open(pid)
    except (OSError, AttributeError):  # it has ended, or Linux before 5.3
        return
    with contextlib.suppress(RuntimeError):  # no more threads
        name = "llmprof-ending"
        threading.Thread(target=_await_ending, args=(pid, descriptor, folder), name=name, daemon=True).start()


def _await_ending(pid: int, descriptor: int, folder: Path) -> None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
        status = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[_EXIT_CODE])
        end: dict[str, int | str | None] = {"t": time.time_ns(), "exit_code": None, "signal": None}
        if os.WIFSIGNALED(status):
            end["signal"] = _name(os.WTERMSIG(status))
        else:
            end["exit_code"] = os.WEXITSTATUS(status)
        rundir.write_json_atomic(folder / rundir.END, end)
    os.close(descriptor)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
