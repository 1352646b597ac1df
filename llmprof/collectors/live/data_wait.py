"""How long did training wait for its data loader, and how long for an evaluation?

Fetches of one loader in a row are a group. A group belongs to training when a backward follows it before another
loader is asked; what ends its epoch, or gives way to another loader, without a backward was an evaluation. Loaders that
are fetched in most steps (two loaders zipped together) train as well.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from llmprof.collectors.live.step_timer import DeviceTimer, OpenStep

__all__ = ["DataWait", "Fetch", "queue_depth", "token_count"]

MEASURED_FETCHES = 64
"""Fetches of one group that get CUDA events: an evaluation over thousands of batches must not use up the ring."""
REGULAR_GROUPS = 4
"""Groups after which a loader that takes part in most steps counts as a training loader."""
_DEPTH, _ITEMS = 3, 16  # how far into a batch to look for token ids


class _Loader:
    """What is known of one DataLoader."""

    __slots__ = ("first_step", "groups", "reference", "trained")

    def __init__(self, reference: Callable[[], Any], step: int) -> None:
        self.reference = reference
        self.first_step = step
        self.groups = 0
        self.trained = False

    def is_regular(self, step: int) -> bool:
        return self.groups >= REGULAR_GROUPS and 2 * self.groups >= step - self.first_step + 1


class Fetch:
    """One `next()` of a loader that is under way."""

    __slots__ = ("begin", "event", "group", "queue")

    def __init__(self, group: _Group, begin: int, event: Any, queue: int | None) -> None:
        self.group = group
        self.begin = begin
        self.event = event
        self.queue = queue


class _Group:
    """Fetches of one loader in a row, inside one step; times are perf_counter_ns."""

    __slots__ = ("begin", "checkpoint_before", "count", "end", "events", "events_lost", "exhausted", "loader", "queue",
                 "step", "tokens", "waited")  # fmt: skip

    def __init__(self, loader: _Loader, step: OpenStep, begin: int) -> None:
        self.loader = loader
        self.step = step
        self.begin = begin
        self.end = begin
        self.count = 0
        self.waited = 0
        self.tokens = 0
        self.queue: int | None = None
        self.exhausted = False
        self.events: list[tuple[Any, Any]] = []
        self.events_lost = False
        self.checkpoint_before = step.parts.get("checkpoint", 0)


class DataWait:
    """Sorts fetches into training and evaluation and adds them to the step that was open when they blocked."""

    def __init__(
        self, on_training_loader: Callable[[Any], None], on_evaluation: Callable[[OpenStep, int], None]
    ) -> None:
        self._on_training_loader = on_training_loader
        self._on_evaluation = on_evaluation
        self._loaders: weakref.WeakKeyDictionary[Any, _Loader] = weakref.WeakKeyDictionary()
        self._owners: weakref.WeakKeyDictionary[Any, weakref.ref[Any]] = weakref.WeakKeyDictionary()
        self._group: _Group | None = None
        self.timer: DeviceTimer | None = None

    def made_iterator(self, iterator: Any, loader: Any) -> None:
        """`loader` has made this iterator."""
        self._owners[iterator] = weakref.ref(loader)

    def begin(self, iterator: Any, step: OpenStep, now: int, *, first: bool) -> Fetch:
        """A fetch begins in `step`; `first` when it has just opened the step."""
        loader = self._loader_of(iterator, step.number)
        group = self._group
        if group is not None and (
            group.loader is not loader or group.step is not step or (group.exhausted and group.count > 0)
        ):
            self._settle(group, now=now, backward=False, fetching=True)
            group = None
        if group is None:
            group = self._group = _Group(loader, step, now)
            loader.groups += 1
        event = None
        if self.timer is not None and len(group.events) < MEASURED_FETCHES:
            # The first fetch of a step begins at its boundary: one event serves both.
            event = step.event if first and step.event is not None else self.timer.mark()
        return Fetch(group, now, event, queue_depth(iterator))

    def end(self, fetch: Fetch, now: int, batch: Any, *, exhausted: bool) -> None:
        """The fetch has returned `batch`, ended the epoch (`exhausted`), or raised."""
        group = fetch.group
        group.end = now
        if exhausted:
            group.exhausted = True
        else:
            group.count += 1
            group.exhausted = False
            group.tokens += token_count(batch)
            if group.queue is None:
                group.queue = fetch.queue
        group.waited += now - fetch.begin
        if self.timer is not None:
            after = self.timer.mark() if fetch.event is not None else None
            if after is not None:
                group.events.append((fetch.event, after))
            else:
                group.events_lost = True

    def backward(self, *, has_loader: bool) -> int | None:
        """A backward begins; the end of the training fetch before it, None when there was none."""
        group, self._group = self._group, None
        if group is None:
            return None
        trains = has_loader and (group.loader.trained or not (group.exhausted and group.count > 0))
        return group.end if self._settle(group, now=group.end, backward=trains, fetching=False) else None

    def step_ends(self, now: int) -> None:
        """The step closes; fetches that nothing has followed yet are sorted by what is known of their loader."""
        group, self._group = self._group, None
        if group is not None:
            self._settle(group, now=now, backward=group.loader.trained, fetching=False)

    def _settle(self, group: _Group, *, now: int, backward: bool, fetching: bool) -> bool:
        """Add a finished group to its step; returns whether it belongs to training."""
        step = group.step
        regular = group.loader.is_regular(step.number) and not (group.exhausted and group.count > 1)
        if backward or regular:
            if group.count and not group.loader.trained:
                group.loader.trained = True
                self._on_training_loader(group.loader.reference())
            step.data_wait += group.waited
            step.fetches += group.count or 1  # the one that ended the epoch was waited for as well
            step.tokens += group.tokens
            step.queue = group.queue if step.queue is None else step.queue
            step.fetch_events += group.events
            step.events_lost |= group.events_lost
            return True
        end = now if fetching and not group.exhausted else group.end
        checkpoints = step.parts.get("checkpoint", 0) - group.checkpoint_before
        duration = max(0, end - group.begin - checkpoints)
        step.add("evaluation", duration)
        if group.count:
            self._on_evaluation(step, duration)
        if self.timer is not None:
            self.timer.release(*(event for pair in group.events for event in pair if event is not step.event))
        return False

    def _loader_of(self, iterator: Any, step: int) -> _Loader:
        owner = self._owners.get(iterator)
        key = owner() if owner is not None else None
        key = iterator if key is None else key
        known = self._loaders.get(key)
        if known is None:
            known = self._loaders[key] = _Loader(weakref.ref(key), step)
        return known


def queue_depth(iterator: Any) -> int | None:
    """Batches that workers have ready for this iterator; None for a loader without workers."""
    queue = getattr(iterator, "_data_queue", None)
    tasks = getattr(iterator, "_task_info", None)
    if queue is None or tasks is None:
        return None
    try:
        waiting = int(queue.qsize())
    except NotImplementedError:  # macOS has no sem_getvalue
        return None
    return waiting + sum(len(task) > 1 for task in list(tasks.values()))


def token_count(batch: Any) -> int:
    """Elements of the first integer tensor of two dimensions, (batch, sequence), in a batch; 0 when there is none."""
    tensor = _first_ids(batch, 0)
    return 0 if tensor is None else int(tensor.shape[0]) * int(tensor.shape[1])


def _first_ids(value: Any, depth: int) -> Any:
    items: Any
    if isinstance(value, (list, tuple)):
        items = value[:_ITEMS]
    elif hasattr(value, "dtype"):
        shape = value.shape
        return value if len(shape) == 2 and str(value.dtype) in _INTEGERS else None
    elif isinstance(value, Mapping):
        named = value.get("input_ids")
        items = [*([] if named is None else [named]), *islice(value.values(), _ITEMS)]
    else:
        return None
    if depth < _DEPTH:
        for item in items:
            found = _first_ids(item, depth + 1)
            if found is not None:
                return found
    return None


_INTEGERS = frozenset({"torch.int64", "torch.int32", "int64", "int32"})
