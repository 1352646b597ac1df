"""How long did a step and its parts take, on the host and on the device, without ever waiting for the device?

The host clock is perf_counter_ns. On the device a step lies between two CUDA events on the compute stream, recorded at
its boundaries and read steps later, once `query()` says that they have happened. A launch-bound step pays for every
event, so they are recorded on a sample of the steps only.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from llmprof.collectors.live.device_timer import DeviceTimer

__all__ = ["Fetched", "OpenStep", "SettlingSteps", "next_sampled"]

SETTLING = 32
"""Steps whose device times may be outstanding; the oldest is written without them when there are more."""
FIRST_SAMPLED = 8
"""The first steps are all sampled: a run may end soon."""
STRIDE, LATER_STRIDE = 4, 16
LATER = 512
"""From this step on the mean over hundreds of steps is known; what is sampled then is only to notice a change."""


def next_sampled(number: int) -> int:
    """The first step from `number` on that is read on the device: one of every four, where a hash chooses, then of 16.

    A regular choice would always meet the same one of the loader's workers, which take turns; one of every four rather
    than each with a chance of a quarter keeps the means of short windows steady. (Multiplicative hashing: Knuth, The
    Art of Computer Programming, volume 3, section 6.4.)
    """
    if number <= FIRST_SAMPLED:
        return number
    stride = STRIDE if number < LATER else LATER_STRIDE
    chosen = _of_block(number // stride, stride)
    return chosen if chosen >= number else _of_block(number // stride + 1, stride)


def _of_block(block: int, stride: int) -> int:
    return stride * block + ((block * 0x9E3779B1 & 0xFFFFFFFF) * stride >> 32)


class Fetched(Protocol):
    """What fetches of one loader in a row have come to; times in ns."""

    waited: int
    count: int
    tokens: int
    queue: int | None
    events: list[tuple[Any, Any]] | None
    """Before and after each fetch, on a sampled step."""
    events_lost: bool


class OpenStep:
    """The step that is running: what has been added up since its first boundary; times in ns."""

    __slots__ = (
        *("backward", "batches", "end", "end_event", "epoch_start", "event", "fetched", "following", "forward"),
        *("keeps_end", "last_mark", "micro", "number", "optimizer", "phase", "record", "regions", "sampled", "stalls"),
        *("start", "tokens", "waited"),
    )

    def __init__(self, number: int, start: int, phase: str) -> None:
        self.number = number
        self.start = start  # perf_counter_ns
        self.end = 0
        self.phase = phase
        self.micro = self.forward = self.backward = self.optimizer = self.epoch_start = 0
        self.waited = self.batches = self.tokens = 0  # of fetches that are not in `fetched`, see shortcuts.py
        self.fetched: list[Fetched] | None = None
        self.stalls: dict[str, int] | None = None
        self.regions: dict[str, int] | None = None
        self.last_mark: int | None = None
        """End of the last fetch, backward or optimizer step, once there was a fetch."""
        self.sampled = False
        self.event: Any = None
        """At its beginning; where it is sampled and there is a device."""
        self.end_event: Any = None
        self.keeps_end = False
        """Whether the event at the end is this step's alone: the next one has no use for it."""
        self.record: dict[str, Any] | None = None
        """The line of steps.jsonl as far as it is known at the end of the step: `line` adds the rest."""
        self.following: OpenStep | None = None
        """The next step, where it was made in advance."""

    def stall(self, name: str) -> int:
        """The ns of a named stall so far."""
        return 0 if self.stalls is None else self.stalls.get(name, 0)

    def add_stall(self, name: str, duration: int) -> None:
        """Add `duration` ns to a named stall."""
        if self.stalls is None:
            self.stalls = {}
        self.stalls[name] = self.stalls.get(name, 0) + duration

    def drop_stalls_after(self, end: int) -> None:
        """The step ends at `end`, in hindsight: stalls that do not fit into it came later (the last checkpoint)."""
        if self.stalls is not None and sum(self.stalls.values()) > end - self.start:
            self.stalls = None

    def line(self) -> dict[str, Any]:
        """The whole line of a step that has ended. What was not measured is not there; a stall of 0 neither."""
        record, fetched = self.record or {}, self.fetched
        if fetched is not None or self.batches:
            fetched = fetched or []
            record["data_wait"] = sum([group.waited for group in fetched], self.waited)
            tokens = sum([group.tokens for group in fetched], self.tokens)
            if tokens:
                record["tokens"] = tokens
            queue = next((group.queue for group in fetched if group.queue is not None), None)
            if queue is not None:
                record["queue"] = queue
            batches = sum([group.count for group in fetched], self.batches)
            if batches != self.micro:
                record["batches"] = batches
            self.fetched = None  # groups know their step: nothing is left for the garbage collector to find
        for part in ("forward", "backward", "optimizer", "epoch_start"):
            duration = getattr(self, part)
            if duration:
                record[part] = duration
        record.update((name, duration) for name, duration in (self.stalls or {}).items() if duration > 0)
        if self.regions is not None:
            record["regions"] = self.regions
        return record


