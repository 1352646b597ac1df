"""When does an epoch start, what does that cost, and which of a loader's workers are measured?

Hooked are `DataLoader.__iter__`, and what every DataLoader iterator runs through when it is made or started anew: a
subclass may have an `__iter__` of its own that never calls the former.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from llmprof.collectors.live.data_wait import FetchGroup
from llmprof.collectors.live.loading import Loads
from llmprof.collectors.live.session import Session
from llmprof.timeline import rundir

__all__ = ["LoaderWatch"]

READ_EVERY = 16
"""Steps after which the load times that workers have left are read, by the thread that writes."""

MadeIterator = Callable[[Any, Any, int, "int | None"], None]


class LoaderWatch:
    """Sees iterators being made, and writes epoch starts and load times."""

    def __init__(self, made_iterator: MadeIterator, unix_offset: int) -> None:
        """`unix_offset` is what makes unix ns of perf_counter_ns."""
        self._made_iterator = made_iterator
        self._unix_offset = unix_offset
        self._loads = Loads()
        self._session: Session | None = None
        self._early: list[dict[str, Any]] = []
        self.training: list[weakref.ref[Any]] = []
        """The loaders that have fed a training step."""
        self.next_step = 0
        """The step at which `read_loads` wants to be called."""

    def trained_on(self, loader: Any) -> None:
        """`loader`, or an iterator of unknown origin (None), has fed a training step for the first time."""
        if loader is not None:
            self.training.append(weakref.ref(loader))

    def iterator_begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, int]:
        """DataLoader.__iter__ makes an iterator, or starts the one that the loader keeps anew."""
        return args[0], now

    def iterator_ends(self, token: tuple[Any, int], now: int, iterator: Any, error: BaseException | None) -> None:
        """It is ready to be asked."""
        if error is None:
            self._made_iterator(iterator, token[0], token[1], now)

    def start_begins(
        self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Any, Any, int, bool] | None:
        """__init__ or _reset of an iterator; the latter is a part of the former unless it starts another epoch."""
        iterator, loader, *rest = (*args, *kwargs.values())
        new = not hasattr(iterator, "_num_yielded")
        return (iterator, loader, now, new) if new or not any(rest) else None

    def start_ends(self, token: tuple[Any, Any, int, bool], now: int, result: Any, error: BaseException | None) -> None:
        """It has its settings; a new one has not started its workers yet."""
        iterator, loader, begin, new = token
        if error is None:
            if new:
                self._loads.watch(iterator, loader)
            self._made_iterator(iterator, loader, begin, None)

    def epoch(self, group: FetchGroup) -> None:
        """The first batch of an epoch has been trained on."""
        if group.iterator_ns is None or group.first_batch_ns is None:
            return
        cost = group.ending_ns + group.iterator_ns + group.first_batch_ns
        group.step.epoch_start += cost
        event = {
            "t": group.fetch_begin + self._unix_offset,
            "kind": "epoch",
            "step": group.step.number,
            "ns": cost,
            "ending": group.ending_ns,
            "iterator": group.iterator_ns,
            "first_batch": group.first_batch_ns,
        }
        if self._session is None:
            self._early.append(event)
        else:
            self._session.append(rundir.EVENTS, event)

    def opened(self, session: Session) -> None:
        """There is a session: what has been noted goes there."""
        self._session = session
        for event in self._early:
            session.append(rundir.EVENTS, event)

    def read_loads(self, number: int) -> None:
        """At the boundary before step `number`, and at the end: have the load times of the training loaders written."""
        self.next_step = number + READ_EVERY
        if self._loads and self._session is not None:
            self._session.lines.append((rundir.LOADS, partial(self._loads.line, self.training, self._unix_offset)))
