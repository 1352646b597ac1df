"""How does a training script record itself: `with llmprof.profile(...)`, `step()`, `phase(name)`, `wrap(loader)`?

Under `llmprof run` all of these join its recording; where nothing records they do nothing. Recording is all that
happens in the training process: the diagnosis runs in a child process at the end.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from time import perf_counter_ns
from types import TracebackType
from typing import Any

from llmprof.collectors.live import aftermath
from llmprof.collectors.live.hooks import around
from llmprof.collectors.live.injection import Injection, current, record
from llmprof.collectors.live.recorder import Recorder

__all__ = ["phase", "profile", "step", "wrap"]


class profile(contextlib.ContextDecorator):
    """Record the training in a `with` block, in a decorated function or from `start()` to `stop()`, then diagnose it.

    `out` is the run directory, by default a new one under llmprof-runs/. A folder that holds a run already is not
    touched: `runs/x` becomes `runs/x-2`. On several nodes give an `out` on a shared file system. `diagnose=False` only
    records. Options: `baseline_steps`, `trace_steps`, `burst_at`, as of `llmprof run`.
    """

    def __init__(self, out: str | PathLike[str] | None = None, *, diagnose: bool = True, **options: Any) -> None:
        self._out = out
        self._diagnose = diagnose
        self._options = options
        self._own: Injection | None = None
        self._place: aftermath.Place | None = None

    @property
    def run_dir(self) -> Path | None:
        """The run directory; None where nothing is recorded (yet)."""
        found = current()
        if found is not None and found.recorder.session is not None:
            return found.recorder.session.run_dir
        return self._place.directory if self._place is not None else None

    def start(self) -> profile:
        """Begin to record, where no block can be put around it (cells of a notebook)."""
        return self.__enter__()

    def stop(self, error: BaseException | None = None) -> None:
        """End the recording, with the exception that ended the training if there was one, and diagnose it."""
        self.__exit__(None if error is None else type(error), error, None)

    def __enter__(self) -> profile:
        self._own = None
        if current() is None:
            try:
                self._place = aftermath.Place(self._out, self._options)
                self._own = record(self._place.claim, self._options)
            except Exception as error:
                aftermath.say(f"this run is not recorded ({type(error).__name__}: {error}).")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        own, self._own = self._own, None
        if own is None or self._place is None:
            joined = _recording()
            if joined is not None:
                joined.marks.script_is_silent()
            return
        with contextlib.suppress(Exception):
            own.stop(error or SystemExit())  # it ends here; what Python has printed before is another matter
            recorded = own.recorder.session is not None
            self._place.finish(0 if error is None else 1)
            if self._diagnose and recorded and not isinstance(error, KeyboardInterrupt):
                self._place.diagnose()

    def step(self) -> None:
        """See `llmprof.step`."""
        step()

    def phase(self, name: str) -> contextlib.AbstractContextManager[None]:
        """See `llmprof.phase`."""
        return phase(name)

    def wrap(self, loader: Any) -> Any:
        """See `wrap`."""
        return wrap(loader)


def step() -> None:
    """A training step ends here. Once this has been called, it alone says where steps end."""
    found = _recording()
    if found is not None:
        found.recorder.hooks["optimizer"].run(found.marks.script_step)


@contextlib.contextmanager
def phase(name: str) -> Iterator[None]:
    """Name a part of a step; `evaluation` and `checkpoint` are stalls, other names are kept as `regions` of it."""
    found = _recording()
    region = found.marks.region_begins(name) if found is not None else None
    try:
        yield
    finally:
        if found is not None and region is not None:
            found.recorder.hooks["optimizer"].run(found.marks.region_ends, region)


def wrap(loader: Any) -> Any:
    """A loader that is no torch DataLoader, with its waiting measured; a DataLoader is measured as it is."""
    found = _recording()
    if found is None or "loader" not in found.recorder.hooks:
        return loader
    from torch.utils.data import DataLoader

    return loader if isinstance(loader, DataLoader) else _Wrapped(loader, found.recorder)


class _Wrapped:
    """Any iterable that feeds training, passed through."""

    def __init__(self, loader: Any, recorder: Recorder) -> None:
        self._loader = loader
        self._recorder = recorder
        self._next = around(recorder.hooks["loader"], _Batches.take, recorder.fetch_begins, recorder.fetch_ends)

    def __iter__(self) -> _Batches:
        began = perf_counter_ns()
        batches = _Batches(iter(self._loader), self._next)
        self._recorder.loaders.iterator_ends((self, began), perf_counter_ns(), batches, None)
        return batches

    def __len__(self) -> int:
        return len(self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class _Batches:
    """An iterator whose `next` is hooked."""

    def __init__(self, inner: Iterator[Any], hooked: Any) -> None:
        self._inner = inner
        self._hooked = hooked

    def __iter__(self) -> _Batches:
        return self

    def __next__(self) -> Any:
        return self._hooked(self)

    def take(self) -> Any:
        """The next batch, unhooked."""
        return next(self._inner)


def _recording() -> Injection | None:
    return current() if "torch" in sys.modules else None
