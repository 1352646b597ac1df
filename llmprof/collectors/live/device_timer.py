"""Where is the device, without ever waiting for it? CUDA events of a bounded set, recorded on the current stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter_ns
from typing import Any

__all__ = ["RING", "DeviceTimer"]

RING = 256
"""CUDA events that exist at a time; a sampled step takes 1 to 2 and 2 a fetch, so a queue of SETTLING steps fits."""

HELD_NS = 500_000
"""An event takes some 10 to 100 µs. One that takes longer waits for room in a full launch queue, with the processor
busy: the host is that far ahead, and the next launch of the training would have waited instead."""


class DeviceTimer:
    """A bounded set of CUDA events on the current stream of one device."""

    def __init__(
        self,
        make: Callable[[], Any],
        stream: Callable[[], Any],
        capturing: Callable[[], bool],
        which_stream: Callable[[], Any] | None = None,
        blocked: Callable[[int, int], None] | None = None,
    ) -> None:
        """Events of `make` on `stream`, none while `capturing`.

        which_stream    a quick way to see whether `stream` would answer the same as before
        blocked         told from when to when (perf_counter_ns) the driver held an event back
        """
        self._make = make
        self._find_stream = stream
        self._capturing = capturing
        self._which_stream = which_stream
        self._blocked = blocked
        self._stream: Any = None
        self._stream_is: Any = None
        self._free: deque[Any] = deque()
        self._made = 0
        self.dropped = 0

    @classmethod
    def of(cls, device: Any, blocked: Callable[[int, int], None] | None = None) -> DeviceTimer | None:
        """The timer of a torch.device; None unless it is a CUDA device in use."""
        import torch

        if device is None or device.type != "cuda" or not torch.cuda.is_initialized():
            return None
        index = torch.cuda.current_device() if device.index is None else device.index
        # The private names are what the public ones call, without the Python around them; the first answers what
        # torch.cuda.current_stream makes its object of.
        private: Any = torch._C
        which = getattr(private, "_cuda_getCurrentStream", None)
        return cls(
            _event_maker(torch),
            lambda: torch.cuda.current_stream(index),
            getattr(private, "_cuda_isCurrentStreamCapturing", torch.cuda.is_current_stream_capturing),
            None if which is None else partial(which, index),
            blocked,
        )

    def mark(self, *, ask: bool = True) -> Any:
        """An event recorded now; None while a CUDA graph is captured, or when too many are outstanding.

        With `ask` off the caller knows that no graph is captured.
        """
        if self._free:
            event = self._free.popleft()
        elif self._made < RING:
            event = self._make()
            self._made += 1
        else:
            self.dropped += 1
            return None
        if ask and self._capturing():
            self._free.append(event)
            return None
        which = self._which_stream
        now = None if which is None else which()
        if now is None or now != self._stream_is:
            self._stream, self._stream_is = self._find_stream(), now
        began = perf_counter_ns()
        event.record(self._stream)
        if self._blocked is not None and perf_counter_ns() - began > HELD_NS:
            self._blocked(began, perf_counter_ns())
        return event

    def release(self, *events: Any) -> None:
        """These events have been read, or are not needed."""
        self._free.extend(event for event in events if event is not None)


def _event_maker(torch: Any) -> Callable[[], Any]:
    """Events of the class below torch.cuda.Event, which has the same methods in C; where it will do."""
    try:
        make = partial(torch._C._CudaEventBase, enable_timing=True)
        make()
    except (AttributeError, TypeError):
        return partial(torch.cuda.Event, enable_timing=True)
    return make
