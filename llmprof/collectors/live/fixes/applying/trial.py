"""What does this process tell of the fixes that it was started with? trial.json in the rank's folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.catalogue import FIXES, about
from llmprof.collectors.live.fixes.applying.losses import Losses
from llmprof.timeline import rundir

if TYPE_CHECKING:
    from llmprof.collectors.live.session import Session

__all__ = ["TRIAL", "Trial", "begin_trial", "running"]

TRIAL = "trial.json"
_running: Trial | None = None
_ORDER = {"torch-compile": -1, "cuda-graphs": -1, "dataloader-workers": 1}
"""What is not applied in the given order. The forward is compiled before autocast is put around it, as torch wants it.
The arguments of a loader reach the fix that was put on last first, and the others (workers stay, prefetch more) need to
see the workers."""


def running() -> Trial | None:
    """The trial of this process; None in a run that is none."""
    return _running


def begin_trial(fixes: Sequence[str], session: Callable[[], Session | None]) -> Trial:
    """Apply `fixes` (`ID` or `ID=VALUE`) in this process. In a forked one they are there already. Never raises.

    `session` is asked for the recording of this process, which there is after the first step.
    """
    global _running
    if _running is None:
        _running = Trial(fixes)
        _running.apply()
    else:
        _running.anew()
    _running.attach(session)
    return _running


class Trial:
    """The fixes of one process, its losses, and the file that tells of both."""

    def __init__(self, fixes: Sequence[str]) -> None:
        parts = [fix.partition("=") for fix in fixes]
        parts.sort(key=lambda part: _ORDER.get(part[0], 0))
        self.attempts = [Attempt(fix, value or None) for fix, _, value in parts]
        self._find: Callable[[], Session | None] = lambda: None
        self._session: Session | None = None
        self.losses = Losses()

    def apply(self) -> None:
        """Take hold of torch. Never raises."""
        for attempt in self.attempts:
            if about(attempt.fix) is None:
                attempt.refuse("it cannot be applied at run time")
                continue
            attempt.guard(_apply, attempt)
        try:
            self.losses.watch()
        except Exception as error:
            self.losses.reason = f"{type(error).__name__}: {error}"

    def anew(self) -> None:
        """In a forked process: what its parent has told is not its own."""
        self._session = None
        self.losses.values = []
        for attempt in self.attempts:
            attempt.times = 0

    def attach(self, find: Callable[[], Session | None]) -> None:
        """Write into the folder of this recording as soon as there is one."""
        from torch.optim.optimizer import register_optimizer_step_post_hook

        self._find = find

        def stepped(*args: Any) -> None:
            if self._session is None:
                with suppress(Exception):
                    self._open()

        stepped._torchdynamo_disable = True  # type: ignore[attr-defined]
        register_optimizer_step_post_hook(stepped)

    def write(self) -> None:
        """Replace trial.json; in any thread. Raises OSError."""
        if self._session is None:
            return
        self.losses.collect()
        told = {
            "schema": rundir.SCHEMA,
            "fixes": {attempt.fix: attempt.report() for attempt in self.attempts},
            "losses": self.losses.values,
            "losses_reason": self.losses.reason,
        }
        rundir.write_json_atomic(self._session.rank_dir / TRIAL, told)

    def _open(self) -> None:
        session = self._find()
        if session is not None:
            self._session = session
            session.before_flush.append(self.write)
            session.before_close.append(self._close)

    def _close(self) -> None:
        self.losses.finish()
        self.write()


def _apply(attempt: Attempt) -> None:
    module: Any = import_module(f"{FIXES}.{attempt.fix.replace('-', '_')}")
    module.apply(attempt)
