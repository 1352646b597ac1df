"""What becomes of a step that has ended: who times it on the device, shows it to the collectors, and writes it?

Training waits for every line that runs at a boundary, all the more since it has emptied the caches in between. So at
most boundaries a step is only put aside; several of them are then gone through together. Where no step ends any more
(a hang, a long evaluation), the thread that writes takes what is aside: a process that is killed then loses none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import perf_counter_ns

from llmprof.collectors.live.crew import Crew
from llmprof.collectors.live.device_timer import DeviceTimer
from llmprof.collectors.live.session import Session
from llmprof.collectors.live.step_timer import OpenStep, SettlingSteps, next_sampled
from llmprof.collectors.live.warmup import WarmUp
from llmprof.timeline import rundir

__all__ = ["FinishedSteps"]

AT_A_TIME, AT_A_TIME_NS = 16, 500_000_000
"""Steps that are gone through together, and how long they may take, after the warm-up and where no collector waits for
one of them."""

LINGERING_NS = 1_000_000_000


class FinishedSteps:
    """The steps of one session, from the boundary at which they end to their lines."""

    def __init__(
        self, session: Session, crew: Crew, timer: DeviceTimer | None, unix_offset: int, on_many: Callable[[int], None]
    ) -> None:
        """`on_many(number)` is called at the boundary before step `number` whenever steps are gone through."""
        self.aside: list[OpenStep] = []
        """Ended, and not gone through yet; the training thread appends."""
        self.due = 0
        """The number of the step at whose beginning `attend` has to be called; before that nothing has to be done."""
        self._session = session
        self.crew = crew
        self.timer = timer
        self._unix_offset = unix_offset
        self._on_many = on_many
        self._settling = SettlingSteps(self._write)
        self._warmup = WarmUp(session.expected_steps)
        self._sample = 0  # the next step, or this one, that is read on the device
        self._go_through_at = 0
        self._taken = 0  # of those aside, how many have been written
        self._lock = threading.Lock()
        session.before_flush.append(partial(self._take, LINGERING_NS))
        session.before_close.append(partial(self._take, 0))

    def attend(self, ended: OpenStep, step: OpenStep) -> None:
        """The boundary between two steps, the first of which has been put aside."""
        number = step.number
        if number >= self._sample or ended.sampled:
            self._mark(ended, step)
        if number >= self._go_through_at:
            self.go_through(number)
            step.phase = self._session.phase
        self.due = number + 1 if step.sampled else min(self._sample, self._go_through_at)

    def go_through(self, number: int) -> None:
        """All that are aside, at the boundary before step `number` or at the end."""
        steps = self.aside
        if not steps:
            return
        session, crew = self._session, self.crew
        for step in steps:
            if session.phase == "warmup" and self._warmup.is_over(step.end - step.start):
                session.phase = "baseline"
            if step.number >= crew.due or step.phase != crew.phase:
                crew.on_step(self._recorded(step).record or {})
        with self._lock:
            rest, self.aside = steps[self._taken :], []
            self._taken = 0
            if rest:
                self._settling.add([self._recorded(step) for step in rest], self.timer)
        self._on_many(number)
        crew.account(len(steps), steps[-1].phase)
        wall = max(steps[-1].end - steps[-1].start, 1)
        patience = max(1, min(AT_A_TIME, AT_A_TIME_NS // wall))
        if session.phase == "warmup" or session.phase != crew.phase:  # collectors are told of a change at once
            patience = 1
        self._go_through_at = max(number + 1, min(number + patience, crew.due + 1))

    def steps_lost(self, hook: str) -> None:
        """No step is seen any more, for want of this hook; those that have ended are kept."""
        reason = f"nothing tells where a step ends, since the hook '{hook}' was switched off"
        self._session.disarm("stepping", reason)
        self.go_through(self._session.current_step)
        self.crew.steps_lost(reason)

    def stop(self, disarm: Callable[[], None]) -> None:
        """The run ends: show and write every step, then `disarm` and stop the collectors.

        Steps that the device has not reached go without device times.
        """
        with suppress(Exception):
            self.go_through(self._session.current_step)
        disarm()
        self.crew.stop()
        with suppress(Exception):
            self._settling.finish(self.timer)

    def _take(self, age_ns: int) -> None:
        """In any thread: write what is aside when no step has ended since `age_ns`."""
        with self._lock:
            rest = self.aside[self._taken :]
            if rest and perf_counter_ns() - rest[-1].end >= age_ns:
                self._taken += len(rest)
                self._settling.give_up([self._recorded(step) for step in rest], self.timer)

    def _recorded(self, step: OpenStep) -> OpenStep:
        if step.record is None:
            wall = step.end - step.start
            step.record = {"n": step.number, "t": step.start + self._unix_offset, "wall": wall, "phase": step.phase}
            if step.micro:
                step.record["micro"] = step.micro
        return step

    def _mark(self, ended: OpenStep, step: OpenStep) -> None:
        """One event for the end of a sampled step and for the beginning of the next one when it is sampled too."""
        if step.number > self._sample:
            self._sample = next_sampled(step.number)
        step.sampled = step.number == self._sample
        if self.timer is not None and (step.sampled or ended.event is not None):
            event = ended.end_event = self.timer.mark()
            ended.keeps_end = not step.sampled
            if step.sampled:
                step.event = event

    def _write(self, step: OpenStep) -> None:
        self._session.lines.append((rundir.STEPS, step.line))
