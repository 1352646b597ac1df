"""Where does the recorder take hold of torch, and how does it let go?

Hooked: next() of DataLoader iterators and their creation, torch.autograd.backward (which Tensor.backward calls), every
optimizer's step through torch's global hooks, GradScaler.step, the functions that save a checkpoint, and Python's
garbage collector.
"""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from llmprof.collectors.live import shortcuts
from llmprof.collectors.live.checkpoints import SAVERS, ImportWatch, places_of
from llmprof.collectors.live.departures import before_exit, when_stepping
from llmprof.collectors.live.evaluations import Evaluations
from llmprof.collectors.live.frameworks.registry import watch_frameworks
from llmprof.collectors.live.hooks import Hook, around, guarded, guarded_step
from llmprof.collectors.live.marks import Marks
from llmprof.collectors.live.out_of_memory import OutOfMemoryObserver
from llmprof.collectors.live.recorder import Recorder

__all__ = ["Injection", "current", "install", "record"]

_current: Injection | None = None
_fork_watched = False
_settings: Mapping[str, Any] | None = None
"""Of `llmprof run`; None when the script has asked for the recording itself."""


def current() -> Injection | None:
    """The recording of this process; None when there is none."""
    return _current if _current is not None and _current.alive else None


def install(settings: Mapping[str, Any], *, late: bool = False) -> Injection:
    """Record this process, which has imported torch, as the settings file of `llmprof run` says.

    With `late`, only an optimizer hook is set until an optimizer steps: in the many spawned processes that never train
    nothing else is touched.
    """
    global _settings
    _settings = settings
    options = settings.get("options") or {}
    injection = record(lambda: Path(settings["run_dir"]), options, late=late)
    if "fixes" in options:  # a run of `llmprof try`
        from llmprof.collectors.live.fixes.applying.trial import begin_trial

        begin_trial(options["fixes"], lambda: injection.recorder.session)
    return injection


def record(run_dir: Callable[[], Path], options: Mapping[str, Any], *, late: bool = False) -> Injection:
    """Start recording this process; `run_dir` is asked for after the first step. The first recording wins."""
    global _current
    if current() is None:
        _current = Injection(Recorder(run_dir, options), options, late=late)
    assert _current is not None
    return _current


