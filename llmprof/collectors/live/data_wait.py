"""How long did training wait for its data loader, and how long for an evaluation?

Fetches of one loader in a row are a group. A group belongs to training when a backward follows it before another
loader is asked; what ends its epoch, or gives way to another loader, without a backward was an evaluation. Loaders that
are fetched in most steps (two loaders zipped together) train as well. An epoch starts where a loader makes an iterator,
or starts one that it keeps anew; making it, workers and all, and the wait for its first batch is what that costs.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.device_timer import DeviceTimer
from llmprof.collectors.live.step_timer import OpenStep
from llmprof.collectors.live.tokens import TokenCounter

__all__ = ["DataWait", "FetchGroup", "queue_depth"]

MEASURED_FETCHES = 64
"""Fetches of one group that get CUDA events: an evaluation over thousands of batches must not use up the ring."""
REGULAR_GROUPS = 4
"""Groups after which a loader that takes part in most steps counts as a training loader."""


class _Loader:
    """What is known of one DataLoader."""

    __slots__ = ("first_step", "groups", "reference", "tokens", "trained")

    def __init__(self, reference: Callable[[], Any], step: int) -> None:
        self.reference = reference
        self.first_step = step
        self.groups = 0
        self.trained = False
        self.tokens = TokenCounter()

    def is_regular(self, step: int) -> bool:
        return self.groups >= REGULAR_GROUPS and 2 * self.groups >= step - self.first_step + 1


class FetchGroup:
    """Fetches of one loader in a row, inside one step, of which one may be under way; times are perf_counter_ns."""

    # What most groups never need is not set by each of them.
    count = waited = tokens = checkpoint_before = checkpoints = 0
    queue: int | None = None
    exhausted = events_lost = False
    iterator_ns: int | None = None
    """What making the iterator has taken, where the first batch of an epoch is among these."""
    first_batch_ns: int | None = None
    """The wait for that batch."""
    ending_ns = 0
    """What ending the epoch before has taken, where that was just before."""
    event: Any = None
    """Recorded when the fetch that is under way began."""
    events: list[tuple[Any, Any]] | None = None
    """Before and after each fetch, on a sampled step."""

    def __init__(self, loader: _Loader, step: OpenStep, begin: int) -> None:
        self.loader = loader
        self.step = step
        self.begin = self.end = begin
        self.fetch_begin = begin


class DataWait:
    """Sorts fetches into training and evaluation and adds them to the step that was open when they blocked."""

    def __init__(
        self,
        on_training_loader: Callable[[Any], None],
        on_evaluation: Callable[[OpenStep, int], None],
        on_epoch: Callable[[FetchGroup], None],
    ) -> None:
        self._on_training_loader = on_training_loader
        self._on_evaluation = on_evaluation
        self._on_epoch = on_epoch
        self._loaders: weakref.WeakKeyDictionary[Any, _Loader] = weakref.WeakKeyDictionary()
        self._owners: weakref.WeakKeyDictionary[Any, weakref.ref[Any]] = weakref.WeakKeyDictionary()
        self._starts: weakref.WeakKeyDictionary[Any, tuple[int, int | None]] = weakref.WeakKeyDictionary()
        self._latest: Callable[[], Any] = _nothing  # the iterator that was asked last, and its loader
        self._latest_loader: _Loader | None = None
        self._group: FetchGroup | None = None
        self.pending: OpenStep | None = None
        """The step of a fetch that the shortcut has made, and that is no group until somebody has to know."""
        self.pending_begin = self.pending_tokens = 0
        self.pending_end = 0
        """0 while it is under way."""
        self.fetching = False
        self.timer: DeviceTimer | None = None

    @property
    def group(self) -> FetchGroup | None:
        """Fetches that nothing has followed yet."""
        step, loader = self.pending, self._latest_loader
        if step is not None and loader is not None:
            self.pending = None
            group = self._group = FetchGroup(loader, step, self.pending_begin)
            if self.pending_end:
                group.end = self.pending_end
                group.waited = group.end - group.begin
                group.tokens = self.pending_tokens
                group.count = 1
        return self._group

    @group.setter
    def group(self, group: FetchGroup | None) -> None:
        self._group, self.pending = group, None

    def made_iterator(self, iterator: Any, loader: Any, begin: int, end: int | None) -> None:
        """`loader` has made this iterator, or started it anew; without `end` that took until it is first asked."""
        self._owners[iterator] = weakref.ref(loader)
        self._starts[iterator] = begin, end
        self._latest = _nothing

    def begin(self, iterator: Any, step: OpenStep, now: int, first: bool) -> FetchGroup:
        """A fetch begins in `step`; `first` when it has just opened the step."""
        group = self.group
        loader, start = self._latest_loader, None
        if loader is None or self._latest() is not iterator:
            loader = self._loader_of(iterator, step.number)
            start = self._starts.pop(iterator, None)
        if group is not None and (
            group.loader is not loader or group.step is not step or (group.exhausted and group.count > 0)
        ):
            self._settle(group, now=now, backward=False, fetching=True)
            group = None
        if group is None:
            group = self.group = FetchGroup(loader, step, now)
            loader.groups += 1
            if step.stalls is not None:
                group.checkpoint_before = step.stall("checkpoint")
        else:
            group.fetch_begin = now
        if start is not None:
            group.iterator_ns = (now if start[1] is None else start[1]) - start[0]
            group.first_batch_ns = None
            if group.count == 0:
                group.ending_ns = group.waited
        if step.sampled:
            self._sample(group, iterator, first=first)
        self.fetching = True
        return group

    def end(self, group: FetchGroup, now: int, batch: Any, error: BaseException | None) -> None:
        """The fetch has returned `batch`, ended the epoch (StopIteration), or raised something else."""
        self.fetching = False
        group.end = now
        group.waited += now - group.fetch_begin
        if error is None or not isinstance(error, StopIteration):
            group.exhausted = False
            group.count += 1
            group.tokens += group.loader.tokens.count(batch)
            if group.iterator_ns is not None and group.first_batch_ns is None:
                group.first_batch_ns = now - group.fetch_begin
        else:
            group.exhausted = True
            group.checkpoints = group.step.stall("checkpoint") - group.checkpoint_before
        if group.events is not None:
            # Nothing that runs inside next() begins to capture a CUDA graph: that was asked when it began.
            after = self.timer.mark(ask=False) if self.timer is not None and group.event is not None else None
            if after is not None:
                group.events.append((group.event, after))
            else:
                group.events_lost = True

    def backward(self, has_loader: bool) -> int | None:
        """A backward begins; the end of the training fetch before it, None when there was none."""
        group, self.group = self.group, None
        if group is None:
            return None
        if has_loader and group.loader.trained:  # as nearly always: _settle would do the same
            step = group.step
            if step.fetched is None:
                step.fetched = [group]
            else:
                step.fetched.append(group)
            if group.first_batch_ns is not None:
                self._on_epoch(group)
            return group.end
        trains = has_loader and not (group.exhausted and group.count > 0)
        return group.end if self._settle(group, now=group.end, backward=trains, fetching=False) else None

    def step_ends(self, now: int) -> None:
        """The step closes; fetches that nothing has followed yet are sorted by what is known of their loader."""
        group, self.group = self.group, None
        if group is not None:
            self._settle(group, now=now, backward=group.loader.trained, fetching=False)

    def _sample(self, group: FetchGroup, iterator: Any, *, first: bool) -> None:
        """Note what is read on sampled steps only."""
        step, timer = group.step, self.timer
        if group.count == 0:
            group.queue = queue_depth(iterator)
        if timer is None or step.event is None:
            return
        if group.events is None:
            group.events = []
        if len(group.events) < MEASURED_FETCHES:
            # The first fetch of a step begins at its boundary: one event serves both.
            group.event = step.event if first else timer.mark()
        else:
            group.event = None

    def _settle(self, group: FetchGroup, *, now: int, backward: bool, fetching: bool) -> bool:
        """Add a finished group to its step; returns whether it belongs to training."""
        step, loader = group.step, group.loader
        if backward or (loader.is_regular(step.number) and not (group.exhausted and group.count > 1)):
            if group.count and not loader.trained:
                loader.trained = True
                known = loader.reference()
                self._on_training_loader(known)
                if known is None:  # the loader is gone: from now on its iterator stands for it
                    self._latest = _nothing
            step.fetched = [*(step.fetched or ()), group]
            if group.first_batch_ns is not None:
                self._on_epoch(group)
            return True
        end = now if fetching and not group.exhausted else group.end
        checkpoints = group.checkpoints if group.exhausted else step.stall("checkpoint") - group.checkpoint_before
        duration = max(0, end - group.begin - checkpoints)
        step.add_stall("evaluation", duration)
        if group.count:
            self._on_evaluation(step, duration)
        if self.timer is not None:
            self.timer.release(*(event for pair in group.events or () for event in pair if event is not step.event))
        return False

    def _loader_of(self, iterator: Any, step: int) -> _Loader:
        owner = self._owners.get(iterator)
        key = owner() if owner is not None else None
        key = iterator if key is None else key
        known = self._loaders.get(key)
        if known is None:
            known = self._loaders[key] = _Loader(weakref.ref(key), step)
        self._latest, self._latest_loader = weakref.ref(iterator), known
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


def _nothing() -> None:
    """What a dead weak reference says."""
