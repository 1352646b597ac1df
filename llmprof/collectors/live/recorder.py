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

from llmprof.collectors.live.data_wait import DataWait, FetchGroup
from llmprof.collectors.live.finished import FinishedSteps
from llmprof.collectors.live.hooks import Apart, Hook
from llmprof.collectors.live.loaders import LoaderWatch
from llmprof.collectors.live.opening import begin_collecting, hide_from_compiler, how_it_ends
from llmprof.collectors.live.session import Session
from llmprof.collectors.live.stalls import Stalls
from llmprof.collectors.live.step_timer import OpenStep
from llmprof.collectors.live.stepping import StepDetector
from llmprof.collectors.live.updates import UpdateWatch

__all__ = ["Recorder"]

now_ns = time.perf_counter_ns
get_ident = threading.get_ident


class Recorder:
    """One training process. Its methods are called from hooks; an exception switches off that hook alone."""

    def __init__(self, run_dir: Callable[[], Path], options: Mapping[str, Any]) -> None:
        self.session: Session | None = None
        self.hooks: dict[str, Hook] = {}
        self.apart = Apart()
        self._run_dir = run_dir
        self._options = options
        self._detector = StepDetector()
        self.stalls = Stalls(self)
        self._data_wait = DataWait(
            lambda loader: self.loaders.trained_on(loader), self.stalls.evaluated, lambda one: self.loaders.epoch(one)
        )
        self._finished: FinishedSteps | None = None  # once there is a session with collectors
        self._step: OpenStep | None = None
        self._perf_ns, self._unix_ns = now_ns(), time.time_ns()
        self._unix_offset = self._unix_ns - self._perf_ns
        self.loaders = LoaderWatch(self._data_wait.made_iterator, self._unix_offset)
        self._optimizers: list[weakref.ref[Any]] = []
        self._known: set[int] = set()  # ids of the optimizers in the list
        self._thread: int | None = None  # the one that trains
        self._fetch_thread: int | None = None
        self._in_backward = False
        self._updates: UpdateWatch | None = UpdateWatch()
        self._told_by: str | None = None  # where steps end, see marks.py
        self.ignores_fetches = False
        self._optimizing: int | None = None  # key of the optimizer whose step() runs
        self._optimizing_since = 0
        self._closure_ns = 0  # forward and backward inside it
        self._last_optimizer_end = 0
        self.fetch_ends = self._data_wait.end  # a fetch has returned a batch, ended the epoch or failed
        self._hidden = False  # from torch.compile
        self._stopped = False

    def hook(self, name: str) -> Hook:
        """A new hook that reports here."""
        self.hooks[name] = Hook(name, self._report, self.apart)
        return self.hooks[name]

    def disarm_all(self) -> None:
        """Nothing is recorded from now on: in a forked child, or after the end."""
        for hook in self.hooks.values():
            hook.armed = False
        self._stopped = True

    # Fetches

    def fetch_begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> FetchGroup | None:
        """next() of a DataLoader iterator; fetches in other threads (prefetchers) and nested ones do not count."""
        data_wait = self._data_wait
        if data_wait.fetching:
            return None
        thread = get_ident()
        if thread != self._thread:
            if self._thread is not None:
                return None
            self._fetch_thread = thread
        if self._updates is not None:
            self._look_for_updates()
        boundary = self._detector.fetch()
        if boundary:
            self._boundary(now)
        return data_wait.begin(args[0], self._step or self._open(now), now_ns(), boundary)

    # Backward and optimizer

    def backward_begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int | None:
        """An outermost backward in the training thread; those inside (reentrant checkpointing) do not count."""
        if self._in_backward or (get_ident() != self._thread and not self._is_training_thread()):
            return None
        session = self.session
        if session is not None and session.during_step is not None:
            session.during_step()
        if self._updates is not None:
            self._look_for_updates()
            self._updates.backward(kwargs["tensors"] if "tensors" in kwargs else args[0])
        detector, data_wait = self._detector, self._data_wait
        if detector.backward():
            self._boundary(now)
        step = self._step or self._open(now)
        mark = step.last_mark
        if data_wait.group is not None:
            mark = data_wait.backward(bool(detector.has_loader)) or mark
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
        if self._updates is not None:  # the moment after which they come
            self._last_optimizer_end = now
        step = self._step
        if step is not None:
            step.backward += now - begin
            if self._optimizing is not None:
                self._closure_ns += now - begin
            if step.last_mark is not None:
                step.last_mark = now

    def optimizer_begins(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Global pre-hook of Optimizer.step; an optimizer that wraps another one is timed as one."""
        self._updates = None
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
        if self._detector.holds and self._detector.repeats(key):
            self._boundary(now)
        step = self._step or self._open(now)
        if not step.micro and self._data_wait.group is not None and self.hooks["backward"].armed:  # it is not seen
            self._data_wait.backward(bool(self._detector.has_loader))
        closes = self._detector.optimizer_step(key)
        if self._optimizing == key:
            self._optimizing = None
            step.optimizer += max(0, now - self._optimizing_since - self._closure_ns)
            if step.last_mark is not None:
                step.last_mark = now
        if closes:
            self._boundary(now)

    def engine_begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """An engine (DeepSpeed) steps its optimizers, each once, often or not at all: that is one step of one."""
        engine = args[0]
        self._known.add(id(engine))
        self.optimizer_begins(engine, (), {})
        self._detector.engine = id(engine)
        return engine

    def engine_ends(self, engine: Any, now: int, result: Any, error: BaseException | None) -> None:
        """It is done."""
        if error is None:
            self.optimizer_ends(engine, (), {})
        self._detector.engine = None

    def optimizer_made(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Optimizer.__init__."""
        self._detector.made(args[0])

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

    # What is said about steps, see marks.py

    def explicit_step(self, began: int | None = None) -> None:
        """A step ends here, and from now on only where that is said; `began` is its beginning if none was noticed."""
        now = now_ns()
        self._detector.explicit = True
        self._thread = get_ident()
        if self._step is None and began is None:
            self._open(now)
            return
        if self._step is None:
            self._open(began or now)
        self._detector.close()
        self._boundary(now)

    def infer_steps(self, inferred: bool, told_by: str | None = None) -> None:
        """Whether the detector says where steps end, or else the hook of this name; without it the detector again."""
        self._detector.explicit = not inferred
        self._told_by = told_by

    def is_here(self) -> bool:
        """Whether this thread trains, as far as is known."""
        return self._thread in (None, get_ident())

    @property
    def running(self) -> OpenStep | None:
        """The step that is open."""
        return self._step

    @property
    def has_stepped(self) -> bool:
        """Whether an optimizer has stepped in it."""
        return self._detector.can_close

    @property
    def activity(self) -> str:
        """What the open step does at this moment, for the out-of-memory observer, which asks from any thread."""
        if self._in_backward:
            return "backward"
        if self._optimizing is not None:
            return "optimizer"
        return "data" if self._data_wait.fetching else "between steps" if self.has_stepped else "forward"

    def settle_fetches(self, now: int) -> None:
        """What has been fetched and not trained on until now is sorted."""
        self._data_wait.step_ends(now)

    def ignore_fetches(self, ignored: bool) -> None:
        """Fetches from now on are a part of something else, as those inside another fetch are."""
        self._data_wait.fetching = self.ignores_fetches = ignored

    # Boundaries

    def stop(self, error: BaseException | None = None) -> None:
        """The process, or the recorded part of it, ends: the last step is complete when its optimizer has stepped.

        `error` is the exception that ended it; without one, what Python has printed on its way out.
        """
        if self._stopped:
            return
        with suppress(Exception):
            self._look_for_updates()
            if self._step is not None and self._detector.can_close and not self._detector.explicit:
                self._detector.close()
                self._step.drop_stalls_after(self._last_optimizer_end)
                self._boundary(self._last_optimizer_end)
        if self._finished is not None:
            self._finished.stop(self.disarm_all)
        self.disarm_all()
        session = self.session
        if session is None:
            return
        with suppress(Exception):
            self.loaders.read_loads(session.current_step)
        session.close(*how_it_ends(type(error) if error else getattr(sys, "last_type", None), error))

    def _open(self, now: int) -> OpenStep:
        self._hidden = self._hidden or hide_from_compiler()
        step = self._step = OpenStep(0, now, "warmup")
        return step

    def _boundary(self, now: int) -> None:
        """The open step ends at `now` and the next one begins."""
        ended = self._step
        if ended is None:
            self._open(now)
            return
        if not self._hidden:
            self._hidden = hide_from_compiler()
        if self._data_wait.group is not None:
            self._data_wait.step_ends(now)
        finished = self._finished or self._open_session(ended)
        session = self.session
        if finished is None or session is None:
            return
        phase = session.phase
        if phase is not ended.phase and phase in ("traced", "unsteady"):  # these begin during a step
            ended.phase = phase
        ended.end = now
        finished.aside.append(ended)
        number = session.current_step = ended.number + 1
        step = self._step = OpenStep(number, now, phase)
        if number >= finished.due:
            finished.attend(ended, step)
        if self._optimizing is not None:  # a closure's backward closed the step before: this one begins here
            self._optimizing_since = now
            self._closure_ns = 0

    def open_files(self) -> Session | None:
        """The session with its folder; None, and nothing is recorded, where it cannot be made (no space, no rights)."""
        if self.session is None:
            try:
                session = Session(self._run_dir(), self._options, unix_ns=self._unix_ns, perf_ns=self._perf_ns)
            except Exception:
                self.disarm_all()
                return None
            session.loaders, session.optimizers = self.loaders.training, self._optimizers
            self.session = session
        return self.session

    def _open_session(self, ended: OpenStep) -> FinishedSteps | None:
        """After the first step: the files, when they are not open yet, then the collectors."""
        began = now_ns()
        session = self.open_files()
        if session is None:
            return None
        self.loaders.opened(session)
        optimizers = [one for one in (reference() for reference in self._optimizers) if one is not None]
        optimizers = optimizers or ([self._updates.stand_in()] if self._updates is not None else [])
        self._finished = finished = begin_collecting(
            session, ended, optimizers, self.hooks, self.apart, unix_offset=self._unix_offset, on_many=self._many_ended
        )
        self._data_wait.timer = finished.timer
        self.apart.note("start", began, now_ns())
        return finished

    def _many_ended(self, number: int) -> None:
        """Several steps are over; what is not pressing is done now, at the boundary before step `number`."""
        if number >= self.loaders.next_step:
            self.loaders.read_loads(number)

    # Small things

    def _is_training_thread(self) -> bool:
        """Whether this thread trains: the one of the first backward or optimizer step outside a backward."""
        thread = get_ident()
        if self._thread is None:
            self._thread = thread
            if self._fetch_thread not in (None, thread):  # a prefetcher fetches: the loop itself has no loader
                self._detector.has_loader = None
                self._data_wait.backward(False)
        return thread == self._thread

    def _look_for_updates(self) -> None:
        """An optimizer that is none of torch's counts by what it does to the parameters."""
        if self._updates is not None and self._updates.happened():
            self._detector.optimizer_step(0)

    def _remember(self, optimizer: Any) -> None:
        self._updates = None
        self._known.add(id(optimizer))
        self._optimizers.append(weakref.ref(optimizer))

    def _report(self, name: str, reason: str) -> None:
        if self.session is not None:
            self.session.disarm(name, reason)
        self._go_without(name)

    def _go_without(self, name: str) -> None:
        """A hook is gone: let nothing wait for it; where steps cannot be told apart any more, none is recorded."""
        if name == "loader":
            self._data_wait.group, self._data_wait.fetching = None, False
            self._detector.has_loader = False
            if self._step is not None:  # it ends at another moment than planned
                self._step.phase = "unsteady"
        elif name == "backward":
            self._in_backward = self._detector.in_backward = False
        elif name == self._told_by:
            self.infer_steps(True)
            self.ignore_fetches(False)
        elif name == "optimizer":
            self._step = None
            for hook in self.hooks.values():
                hook.armed = False
            if self._finished is not None:
                self._finished.steps_lost(name)
