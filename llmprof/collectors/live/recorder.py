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
from statistics import median
from typing import Any

from llmprof.collectors.live.collector import StepRecord
from llmprof.collectors.live.crew import Crew
from llmprof.collectors.live.data_wait import DataWait, Fetch
from llmprof.collectors.live.hooks import Hook
from llmprof.collectors.live.models import find_models
from llmprof.collectors.live.session import Session
from llmprof.collectors.live.step_timer import DeviceTimer, OpenStep, SettlingSteps
from llmprof.collectors.live.stepping import StepDetector
from llmprof.timeline import rundir

__all__ = ["Recorder"]

WARMUP_STEPS = 5
STEADY_STEPS, STEADY_SPREAD = 3, 0.10
WARMUP_AT_MOST = 30
"""Warm-up lasts 5 steps at least, then until 3 in a row are within 10 % of their median, and 30 steps at most: loops
that never settle (variable lengths, noisy machines) are measured too, with the spread that they have."""
LONG_GC_NS = 10_000_000

now_ns = time.perf_counter_ns


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
        self._step: OpenStep | None = None
        self._perf_ns, self._unix_ns = now_ns(), time.time_ns()
        self._walls: list[int] = []
        self._crew: Crew | None = None
        self._loaders: list[weakref.ref[Any]] = []
        self._optimizers: list[weakref.ref[Any]] = []
        self._known: set[int] = set()  # ids of the optimizers in the list
        self._thread: int | None = None  # the one that trains
        self._fetch_thread: int | None = None
        self._fetching = self._in_backward = False
        self._optimizing: tuple[int, int, int] | None = None  # key, begin, ns of forward and backward before it
        self._optimizer_steps = 0
        self._last_optimizer_end = 0
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

    def fetch_begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Fetch | None:
        """next() of a DataLoader iterator; fetches in other threads (prefetchers) and nested ones do not count."""
        thread = threading.get_ident()
        if self._fetching or (self._thread is not None and thread != self._thread):
            return None
        self._fetch_thread = thread
        boundary = self._detector.fetch()
        if boundary:
            self._boundary(now)
        step = self._step or self._open(now)
        self._fetching = True
        return self._data_wait.begin(args[0], step, now_ns(), first=boundary)

    def fetch_ends(self, fetch: Fetch, now: int, batch: Any, error: BaseException | None) -> None:
        """It has returned a batch, ended the epoch or failed."""
        self._fetching = False
        self._data_wait.end(fetch, now, batch, exhausted=isinstance(error, StopIteration))

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
        if self._in_backward or not self._is_training_thread():
            return None
        if self._detector.backward():
            self._boundary(now)
        step = self._step or self._open(now)
        mark = self._data_wait.backward(has_loader=bool(self._detector.has_loader)) or step.last_mark
        if mark is not None:
            # In a closure the forward begins with the optimizer step that calls it.
            mark = mark if self._optimizing is None else max(mark, self._optimizing[1])
            step.add("forward", now - mark)
            step.last_mark = mark
        step.micro += 1
        self._in_backward = True
        return now_ns()

    def backward_ends(self, begin: int, now: int, result: Any, error: BaseException | None) -> None:
        """It has ended."""
        self._in_backward = False
        self._detector.backward_end()
        step = self._step
        if step is not None:
            step.add("backward", now - begin)
            if step.last_mark is not None:
                step.last_mark = now

    def optimizer_begins(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Global pre-hook of Optimizer.step; an optimizer that wraps another one is timed as one."""
        if self._in_backward or self._step is None or not self._is_training_thread():
            return
        if self._optimizing is None or self._optimizing[0] == id(optimizer):
            self._optimizing = (id(optimizer), now_ns(), self._gradient_ns(self._step))

    def optimizer_ends(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Global post-hook; inside a backward of a CUDA graph it comes from autograd's own thread."""
        if not self._in_backward and not self._is_training_thread():
            return
        now = now_ns()
        self._optimizer_steps += 1
        self._last_optimizer_end = now
        self._remember(optimizer)
        step = self._step or self._open(now)
        self._detector.optimizer_step(id(optimizer))
        if self._optimizing is not None and self._optimizing[0] == id(optimizer):
            _, begin, gradients = self._optimizing
            self._optimizing = None
            step.add("optimizer", max(0, now - begin - (self._gradient_ns(step) - gradients)))
            if step.last_mark is not None:
                step.last_mark = now

    def scaler_begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, int] | None:
        """GradScaler.step, which leaves the optimizer out when gradients are infinite."""
        optimizer = kwargs["optimizer"] if "optimizer" in kwargs else args[1]
        return (optimizer, self._optimizer_steps) if self._is_training_thread() else None

    def scaler_ends(self, token: tuple[Any, int], now: int, result: Any, error: BaseException | None) -> None:
        """A step that was left out ends a training step all the same."""
        optimizer, before = token
        if error is None and self._optimizer_steps == before:
            self._last_optimizer_end = now
            self._remember(optimizer)
            self._detector.optimizer_step(id(optimizer))

    # Stalls

    def save_begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int | None:
        """torch.save; one in another thread does not hold up training."""
        return now if self._step is not None and threading.get_ident() == self._thread else None

    def save_ends(self, begin: int, now: int, result: Any, error: BaseException | None) -> None:
        """The file is written."""
        if self._step is not None:
            self._step.add("checkpoint", now - begin)
            if self.session is not None:
                self.session.event("checkpoint", ns=now - begin)

    def collecting(self, phase: str, info: Mapping[str, int]) -> None:
        """Gc callback: Python's collector holds up every thread."""
        if phase == "start":
            self._gc_begin = now_ns()
        elif self._gc_begin and self._step is not None:
            duration = now_ns() - self._gc_begin
            self._step.add("gc", duration)
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
        self._thread = threading.get_ident()
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
        return name, now_ns(), self._step.parts.get(name, 0) if self._step is not None else 0

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
            step.add(name, max(0, now - begin - (step.parts.get(name, 0) - before)))
        else:
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
        self._hide_from_compiler()
        self._data_wait.step_ends(now)
        session = self.session or self._open_session()
        if session is None:
            return
        changed = session.phase in ("traced", "unsteady")  # during this step
        record = ended.record(now, self._unix_ns - self._perf_ns, session.phase if changed else ended.phase)
        event = self._timer.mark() if self._timer is not None else None
        step = self._step = OpenStep(ended.number + 1, now, session.phase, event)
        if self._optimizing is not None:  # a closure's backward closed the step before: this one begins here
            self._optimizing = (self._optimizing[0], now, 0)
        session.current_step = step.number
        if session.phase == "warmup" and self._is_steady(record["wall"]):
            session.phase = "baseline"
        if self._crew is not None:
            self._crew.on_step(record)
        step.phase = session.phase
        self._settling.add(record, ended, event, self._timer)

    def _hide_from_compiler(self) -> None:
        """Tell Dynamo, once it is loaded, not to look into our code when it compiles code that calls an optimizer."""
        if not self._hidden and "torch._dynamo.trace_rules" in sys.modules:
            self._hidden = True
            with suppress(Exception):
                sys.modules["torch._dynamo.trace_rules"].add(__package__)

    def _is_steady(self, wall: int) -> bool:
        self._walls.append(wall)
        recent = self._walls[-STEADY_STEPS:]
        middle = median(recent)
        steady = max(abs(one - middle) for one in recent) <= STEADY_SPREAD * middle
        return (len(self._walls) >= WARMUP_STEPS and steady) or len(self._walls) >= WARMUP_AT_MOST

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
        thread = threading.get_ident()
        if self._thread is None:
            self._thread = thread
            if self._fetch_thread not in (None, thread):  # a prefetcher fetches: the loop itself has no loader
                self._detector = StepDetector()
                self._data_wait.backward(has_loader=False)
        return thread == self._thread

    def _remember(self, optimizer: Any) -> None:
        if id(optimizer) not in self._known:
            self._known.add(id(optimizer))
            self._optimizers.append(weakref.ref(optimizer))

    def _training_loader(self, loader: Any) -> None:
        """`loader` has fed a training step for the first time; an iterator of unknown origin stands for its loader."""
        if loader is not None:
            self._loaders.append(weakref.ref(loader))

    def _gradient_ns(self, step: OpenStep) -> int:
        return step.parts.get("forward", 0) + step.parts.get("backward", 0)

    def _write(self, record: StepRecord) -> None:
        if self.session is not None:
            self.session.append(rundir.STEPS, record)

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
