"""What held training up between its steps, by name: checkpoints, evaluations and Python's garbage collector?

Each is added to the step that was open, and is an event of its own when it is long or rare.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from llmprof.collectors.live.hooks import Apart
from llmprof.collectors.live.session import Session
from llmprof.collectors.live.step_timer import OpenStep

__all__ = ["Recording", "Stalls"]

LONG_GC_NS = 10_000_000

now_ns = time.perf_counter_ns


class Recording(Protocol):
    """What a stall needs of the recorder."""

    session: Session | None
    apart: Apart

    @property
    def running(self) -> OpenStep | None:
        """The step that is open."""

    def is_here(self) -> bool:
        """Whether this thread trains, as far as is known."""


class Stalls:
    """The hooks around what is no training."""

    def __init__(self, recorder: Recording) -> None:
        self._recorder = recorder
        self._saving = False
        self._gc_begin = 0

    def save_begins(
        self, by: str, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[str, int] | None:
        """A function that saves; not in another thread, which holds nothing up, and not inside another one."""
        if self._saving or self._recorder.running is None or not self._recorder.is_here():
            return None
        self._saving = True
        return by, now

    def save_ends(self, token: tuple[str, int], now: int, result: Any, error: BaseException | None) -> None:
        """The file is written, or training goes on while it is."""
        self._saving = False
        step, session = self._recorder.running, self._recorder.session
        if step is not None:
            step.add_stall("checkpoint", now - token[1])
            if session is not None:
                session.event("checkpoint", ns=now - token[1], by=token[0])

    def collecting(self, phase: str, info: Mapping[str, int]) -> None:
        """Gc callback: Python's collector holds up every thread."""
        step, session = self._recorder.running, self._recorder.session
        if phase == "start":
            self._gc_begin = now_ns()
        elif self._gc_begin and step is not None:
            now = now_ns()
            duration = now - self._gc_begin
            step.add_stall("gc", duration)
            self._recorder.apart.note("gc", self._gc_begin, now)  # also inside a hook of ours, which is not to blame
            if duration > LONG_GC_NS and session is not None:
                session.event("gc", ns=duration, generation=info.get("generation"))

    def evaluated(self, step: OpenStep, duration: int) -> None:
        """An evaluation of `duration` ns has been added to `step`."""
        if self._recorder.session is not None:
            self._recorder.session.event("evaluation", ns=duration)
