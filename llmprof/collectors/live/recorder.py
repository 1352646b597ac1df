"""What happens at each hooked moment of a training process: the joint between the hooks, the detector and the session.

Until the first step is complete there is only this object, without files or threads; then the session is opened and
the collectors start.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmprof.collectors.live.crew import Crew
from llmprof.collectors.live.data_wait import DataWait, FetchGroup
from llmprof.collectors.live.hooks import Hook
from llmprof.collectors.live.models import find_models
from llmprof.collectors.live.session import Session
from llmprof.collectors.live.step_timer import DeviceTimer, OpenStep, SettlingSteps, next_sampled
from llmprof.collectors.live.stepping import StepDetector
from llmprof.collectors.live.warmup import WarmUp
from llmprof.timeline import rundir

__all__ = ["Recorder"]

LONG_GC_NS = 10_000_000

now_ns = time.perf_counter_ns
get_ident = threading.get_ident


class Recorder:
    """One training process. Its methods are called from hooks; an exception switches off that hook alone."""

    def __init__(self, run_dir: Callable[[], Path], options: Mapping[str, Any]) -> None:
        self.session: Session | None = None
        self.hooks: dict[str, Hook] = {}
        self._run_dir = run_dir
        self._options = options
        self._detector = StepDetector()
        self._data_wait = DataWait(self._training_loader, self._evaluation)
        self._timer: DeviceTimer | None = None
        self._settling = SettlingSteps(self._write)
        self._sample = 0  # the next step, or this one, that is read on the device
        self._step: OpenStep | None = None
        self._perf_ns, self._unix_ns = now_ns(), time.time_ns()
        self._unix_offset = self._unix_ns - self._perf_ns
        self._warmup = WarmUp()
        self._crew: Crew | None = None
        self._loaders: list[weakref.ref[Any]] = []
        self._optimizers: list[weakref.ref[Any]] = []
        self._known: set[int] = set()  # ids of the optimizers in the list
        self._thread: int | None = None  # the one that trains
        self._fetch_thread: int | None = None
        self._in_backward = False
        self._optimizing: int | None = None  # key of the optimizer whose step() runs
        self._optimizing_since = 0
        self._closure_ns = 0  # forward and backward inside it
        self._last_optimizer_end = 0
        self.fetch_ends = self._data_wait.end
        """A fetch has returned a batch, ended the epoch or failed."""
        self._gc_begin = 0
        self._hidden = False  # from torch.compile
        self._stopped = False

    def hook(self, name: str) -> Hook:
        """A new hook that reports here."""
        self.hooks[name] = Hook(name, self._report)
        return self.hooks[name]

    def disarm_all(self) -> None:
        """Nothing is recorded from now on: in a forked child, or after the end."""
        for hook in self.hooks.values():
            hook.armed = False
        self._stopped = True

    # Fetches

    def fetch_begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> FetchGroup | None:
        """next() of a DataLoader iterator; fetches in other threads (prefetchers) and nested ones do not count."""
        thread = get_ident()
        if self._data_wait.fetching or (thread != self._thread and self._thread is not None):
            return None
        self._fetch_thread = thread
        boundary = self._detector.fetch()
        if boundary:
            self._boundary(now)
        return self._data_wait.begin(args[0], self._step or self._open(now), now_ns(), boundary)

    def iterator_begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A DataLoader makes an iterator: remember which."""
        return args[0]

    def iterator_ends(self, loader: Any, now: int, iterator: Any, error: BaseException | None) -> None:
        """It has made it."""
        if error is None:
            self._data_wait.made_iterator(iterator, loader)

    # Backward and optimizer

    def backward_begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int | None:
        """An outermost backward in the training thread; those inside (reentrant checkpointing) do not count."""
        if self._in_backward or (get_ident() != self._thread and not self._is_training_thread()):
            return None
        if self._detector.backward():
            self._boundary(now)
        step = self._step or self._open(now)
        mark = step.last_mark
        if self._data_wait.group is not None:
            mark = self._data_wait.backward(bool(self._detector.has_loader)) or mark
        if mark is not None:
            if self._optimizing is not None:  # in a closure the forward begins with the optimizer step that calls it
                mark = max(mark, self._optimizing_since)
                self._closure_ns += now - mark
            step.forward += now - mark
            step.last_mark = mark
        step.micro += 1
        self._in_backward = True
        return now_ns()

    def backward_ends(self, begin: int, now: int, result: Any, error: BaseException | None) -> None:
        """It has ended."""
        self._in_backward = False
        self._detector.in_backward = False
        step = self._step
        if step is not None:
            step.backward += now - begin
            if self._optimizing is not None:
                self._closure_ns += now - begin
            if step.last_mark is not None:
                step.last_mark = now

    def optimizer_begins(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Global pre-hook of Optimizer.step; an optimizer that wraps another one is timed as one."""
        if self._in_backward or self._step is None:
            return
        if get_ident() != self._thread and not self._is_training_thread():
            return
        key = id(optimizer)
        if self._optimizing is None or self._optimizing == key:
            self._optimizing = key
            self._optimizing_since = now_ns()
            self._closure_ns = 0

    def optimizer_ends(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Global post-hook; inside a backward of a CUDA graph it comes from autograd's own thread."""
        if get_ident() != self._thread and not self._in_backward and not self._is_training_thread():
            return
        now = self._last_optimizer_end = now_ns()
        key = id(optimizer)
        if key not in self._known:
            self._remember(optimizer)
        step = self._step or self._open(now)
        self._detector.optimizer_step(key)
        if self._optimizing == key:
            self._optimizing = None
            step.optimizer += max(0, now - self._optimizing_since - self._closure_ns)
            if step.last_mark is not None:
                step.last_mark = now

    def scaler_begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, int] | None:
        """GradScaler.step, which leaves the optimizer out when gradients are infinite."""
        optimizer = kwargs["optimizer"] if "optimizer" in kwargs else args[1]
        return (optimizer, self._last_optimizer_end) if self._is_training_thread() else None

    def scaler_ends(self, token: tuple[Any, int], now: int, result: Any, error: BaseException | None) -> None:
        """A step that was left out ends a training step all the same."""
        optimizer, before = token
        if error is None and self._last_optimizer_end == before:
            self._last_optimizer_end = now
            if id(optimizer) not in self._known:
                self._remember(optimizer)
            self._detector.optimizer_step(id(optimizer))

    # Stalls

    def save_begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int | None:
        """torch.save; one in another thread does not hold up training."""
        return now if self._step is not None and get_ident() == self._thread else None

    def save_ends(self, begin: int, now: int, result: Any, error: BaseException | None) -> None:
        """The file is written."""
        if self._step is not None:
            self._step.add_stall("checkpoint", now - begin)
            if self.session is not None:
                self.session.event("checkpoint", ns=now - begin)

    def collecting(self, phase: str, info: Mapping[str, int]) -> None:
        """Gc callback: Python's collector holds up every thread."""
        if phase == "start":
            self._gc_begin = now_ns()
        elif self._gc_begin and self._step is not None:
            duration = now_ns() - self._gc_begin
            self._step.add_stall("gc", duration)
            if duration > LONG_GC_NS and self.session is not None:
                self.session.event("gc", ns=duration, generation=info.get("generation"))

    def _evaluation(self, step: OpenStep, duration: int) -> None:
        if self.session is not None:
            self.session.event("evaluation", ns=duration)

    # The script's own words

    def explicit_step(self) -> None:
        """The script says that a step ends here; from now on nothing else does."""
        now = now_ns()
        self._detector.explicit = True
        self._thread = get_ident()
        if self._step is None:
            self._open(now)
        else:
            self._detector.close()
            self._boundary(now)

    def infer_steps(self) -> None:
        """The part of the script that marked its steps is over."""
        self._detector.explicit = False

    def region_begins(self, name: str) -> tuple[str, int, int]:
        """The script says what it does from here."""
        return name, now_ns(), self._step.stall(name) if self._step is not None else 0

    def region_ends(self, token: tuple[str, int, int]) -> None:
        """It is done. The names of stalls join what the hooks saw; nothing is counted twice."""
        now, step = now_ns(), self._step
        if step is None:
            return
        name, begin, before = token
        if begin < step.start:  # a step ended inside: the part after the boundary counts
            begin, before = step.start, 0
        if name in ("checkpoint", "evaluation"):
            self._data_wait.step_ends(now)
            step.add_stall(name, max(0, now - begin - (step.stall(name) - before)))
        else:
            step.regions = step.regions or {}
            step.regions[name] = step.regions.get(name, 0) + now - begin

    # Boundaries

    def stop(self, error: BaseException | None = None) -> None:
        """The process, or the recorded part of it, ends: the last step is complete when its optimizer has stepped.

        `error` is the exception that ended it; without one, what Python has printed on its way out.
        """
        if self._stopped:
            return
        with suppress(Exception):
            if self._step is not None and self._detector.can_close and not self._detector.explicit:
                self._detector.close()
                self._boundary(self._last_optimizer_end)
        self.disarm_all()
        session = self.session
        if session is None:
            return
        if self._crew is not None:
            self._crew.stop()
        with suppress(Exception):
            self._settling.finish(self._timer)
        session.close(*_how_it_ends(type(error) if error else getattr(sys, "last_type", None), error))

    def _open(self, now: int) -> OpenStep:
        self._hide_from_compiler()
        self._step = OpenStep(0, now, "warmup")
        return self._step

    def _boundary(self, now: int) -> None:
        """The open step ends at `now` and the next one begins."""
        ended = self._step
        if ended is None:
            self._open(now)
            return
        if not self._hidden:
            self._hide_from_compiler()
        if self._data_wait.group is not None:
            self._data_wait.step_ends(now)
        session = self.session or self._open_session()
        if session is None:
            return
        phase = session.phase
        wall = now - ended.start
        record = ended.record = {
            "n": ended.number,
            "t": ended.start + self._unix_offset,
            "wall": wall,
            "phase": phase if phase in ("traced", "unsteady") else ended.phase,  # the former begin during a step
            "micro": ended.micro,
        }
        number = session.current_step = ended.number + 1
        step = self._step = OpenStep(number, now, phase)
        if number >= self._sample or ended.sampled:
            self._mark(ended, step)
        if self._optimizing is not None:  # a closure's backward closed the step before: this one begins here
            self._optimizing_since = now
            self._closure_ns = 0
        if phase == "warmup" and self._warmup.is_over(wall):
            session.phase = "baseline"
        if self._crew is not None:
            self._crew.on_step(record)
        step.phase = session.phase
        if ended.event is None and not self._settling.waiting:
            session.lines.append((rundir.STEPS, ended.line))
        else:
            self._settling.add(ended, self._timer)

    def _mark(self, ended: OpenStep, step: OpenStep) -> None:
        """One event for the end of a sampled step and for the beginning of the next one when it is sampled too."""
        if step.number > self._sample:
            self._sample = next_sampled(step.number)
        step.sampled = step.number == self._sample
        if self._timer is not None and (step.sampled or ended.event is not None):
            event = ended.end_event = self._timer.mark()
            ended.keeps_end = not step.sampled
            if step.sampled:
                step.event = event

    def _hide_from_compiler(self) -> None:
        """Tell Dynamo, once it is loaded, not to look into our code when it compiles code that calls an optimizer."""
        if not self._hidden and "torch._dynamo.trace_rules" in sys.modules:
            self._hidden = True
            with suppress(Exception):
                sys.modules["torch._dynamo.trace_rules"].add(__package__)

    def _open_session(self) -> Session | None:
        """After the first step: the files, then the collectors. Without files (no space, no rights) nothing is done."""
        try:
            session = Session(self._run_dir(), self._options, unix_ns=self._unix_ns, perf_ns=self._perf_ns)
        except Exception:
            self.disarm_all()
            return None
        self.session = session
        session.loaders, session.optimizers = self._loaders, self._optimizers
        optimizers = [one for one in (reference() for reference in self._optimizers) if one is not None]
        with suppress(Exception):
            session.models = find_models(optimizers)
        with suppress(Exception):
            self._timer = self._data_wait.timer = DeviceTimer.of(_device_of(optimizers))
        self._crew = Crew(session, list(self.hooks.values()))
        return session

    # Small things

    def _is_training_thread(self) -> bool:
        """Whether this thread trains: the one of the first backward or optimizer step outside a backward."""
        thread = get_ident()
        if self._thread is None:
            self._thread = thread
            if self._fetch_thread not in (None, thread):  # a prefetcher fetches: the loop itself has no loader
                self._detector = StepDetector()
                self._data_wait.backward(False)
        return thread == self._thread

    def _remember(self, optimizer: Any) -> None:
        self._known.add(id(optimizer))
        self._optimizers.append(weakref.ref(optimizer))

    def _training_loader(self, loader: Any) -> None:
        """`loader` has fed a training step for the first time; an iterator of unknown origin stands for its loader."""
        if loader is not None:
            self._loaders.append(weakref.ref(loader))

    def _write(self, step: OpenStep) -> None:
        if self.session is not None:
            self.session.lines.append((rundir.STEPS, step.line))

    def _report(self, name: str, reason: str) -> None:
        if self.session is not None:
            self.session.disarm(name, reason)


def _device_of(optimizers: list[Any]) -> Any:
    """The device of the first parameter that is trained."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                return parameter.device
    return None


def _how_it_ends(kind: type[BaseException] | None, error: BaseException | None) -> tuple[str, str | None]:
    """What rank.json says of the end; sys.exit() is no exception."""
    if kind is None or issubclass(kind, SystemExit):
        return "exit", None
    if issubclass(kind, KeyboardInterrupt):
        return "signal", "SIGINT"
    return "exception", f"{kind.__name__}: {error or getattr(sys, 'last_value', '')}"[:500]
