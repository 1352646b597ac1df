"""Where does the recorder take hold of torch, and how does it let go?

Hooked: next() of DataLoader iterators and their creation, torch.autograd.backward (which Tensor.backward calls), every
optimizer's step through torch's global hooks, GradScaler.step, torch.save, and Python's garbage collector.
"""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmprof.collectors.live.hooks import Hook, around, guarded
from llmprof.collectors.live.recorder import Recorder

__all__ = ["Injection", "current", "install", "record"]

_current: Injection | None = None
_fork_watched = False


def current() -> Injection | None:
    """The recording of this process; None when there is none."""
    return _current if _current is not None and _current.alive else None


def install(settings: Mapping[str, Any], *, late: bool = False) -> Injection:
    """Record this process, which has imported torch, as the settings file of `llmprof run` says.

    With `late`, only an optimizer hook is set until an optimizer steps: in the many spawned processes that never train
    nothing else is touched.
    """
    return record(lambda: Path(settings["run_dir"]), settings.get("options") or {}, late=late)


def record(run_dir: Callable[[], Path], options: Mapping[str, Any], *, late: bool = False) -> Injection:
    """Start recording this process; `run_dir` is asked for after the first step. The first recording wins."""
    global _current
    if current() is None:
        _current = Injection(Recorder(run_dir, options), late=late)
    assert _current is not None
    return _current


class Injection:
    """The hooks of one recording, from their installation to `remove`."""

    def __init__(self, recorder: Recorder, *, late: bool = False) -> None:
        self.recorder = recorder
        self.alive = True
        self._pid = os.getpid()
        self._undo: list[Callable[[], Any]] = []
        self._complete = False
        self._optimizer = recorder.hook("optimizer")
        self._hook_optimizers(late=late)
        if not late:
            self._hook_the_rest()
        atexit.register(self.stop)
        _watch_forks()

    def stop(self, error: BaseException | None = None) -> None:
        """End the recording; files are complete afterwards. Not in a forked child, whose parent goes on."""
        if self.alive and os.getpid() == self._pid:
            self.recorder.stop(error)
        self.remove()

    def remove(self) -> None:
        """Take every hook out again; one that somebody else has wrapped since stays, and does nothing."""
        self.alive = False
        self.recorder.disarm_all()
        while self._undo:
            with suppress(Exception):
                self._undo.pop()()
        atexit.unregister(self.stop)

    def _hook_optimizers(self, *, late: bool) -> None:
        from torch.optim.optimizer import register_optimizer_step_post_hook

        def stepped(optimizer: Any, args: Any, kwargs: Any) -> None:
            if not self._complete:
                self._hook_the_rest()
            self.recorder.optimizer_ends(optimizer, args, kwargs)

        ends = guarded(self._optimizer, stepped if late else self.recorder.optimizer_ends)
        self._undo.append(register_optimizer_step_post_hook(ends).remove)

    def _hook_the_rest(self) -> None:
        import torch
        from torch.optim.optimizer import register_optimizer_step_pre_hook
        from torch.utils.data import dataloader

        self._complete = True
        recorder = self.recorder
        begins = guarded(self._optimizer, recorder.optimizer_begins)
        self._undo.append(register_optimizer_step_pre_hook(begins).remove)
        collecting = guarded(recorder.hook("gc"), recorder.collecting)
        gc.callbacks.append(collecting)
        self._undo.append(lambda: gc.callbacks.remove(collecting))
        iterators, loader = dataloader._BaseDataLoaderIter, recorder.hook("loader")
        self._wrap(loader, [(iterators, "__next__")], recorder.fetch_begins, recorder.fetch_ends)
        made = [(dataloader.DataLoader, "_get_iterator")]
        self._wrap(loader, made, recorder.iterator_begins, recorder.iterator_ends)
        backward = recorder.hook("backward")
        self._wrap(backward, [(torch.autograd, "backward")], recorder.backward_begins, recorder.backward_ends)
        scaler = recorder.hook("grad_scaler")
        self._wrap(scaler, [(torch.amp.GradScaler, "step")], recorder.scaler_begins, recorder.scaler_ends)
        saves = [(torch, "save"), (torch.serialization, "save")]
        self._wrap(recorder.hook("checkpoint"), saves, recorder.save_begins, recorder.save_ends)

    def _wrap(self, hook: Hook, places: list[tuple[Any, str]], before: Any, after: Any) -> None:
        """Put one wrapper in all places that hold the same function, so that pickling by name still finds it."""
        original = getattr(*places[0], None)
        if original is None:
            owner, name = places[0]
            hook.fail(AttributeError(f"this torch has no {getattr(owner, '__name__', owner)}.{name}"))
            return
        wrapper = around(hook, original, before, after)
        for owner, name in places:
            setattr(owner, name, wrapper)
            self._undo.append(lambda owner=owner, name=name: self._restore(owner, name, wrapper, original))  # type: ignore[misc]

    @staticmethod
    def _restore(owner: Any, name: str, wrapper: Any, original: Any) -> None:
        if getattr(owner, name) is wrapper:
            setattr(owner, name, original)


def _watch_forks() -> None:
    """A forked child (a DataLoader worker) has our hooks but not our threads: nothing is recorded there."""
    global _fork_watched
    if not _fork_watched and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget)
        _fork_watched = True


def _forget() -> None:
    if _current is not None:
        _current.remove()
