"""What becomes of a signal that reaches the wrapper while the command runs? The command gets it, and gets it once.

A terminal, a scheduler or `timeout` signals the whole process group, the command included; `kill PID`, a container
engine or a CI runner only the wrapper. Nothing in a signal tells which it was. So a second small process stands in the
group as a witness: what it has seen too went to everybody and is not passed on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn

__all__ = ["Relay"]

WITNESSED_S = 0.1
"""How long the witness is waited for; it has nothing else to do, so it is there in less than a millisecond."""
_NAMES = ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
"""Not SIGTSTP: a handler would stop the wrapper a moment later than the system does, and perhaps after the SIGCONT."""


class Relay:
    """Passes on what reaches the wrapper alone, from `attach` until the end of the `with` block.

    Handlers, not SIG_IGN: an ignored signal would stay ignored in the child, a handled one is reset there. A signal
    that was ignored already (nohup) stays so, for both.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}
        self._witness: _Witness | None = None

    def __enter__(self) -> Relay:
        if threading.current_thread() is threading.main_thread():
            numbers = list(_handled())
            with contextlib.suppress(OSError):  # no more processes: some signals arrive twice
                self._witness = _Witness(numbers)
            for number in numbers:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._witness is not None:
            self._witness.dismiss()

    def attach(self, child: subprocess.Popen[bytes]) -> None:
        """Pass on from now; also what came while the child was being started."""
        self._child = child
        while self._early:
            child.send_signal(self._early.pop(0))

    def _receive(self, number: int, frame: FrameType | None) -> None:
        went_to_all = self._witness is not None and self._witness.has_seen(number)
        if self._child is None:
            self._early.append(number)
        elif not went_to_all:
            with contextlib.suppress(OSError):
                self._child.send_signal(number)


class _Witness:
    """A process of this group that notes every signal it gets; it ends with this process, however that ends."""

    def __init__(self, numbers: list[int]) -> None:
        self._seen, said = os.pipe()
        ending, self._alive = os.pipe()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # until the witness can bear them
        try:
            self._process = os.fork()
            if self._process == 0:
                _testify(numbers, said, ending, (0, 1, 2, self._seen, self._alive))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(said)
        os.close(ending)
        os.set_blocking(self._seen, False)
        self._pending: list[int] = []

    def has_seen(self, number: int) -> bool:
        """Whether the witness got this signal as well."""
        while number not in self._pending and select.select([self._seen], [], [], WITNESSED_S)[0]:
            with contextlib.suppress(BlockingIOError):  # the handler of another signal came between and has read it
                told = os.read(self._seen, 64)
                if not told:  # it was killed
                    break
                self._pending += told
        if number not in self._pending:
            return False
        self._pending.remove(number)
        return True

    def dismiss(self) -> None:
        """End it."""
        os.close(self._alive)
        os.close(self._seen)
        with contextlib.suppress(OSError):
            os.waitpid(self._process, 0)


def _testify(numbers: list[int], said: int, ending: int, foreign: Sequence[int]) -> NoReturn:
    """The witness: a byte for every signal, until the other end of `ending` is closed."""
    try:
        for number in numbers:
            signal.signal(number, lambda number, _: os.write(said, bytes([number])))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        for descriptor in set(foreign) - {said, ending}:  # a pipe may be 0 where there was no standard input
            with contextlib.suppress(OSError):  # the wrapper was started without it
                os.close(descriptor)
        os.read(ending, 1)
    finally:
        os._exit(0)


def _handled() -> Iterator[int]:
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            yield number