class Injection:
    """The hooks of one recording, from their installation to `remove`."""

    def __init__(self, recorder: Recorder, options: Mapping[str, Any], *, late: bool = False) -> None:
        self.recorder = recorder
        self.marks = Marks(recorder)
        self.alive = True
        self._pid = os.getpid()
        self._undo: list[Callable[[], Any]] = []
        self._complete = False
        self._optimizer = recorder.hook("optimizer")
        self._memory = OutOfMemoryObserver(recorder, history=bool(options.get("memory_history")))
        self._memory.watch()
        self._hook_optimizers(late=late)
        if not late:
            self._hook_the_rest()
        atexit.register(self.stop)
        _watch_forks()

    def marked(self, trainer: str, which: Any) -> None:
        """A callback of a framework says that a step ends here; `which` is what the framework calls it."""
        self.recorder.hooks["optimizer"].run(self.marks.step_ends, trainer, which)

    def stop(self, error: BaseException | None = None) -> None:
        """End the recording; files are complete afterwards. Not in a forked child, whose parent goes on."""
        if self.alive and os.getpid() == self._pid:
            with suppress(Exception):
                self._memory.finish(error)
            self.recorder.stop(error)
        self.remove()

    def remove(self) -> None:
        """Take every hook out again; one that somebody else has wrapped since stays, and does nothing."""
        self.alive = False
        self.recorder.disarm_all()
        with suppress(Exception):
            self._memory.close()
        while self._undo:
            with suppress(Exception):
                self._undo.pop()()
        atexit.unregister(self.stop)

    def _hurry(self, status: int) -> None:
        """Keep what was recorded so far, because os._exit ends the process now."""
        session = self.recorder.session
        if self.alive and os.getpid() == self._pid and session is not None:
            for call in session.before_flush:
                call()
            session.close("exit", f"os._exit({status})")

    def _hook_optimizers(self, *, late: bool) -> None:
        from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

        def stepped(optimizer: Any, args: Any, kwargs: Any) -> None:
            if not self._complete:
                self._hook_the_rest()
            self.recorder.optimizer_ends(optimizer, args, kwargs)

        if late:
            ends = guarded_step(self._optimizer, stepped)
        else:
            ends = guarded_step(self._optimizer, self.recorder.optimizer_ends)
            ends = shortcuts.optimizer_ends(self.recorder, self._optimizer, ends)
        self._undo.append(register_optimizer_step_post_hook(ends).remove)
        self._wrap(self._optimizer, [(Optimizer, "__init__")], self.recorder.optimizer_made, _nothing)

    def _hook_the_rest(self) -> None:
        import torch
        from torch.optim.optimizer import register_optimizer_step_pre_hook
        from torch.utils.data import dataloader

        self._complete = True
        recorder = self.recorder
        begins = guarded_step(self._optimizer, recorder.optimizer_begins)
        begins = shortcuts.optimizer_begins(recorder, self._optimizer, begins)
        self._undo.append(register_optimizer_step_pre_hook(begins).remove)
        collecting = guarded(recorder.hook("gc"), recorder.stalls.collecting)
        gc.callbacks.append(collecting)
        self._undo.append(lambda: gc.callbacks.remove(collecting))
        iterators, loader = dataloader._BaseDataLoaderIter, recorder.hook("loader")
        self._wrap(loader, [(iterators, "__next__")], recorder.fetch_begins, recorder.fetch_ends, shortcuts.fetch)
        made = [(dataloader.DataLoader, "__iter__")]
        self._wrap(loader, made, recorder.loaders.iterator_begins, recorder.loaders.iterator_ends)
        loads = recorder.hook("loads")
        for method in ("__init__", "_reset"):
            self._wrap(loads, [(iterators, method)], recorder.loaders.start_begins, recorder.loaders.start_ends)
        backward = recorder.hook("backward")
        backwards = recorder.backward_begins, recorder.backward_ends
        self._wrap(backward, [(torch.autograd, "backward")], *backwards, shortcuts.backward)
        scaler = recorder.hook("grad_scaler")
        self._wrap(scaler, [(torch.amp.GradScaler, "step")], recorder.scaler_begins, recorder.scaler_ends)
        saves = [(torch, "save"), (torch.serialization, "save")]
        checkpoint = recorder.hook("checkpoint")
        self._wrap(checkpoint, saves, partial(recorder.stalls.save_begins, "torch.save"), recorder.stalls.save_ends)

        def more(module: ModuleType) -> None:
            for name in SAVERS[module.__name__]:
                places = places_of(module, name)
                if places:
                    begins = partial(recorder.stalls.save_begins, f"{module.__name__}.{name}")
                    self._wrap(checkpoint, places, begins, recorder.stalls.save_ends)

        self._undo.append(ImportWatch(list(SAVERS), more).remove)
        evaluating = recorder.hook("evaluation")
        evaluations = Evaluations(recorder, evaluating)
        self._wrap(evaluating, [(torch.nn.Module, "eval")], evaluations.begins, _nothing)
        self._undo.append(evaluations.close)
        self._undo.append(watch_frameworks(recorder, self.marks, self._wrap))
        self._undo.append(before_exit(self._hurry, self.stop))

    def _wrap(self, hook: Hook, places: list[tuple[Any, str]], before: Any, after: Any, shortcut: Any = None) -> None:
        """Put one wrapper in all places that hold the same function, so that pickling by name still finds it."""
        original = getattr(*places[0], None)
        if original is None:
            owner, name = places[0]
            hook.fail(AttributeError(f"there is no {getattr(owner, '__name__', owner)}.{name} in this version"))
            return
        wrapper = around(hook, original, before, after)
        if shortcut is not None:
            wrapper = shortcut(self.recorder, hook, wrapper)
        for owner, name in places:
            setattr(owner, name, wrapper)
            self._undo.append(lambda owner=owner, name=name: self._restore(owner, name, wrapper, original))  # type: ignore[misc]

    @staticmethod
    def _restore(owner: Any, name: str, wrapper: Any, original: Any) -> None:
        if getattr(owner, name) is wrapper:
            setattr(owner, name, original)


def _nothing(token: Any, now: int, result: Any, error: BaseException | None) -> None:
    """What follows a call of which only the beginning matters."""


def _watch_forks() -> None:
    """A forked child (a DataLoader worker) has our hooks but not our threads: it begins anew, and only if it trains."""
    global _fork_watched
    if not _fork_watched and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_begin_anew)
        _fork_watched = True


def _begin_anew() -> None:
    parent, settings = _current, _settings
    if parent is None or not parent.alive:
        return  # forked from a child that waits for its first step: so does this one
    parent.remove()
    if settings is not None:
        when_stepping(lambda: install(settings, late=True))
