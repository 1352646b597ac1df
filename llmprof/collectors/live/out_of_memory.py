"""What filled the device when it ran out of memory? One small file, written before the error reaches the script.

PyTorch's allocator calls an observer when an allocation has failed and nothing is left to give back, with its own lock
released. The observer reads counters, segments and what the optimizers hold: host memory only, nothing is allocated on
the device, nothing is raised. It is attached when CUDA is initialised and costs nothing until then, nor after.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from llmprof.collectors.live.allocator import counters, reader
from llmprof.timeline import rundir
from llmprof.timeline.segments import summarize

if TYPE_CHECKING:
    from llmprof.collectors.live.session import Session
    from llmprof.collectors.live.step_timer import OpenStep

__all__ = ["OutOfMemoryObserver", "is_out_of_memory"]

DETAIL_NS = 2_000_000_000
"""A script that catches the error may meet it thousands of times: details are read until they have taken this long."""


class _Recording(Protocol):
    """What the observer needs of the recorder."""

    session: Session | None

    @property
    def running(self) -> OpenStep | None: ...
    @property
    def activity(self) -> str: ...
    def open_files(self) -> Session | None: ...


class OutOfMemoryObserver:
    """One process: how often an allocation has failed, and what was there the last time."""

    def __init__(self, recording: _Recording, *, history: bool = False) -> None:
        """With `history` the stack of each live allocation is recorded, about 2 µs an allocation (PyTorch's figure)."""
        self._recording = recording
        self._history = history
        self._history_on = False
        self._report: dict[str, Any] | None = None
        """The last failure; None when there was none, or when it is written."""
        self._count = 0
        self._spent_ns = 0
        self._open = True
        self._pid = os.getpid()

    def watch(self) -> None:
        """Attach `observe` as soon as CUDA is initialised."""
        torch: Any = import_module("torch")
        attach = getattr(torch._C, "_cuda_attach_out_of_memory_observer", None)
        if attach is None:  # a build without CUDA
            return

        def attach_now() -> None:
            with suppress(Exception):  # the async and pluggable allocators have no observers
                if self._open:
                    attach(self.observe)
            with suppress(Exception):
                if self._open and self._history:
                    self._record_history(torch)

        with suppress(Exception):
            torch.cuda._lazy_call(attach_now)  # now, when CUDA is in use already

    def close(self) -> None:
        """Torch has no way to take an observer back: from now on it does nothing."""
        self._open = False
        if self._history_on and os.getpid() == self._pid:  # in a forked child the allocator's lock may be held
            self._history_on = False
            torch: Any = import_module("torch")
            torch.cuda.memory._record_memory_history(enabled=None)

    def observe(self, *numbers: int) -> None:
        """An allocation has failed; called in the thread that asked for it, with (device, requested, limit, free).

        No hook of the recorder: those are switched off when a call takes milliseconds, as this one has to.
        """
        if not self._open:
            return
        began = time.perf_counter_ns()
        self._count += 1
        try:
            self._describe(*numbers)
        except Exception as error:  # an exception would take the place of the script's own
            self._open = False
            session = self._recording.session
            if session is not None:
                with suppress(Exception):
                    session.disarm("out_of_memory", f"{type(error).__name__}: {error}")
        self._spent_ns += time.perf_counter_ns() - began

    def _describe(self, device: int, requested: int, limit: int, free: int) -> None:
        """Put together what is known and write it, when this process is a training."""
        step = self._recording.running
        report = self._report = {
            **self._blank(),
            "step": None if step is None else step.number,
            "phase": None if step is None else self._recording.activity,
            "device": device,
            "requested": requested,
            "limit": limit,
            "free": free,
        }
        trains = step is not None
        with suppress(Exception):
            trains = self._add_details(report, device) or trains
        # A process that has neither begun a step nor made an optimizer may be no training: only `finish` knows.
        if trains or self._recording.session is not None:
            self._write()

    def finish(self, error: BaseException | None) -> None:
        """The process ends: when this error ends it before anything was recorded, that is worth a recording."""
        last = error or _last_error()
        if self._recording.session is None and is_out_of_memory(last) and self._report is None:
            step = self._recording.running  # an allocator without observers
            self._report = {**self._blank(), "step": None if step is None else step.number}
        if self._report is not None and (self._recording.session is not None or is_out_of_memory(last)):
            self._write()

    def _blank(self) -> dict[str, Any]:
        keys = ("step", "phase", "device", "requested", "limit", "free")
        return {"schema": rundir.SCHEMA, "t": time.time_ns(), "count": max(self._count, 1), **dict.fromkeys(keys)}

    def _write(self) -> None:
        """Into the folder of this rank, which is made when it is not there yet."""
        first = self._recording.session is None
        session, report = self._recording.open_files(), self._report
        if session is None or report is None:
            return
        self._report = None
        keys = ("phase", "count", "requested", "limit", "free")
        session.event("out_of_memory", **{key: report[key] for key in keys})
        with suppress(OSError):  # the disk may be full as well
            rundir.write_json_atomic(session.rank_dir / rundir.OUT_OF_MEMORY, report)
        if first:
            _note_settings(session)
        session.flush()

    def _add_details(self, report: dict[str, Any], device: int) -> bool:
        """Counters always, the rest while it is affordable; whether an optimizer was found."""
        torch: Any = import_module("torch")
        with suppress(Exception):
            report.update(counters(reader(torch, device)()))
        if report["phase"] == "forward" and not torch.is_grad_enabled():
            report["phase"] = "evaluation"
        if self._spent_ns > DETAIL_NS:
            return True
        with suppress(Exception):
            report["capacity"] = int(torch.cuda.get_device_properties(device).total_memory)
        parameters, optimizers = _trained_objects()
        with suppress(Exception):
            report["held"] = _held_bytes(parameters, optimizers, device)
        with suppress(Exception):
            report["segments"] = asdict(summarize(_segments(torch), device))
        with suppress(Exception):
            report["stack"] = _calling_stack()
        return bool(optimizers)

    def _record_history(self, torch: Any) -> None:
        """The stacks of live allocations alone: no list of events that grows, no C++ frames."""
        enabled = getattr(torch._C, "_cuda_isHistoryEnabled", None)
        if enabled is not None and enabled():
            return  # the script's own
        torch.cuda.memory._record_memory_history(enabled="state", context="state", stacks="python")
        self._history_on = True


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether this exception says that the device is full; torch.cuda.OutOfMemoryError is the same class."""
    return any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)


def _last_error() -> BaseException | None:
    """The exception that ends the script; in a session of a person it may be of long ago, and then nothing is known."""
    return None if hasattr(sys, "ps1") else getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)


def _note_settings(session: Session) -> None:
    """The settings of a run that may end in its first step, whose collectors have not begun."""
    from llmprof.collectors.live.configuration import environment

    optimizers, session.optimizers = session.optimizers, session.optimizers or list(_trained_objects()[1])
    try:
        with suppress(Exception):
            session.update_rank(environment=environment(session))
    finally:
        session.optimizers = optimizers


def _segments(torch: Any) -> Iterable[Any]:
    """The allocator's segments, without the history of events where torch can leave it out."""
    try:
        found: Iterable[Any] = torch.cuda.memory_snapshot(include_traces=False)
    except TypeError:  # an older one
        found = torch.cuda.memory_snapshot()
    return found


def _trained_objects() -> tuple[list[Any], list[Any]]:
    """(parameters, optimizers) of the process, wherever they are kept; looked at by type, so nothing of theirs runs."""
    from torch.nn import Parameter
    from torch.optim import Optimizer

    kinds: dict[type, int] = {}
    found: tuple[list[Any], list[Any], list[Any]] = [], [], []
    for one in gc.get_objects():
        kind = type(one)
        place = kinds.get(kind)
        if place is None:
            place = kinds[kind] = 1 if Parameter in kind.__mro__ else 2 if Optimizer in kind.__mro__ else 0
        if place:
            found[place].append(one)
    return found[1], found[2]


def _held_bytes(parameters: list[Any], optimizers: list[Any], device: int) -> dict[str, int]:
    """Bytes on the device in weights, gradients and optimizer states; memory that several share counts once."""
    seen: set[int] = set()
    states = (value for one in optimizers for state in list(one.state.values()) for value in _tensors(state))
    gradients = (parameter.grad for parameter in parameters if parameter.is_leaf)
    return {
        "parameters": sum(_bytes_of(parameter, device, seen) for parameter in parameters),
        "gradients": sum(_bytes_of(gradient, device, seen) for gradient in gradients),
        "optimizer": sum(_bytes_of(value, device, seen) for value in states),
    }


def _tensors(state: Any) -> list[Any]:
    values = list(state.values()) if isinstance(state, dict) else [state]
    return [value for value in values if hasattr(value, "untyped_storage")]


def _bytes_of(tensor: Any, device: int, seen: set[int]) -> int:
    """Of the storage, which a flat parameter shares with its views; of a DTensor the local part."""
    try:
        held = getattr(tensor, "_local_tensor", tensor)
        if held is None or held.device.type != "cuda" or held.device.index != device:
            return 0
        storage = held.untyped_storage()
        if storage.data_ptr() in seen:
            return 0
        seen.add(storage.data_ptr())
        return int(storage.nbytes())
    except Exception:  # a tensor that has no storage of its own
        return 0


def _calling_stack() -> list[str]:
    """The Python functions that asked for the memory, the innermost first; of autograd's thread there is none."""
    from llmprof.timeline.segments import readable_stack

    frames: list[dict[str, Any]] = []
    frame: Any = sys._getframe(1)
    while frame is not None and len(frames) < 100:
        name = frame.f_code.co_filename
        if __name__ != frame.f_globals.get("__name__") and not name.endswith("collectors/live/hooks.py"):
            frames.append({"filename": name, "line": frame.f_lineno, "name": frame.f_code.co_name})
        frame = frame.f_back
    return list(readable_stack(frames))
