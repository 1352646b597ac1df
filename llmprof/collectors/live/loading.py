"""How long do DataLoader workers take to make a batch, without touching the dataset, the batch or its way?

A worker makes a batch in `fetch`, which asks `auto_collation` whether to make a list of samples, reads the dataset and
calls `collate_fn`. Two stand-ins that travel to the workers note the time at these two places, in memory that is
shared with the training process: the batch itself is never wrapped, so nothing has to be unwrapped, and a worker's
traceback shows no frame of this file. A training process that makes its batches itself does so in the same `fetch`,
and counts as its only worker. Imported in workers: standard library only, and nothing heavy.
"""

from __future__ import annotations

import functools
import sys
import weakref
from array import array
from collections.abc import Callable
from contextlib import suppress
from importlib.machinery import PathFinder
from time import perf_counter_ns, thread_time_ns
from typing import Any

__all__ = ["Collated", "Loads", "Ring", "Started", "why_not_measured"]

SLOTS, LEAST_SLOTS, ALL_SLOTS = 512, 64, 8192
"""Batches of one worker that are remembered until they are read; older ones are lost, and counted as lost. Of very many
workers fewer each: the memory is cleared when an iterator is made."""
COLUMNS = 3
"""Of each: when it was begun, when it was done (perf_counter_ns), and the CPU time of the worker between them."""
AT_A_TIME = 256
"""Batches in one line at most; of more, every second, third, ... is written."""
KNOWN_ITERATORS = {
    ("torch.utils.data.dataloader", "_MultiProcessingDataLoaderIter"),
    ("torchdata.stateful_dataloader.stateful_dataloader", "_StatefulMultiProcessingDataLoaderIter"),
}
"""What they do with the two arguments is known; a class of somebody else's might use them in another way."""
KNOWN_ALONE = ("torch.utils.data.dataloader", "_SingleProcessDataLoaderIter")
"""The same without workers."""

_reasons: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