class SettlingSteps:
    """Completed steps in order, held back until the device has reached their end; `write` gets each once, complete.

    Called by the training thread at boundaries, and by the one that ends the session.
    """

    def __init__(self, write: Callable[[OpenStep], None]) -> None:
        self._write = write
        self.waiting: deque[OpenStep] = deque()
        self._lock = threading.Lock()

    def add(self, steps: Sequence[OpenStep], timer: DeviceTimer | None) -> None:
        """These steps have ended, at least one; `timer` is the one of their events."""
        with self._lock:
            before = len(self.waiting)
            self.waiting.extend(steps)
            # What was recorded just now has not happened yet: a step is asked for at the next boundary.
            if before or len(steps) > 1 or steps[0].end_event is None:
                self._settle(timer, all_of_them=False)

    def finish(self, timer: DeviceTimer | None) -> None:
        """Write every step; the ones that the device has not reached go without device times."""
        with self._lock:
            self._settle(timer, all_of_them=True)

    def give_up(self, steps: Sequence[OpenStep], timer: DeviceTimer | None) -> None:
        """Write every step, and these, without device times; for a thread that may not ask the device.

        A question from another thread would end the capture of a CUDA graph.
        """
        with self._lock:
            self.waiting.extend(steps)
            while self.waiting:
                step = self.waiting.popleft()
                if timer is not None and step.event is not None:
                    timer.release(step.event, *_own_events(step))
                self._write(step)

    def _settle(self, timer: DeviceTimer | None, *, all_of_them: bool) -> None:
        while self.waiting:
            step = self.waiting[0]
            timed = timer is not None and step.event is not None and step.end_event is not None
            reached = timed and _happened(step.end_event)
            if timed and not reached and not all_of_them and len(self.waiting) <= SETTLING:
                return
            self.waiting.popleft()
            if reached:
                _read(step)
            if timer is not None and step.event is not None:
                # Also when not reached: recording an event again is defined, its old time is not wanted.
                timer.release(step.event, *_own_events(step))
            self._write(step)


def _happened(event: Any) -> bool:
    try:
        return bool(event.query())
    except RuntimeError:  # the CUDA context is broken: write what the host knows
        return False


def _read(step: OpenStep) -> None:
    """Add the device times; an event on another stream may not have happened yet, then its value stays unknown."""
    record = step.record or {}
    try:
        record["device"] = _elapsed(step.event, step.end_event)
        if step.fetched is not None and not any([group.events_lost for group in step.fetched]):
            record["data_wait_exposed"] = sum([_elapsed(before, after) for before, after in _pairs(step)])
    except (RuntimeError, ValueError):
        record.pop("device", None)


def _elapsed(start: Any, end: Any) -> int:
    return max(0, round(float(start.elapsed_time(end)) * 1e6))  # CUDA answers in float milliseconds


def _pairs(step: OpenStep) -> list[tuple[Any, Any]]:
    return [pair for group in step.fetched or () for pair in group.events or ()]


def _own_events(step: OpenStep) -> list[Any]:
    """Events of the step's fetches, the first of which may share the boundary's, and of its end if only it needs it."""
    events = [event for pair in _pairs(step) for event in pair if event is not step.event]
    return [*events, step.end_event] if step.keeps_end else events
