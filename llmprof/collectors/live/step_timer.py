"""How long did a step and its parts take, on the host and on the device, without ever waiting for the device?

The host clock is perf_counter_ns. On the device a step lies between two CUDA events on the compute stream, recorded at
its boundaries and read steps later, once `query()` says that they have happened.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["RING", "DeviceTimer", "OpenStep", "SettlingSteps"]

RING = 256
"""CUDA events that exist at a time; a step takes 1 and 2 a fetch, so a queue of SETTLING steps fits."""
SETTLING = 32
"""Steps whose device times may be outstanding; the oldest is written without them when there are more."""

_STALLS = ("checkpoint", "evaluation", "gc")
_MEASURED = ("forward", "backward", "optimizer")


class OpenStep:
    """The step that is running: what has been added up since its first boundary; times in ns."""

    __slots__ = (
        "data_wait",
        "event",
        "events_lost",
        "fetch_events",
        "fetches",
        "last_mark",
        "micro",
        "number",
        "parts",
        "phase",
        "queue",
        "regions",
        "start",
        "tokens",
    )

    def __init__(self, number: int, start: int, phase: str, event: Any = None) -> None:
        self.number = number
        self.start = start  # perf_counter_ns
        self.phase = phase  # at its beginning
        self.micro = 0
        self.data_wait = 0
        self.fetches = 0
        self.tokens = 0
        self.queue: int | None = None
        self.parts: dict[str, int] = {}
        self.regions: dict[str, int] = {}
        self.last_mark: int | None = None  # end of the last fetch, backward or optimizer step, once there was a fetch
        self.event = event
        self.fetch_events: list[tuple[Any, Any]] = []
        self.events_lost = False

    def add(self, part: str, duration: int) -> None:
        """Add `duration` ns to a named part."""
        self.parts[part] = self.parts.get(part, 0) + duration

    def record(self, end: int, unix_offset: int, phase: str) -> dict[str, Any]:
        """The line of steps.jsonl, without device times. What was not measured is not there; a stall of 0 neither."""
        record: dict[str, Any] = {
            "n": self.number,
            "t": self.start + unix_offset,
            "wall": end - self.start,
            "phase": phase,
            "micro": self.micro,
        }
        if self.tokens:
            record["tokens"] = self.tokens
        if self.fetches:
            record["data_wait"] = self.data_wait
        if self.queue is not None:
            record["queue"] = self.queue
        for part in _MEASURED:
            if part in self.parts:
                record[part] = self.parts[part]
        for part in _STALLS:
            if self.parts.get(part, 0) > 0:
                record[part] = self.parts[part]
        if self.regions:
            record["regions"] = self.regions
        return record


class DeviceTimer:
    """A bounded set of CUDA events on the current stream of one device."""

    def __init__(self, make: Callable[[], Any], stream: Callable[[], Any], capturing: Callable[[], bool]) -> None:
        self._make = make
        self._stream = stream
        self._capturing = capturing
        self._free: deque[Any] = deque()
        self._made = 0
        self.dropped = 0

    @classmethod
    def of(cls, device: Any) -> DeviceTimer | None:
        """The timer of a torch.device; None unless it is a CUDA device in use."""
        import torch

        if device is None or device.type != "cuda" or not torch.cuda.is_initialized():
            return None
        index = torch.cuda.current_device() if device.index is None else device.index
        return cls(
            lambda: torch.cuda.Event(enable_timing=True),
            lambda: torch.cuda.current_stream(index),
            torch.cuda.is_current_stream_capturing,
        )

    def mark(self) -> Any:
        """An event recorded now; None while a CUDA graph is captured, or when too many are outstanding."""
        if self._free:
            event = self._free.popleft()
        elif self._made < RING:
            event = self._make()
            self._made += 1
        else:
            self.dropped += 1
            return None
        if self._capturing():
            self._free.append(event)
            return None
        event.record(self._stream())
        return event

    def release(self, *events: Any) -> None:
        """These events have been read, or are not needed."""
        self._free.extend(event for event in events if event is not None)


class SettlingSteps:
    """Completed steps in order, held back until the device has reached their end; `write` gets each once, complete.

    Called by the training thread at boundaries, and by the one that ends the session.
    """

    def __init__(self, write: Callable[[dict[str, Any]], None]) -> None:
        self._write = write
        self._waiting: deque[tuple[dict[str, Any], OpenStep, Any]] = deque()
        self._lock = threading.Lock()

    def add(self, record: dict[str, Any], step: OpenStep, end_event: Any, timer: DeviceTimer | None) -> None:
        """A step has ended; `end_event` is the event of the boundary, which the next step keeps."""
        with self._lock:
            self._waiting.append((record, step, end_event))
            self._settle(timer, all_of_them=False)

    def finish(self, timer: DeviceTimer | None) -> None:
        """Write every step; the ones that the device has not reached go without device times."""
        with self._lock:
            self._settle(timer, all_of_them=True)

    def _settle(self, timer: DeviceTimer | None, *, all_of_them: bool) -> None:
        while self._waiting:
            record, step, end_event = self._waiting[0]
            timed = timer is not None and step.event is not None and end_event is not None
            reached = timed and _happened(end_event)
            if timed and not reached and not all_of_them and len(self._waiting) <= SETTLING:
                return
            self._waiting.popleft()
            if reached:
                _read(record, step, end_event)
            if (
                timer is not None
            ):  # also when not reached: recording an event again is defined, its old time is not wanted
                timer.release(step.event, *_own_events(step))
            self._write(record)


def _happened(event: Any) -> bool:
    try:
        return bool(event.query())
    except RuntimeError:  # the CUDA context is broken: write what the host knows
        return False


def _read(record: dict[str, Any], step: OpenStep, end_event: Any) -> None:
    """Add the device times; an event on another stream may not have happened yet, then its value stays unknown."""
    try:
        record["device"] = _elapsed(step.event, end_event)
        if step.fetches and not step.events_lost:
            record["data_wait_exposed"] = sum(_elapsed(before, after) for before, after in step.fetch_events)
    except (RuntimeError, ValueError):
        record.pop("device", None)


def _elapsed(start: Any, end: Any) -> int:
    return max(0, round(float(start.elapsed_time(end)) * 1e6))  # CUDA answers in float milliseconds


def _own_events(step: OpenStep) -> list[Any]:
    """Events of the step's fetches; the first fetch may share the boundary's."""
    return [event for pair in step.fetch_events for event in pair if event is not step.event]