class Ring:
    """The last batches of each worker; a worker writes its own row, the training process reads them all.

    A row is the number of batches made so far, then as many slots of COLUMNS integers.
    """

    __slots__ = ("_begun", "_row", "_slots", "_worked", "cells", "workers")

    def __init__(self, workers: int, cells: Any = None) -> None:
        self.workers = workers
        self._slots = max(LEAST_SLOTS, min(SLOTS, ALL_SLOTS // workers))
        self._begun = self._worked = 0
        self._row: int | None = None
        if cells is None:
            from multiprocessing.sharedctypes import RawArray

            cells = RawArray("q", workers * (1 + COLUMNS * self._slots))
        self.cells = cells

    @classmethod
    def here(cls) -> Ring:
        """Of batches that this process makes itself: nobody else writes or reads them."""
        ring = cls(1, array("q", bytes(8 * (1 + COLUMNS * SLOTS))))
        ring._row = 0
        return ring

    def __reduce__(self) -> tuple[Any, ...]:
        return Ring, (self.workers, self.cells)

    def begin(self) -> None:
        """A worker begins a batch."""
        self._worked, self._begun = thread_time_ns(), perf_counter_ns()

    def end(self) -> None:
        """It is done; never raises, and does nothing outside a worker."""
        done, begun = perf_counter_ns(), self._begun
        self._begun = 0
        if not begun:
            return
        try:
            if self._row is None:
                info = sys.modules["torch.utils.data"].get_worker_info()
                self._row = (1 + COLUMNS * self._slots) * info.id
            row, cells = self._row, self.cells
            made = cells[row]
            at = row + 1 + COLUMNS * (made % self._slots)
            cells[at], cells[at + 1], cells[at + 2] = begun, done, thread_time_ns() - self._worked
            cells[row] = made + 1
        except Exception:  # nothing of ours may end a worker
            self._row = None

    def read(self, worker: int, after: int) -> tuple[int, list[tuple[int, int, int]]]:
        """(batches made so far, (begun, done, CPU) of those after the first `after` that are still there)."""
        row = worker * (1 + COLUMNS * self._slots)
        made = self.cells[row]
        found = []
        # The slot after the newest may be half written by now: one less than all of them is read.
        for number in range(max(after, made - self._slots + 1), made):
            at = row + 1 + COLUMNS * (number % self._slots)
            begun, done, worked = self.cells[at : at + COLUMNS]
            if 0 < begun <= done:  # else another processor's writes have not all arrived
                found.append((begun, done, worked))
        return made, found


class Started:
    """Stands for `auto_collation` in a worker: whoever asks whether it is true begins a batch."""

    __slots__ = ("_ring", "_value")

    def __init__(self, value: bool, ring: Ring) -> None:
        self._value = value
        self._ring = ring

    def __reduce__(self) -> tuple[Any, ...]:
        return Started, (self._value, self._ring)

    def __bool__(self) -> bool:
        ring = self._ring  # as its begin() does: a call costs more than this line where training fills the caches
        ring._worked, ring._begun = thread_time_ns(), perf_counter_ns()
        return self._value


class _Call(functools.partial):  # type: ignore[type-arg]
    """One call of the user's function: gone, and noted, as soon as that has returned or raised."""

    ring: Ring

    def __del__(self) -> None:
        self.ring.end()


class _Calling:
    """Gives Python the function that it is to call: what runs then is the user's own, with no frame of ours below."""

    def __get__(self, collated: Collated | None, owner: type) -> Any:
        if collated is None:
            return self
        call = _Call(collated.function)
        call.ring = collated.ring
        return call


class Collated:
    """Stands for `collate_fn` in a worker, and notes when it has returned."""

    __slots__ = ("function", "ring")
    __call__ = _Calling()

    def __init__(self, function: Callable[[Any], Any], ring: Ring) -> None:
        self.function = function
        self.ring = ring

    def __reduce__(self) -> tuple[Any, ...]:
        return Collated, (self.function, self.ring)


class Loads:
    """The rings of all iterators with workers, and what has been read of them."""

    def __init__(self) -> None:
        self._watched: list[_Watched] = []

    def watch(self, iterator: Any, loader: Any) -> None:
        """Measure a new iterator of `loader`, whose workers, if any, have not been started yet."""
        kind = type(iterator)
        if not getattr(iterator, "_num_workers", 0):
            if (kind.__module__, kind.__qualname__) == KNOWN_ALONE and callable(iterator._collate_fn):
                self._noted(Ring.here(), iterator, loader)
        elif (kind.__module__, kind.__qualname__) not in KNOWN_ITERATORS:
            _note(loader, f"it has an iterator of its own ({kind.__qualname__})")
        elif not callable(iterator._collate_fn) or not _reaches_workers(loader):
            _note(loader, "llmprof cannot be imported in its workers; install it into their environment")
        else:
            self._noted(Ring(iterator._num_workers), iterator, loader)
            _note(loader, "")

    def _noted(self, ring: Ring, iterator: Any, loader: Any) -> None:
        """Have the batches of this iterator noted in `ring`."""
        iterator._auto_collation = Started(bool(iterator._auto_collation), ring)
        iterator._collate_fn = Collated(iterator._collate_fn, ring)
        self._watched.append(_Watched(ring, iterator, loader))

    def __bool__(self) -> bool:
        return bool(self._watched)

    def line(self, loaders: list[weakref.ref[Any]], unix_offset: int) -> dict[str, Any]:
        """What the workers of the training loaders (their numbers are places in `loaders`) have made since the last.

        For any thread, but one at a time. Times are unix ns; an iterator that is gone is read a last time.
        """
        columns: dict[str, list[int]] = {name: [] for name in ("loader", "worker", "start", "ns", "cpu")}
        made = lost = 0
        rows: list[tuple[int, ...]] = []
        for watched in list(self._watched):
            over = watched.iterator() is None
            number = watched.number_in(loaders)
            if number is not None:
                found, more, gone = watched.read()
                made, lost = made + more, lost + gone
                rows.extend((number, *row) for row in found)
            if over:
                self._watched.remove(watched)
        rows.sort(key=lambda row: row[2])
        for number, worker, begun, done, worked in rows[:: max(1, -(-len(rows) // AT_A_TIME))]:
            row = (number, worker, begun + unix_offset, done - begun, worked)
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
        return {"made": made, "lost": lost, **columns}


class _Watched:
    """One iterator's ring, and how far it has been read."""

    def __init__(self, ring: Ring, iterator: Any, loader: Any) -> None:
        self.ring = ring
        self.iterator = weakref.ref(iterator)
        self._loader = weakref.ref(loader)
        self._number: int | None = None
        self._read = [0] * ring.workers

    def number_in(self, loaders: list[weakref.ref[Any]]) -> int | None:
        """The place of this iterator's loader among those that train; a loader that is gone left its iterator there."""
        if self._number is None:
            # Two references to one object are the same reference, also when that object is gone.
            owners = (self._loader, self.iterator)
            places = (n for n, known in enumerate(list(loaders)) if any(known is one for one in owners))
            self._number = next(places, None)
        return self._number

    def read(self) -> tuple[list[tuple[int, ...]], int, int]:
        """((worker, begun, done, CPU) of each new batch, how many were made, how many of them are lost)."""
        rows: list[tuple[int, ...]] = []
        new = 0
        for worker in range(self.ring.workers):
            made, found = self.ring.read(worker, self._read[worker])
            new += made - self._read[worker]
            self._read[worker] = made
            rows.extend((worker, *one) for one in found)
        return rows, new, new - len(rows)


def why_not_measured(loader: Any) -> str | None:
    """Why nothing is known of what this loader's workers take for a batch; None when it is, or without workers."""
    workers = getattr(loader, "num_workers", getattr(loader, "_num_workers", 0))
    if not workers or isinstance(getattr(loader, "_collate_fn", None), Collated):
        return None
    try:
        return _reasons.get(loader, "its workers were started before the recording") or None
    except TypeError:  # a subclass that cannot be hashed or referenced
        return "its class cannot be referenced weakly"


def _note(loader: Any, reason: str) -> None:
    """Remember the reason; an empty one says that it is measured."""
    with suppress(TypeError):  # as in why_not_measured
        _reasons[loader] = reason


def _reaches_workers(loader: Any) -> bool:
    """Whether workers of this loader can import this module: forked ones have it."""
    context = getattr(loader, "multiprocessing_context", None) or sys.modules["torch.multiprocessing"]
    if context.get_start_method() == "fork":
        return True
    # A worker gets this process' sys.path; from a package that was loaded past it, it could not import anything.
    return PathFinder.find_spec(__name__.partition(".")[0], [entry for entry in sys.path if entry]) is not None
