"""What would other gradient buckets change? The reductions of a backward pass, replayed one after the other.

A bucket can be reduced when its last gradient is there, and buckets are reduced in order, one at a time. What of this
lies behind the last gradient is the tail, for which the optimizer waits. Larger buckets are recorded ones joined: their
gradients are there when those of the last one are. Smaller ones are not replayed, because a recording does not tell
where one parameter ends and the next begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.call_times import CallTimes
from llmprof.analyzers.facts.communication.transfer_fit import TransferFit
from llmprof.timeline.events import NONE
from llmprof.timeline.intervals import Int64

__all__ = ["Buckets", "buckets_of"]

MIB = 1 << 20
SIZES = tuple(size * MIB for size in (25, 50, 100, 200, 400))
"""Bucket sizes that are tried, bytes; the first is the default of DistributedDataParallel."""
NEARLY = 0.95
FORWARD_SHARE = 0.2
"""A group of which the forward pass launches this share of the calls does not carry gradients."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Buckets:
    """Gradient buckets of the traced backward passes: for each pass their bytes and when they were ready, in order."""

    steps: int
    """Traced steps; a step has several passes where each micro-batch reduces its gradients."""
    sizes: tuple[Int64, ...]
    ready_ns: tuple[Int64, ...]
    fit: TransferFit
    recorded_tail_ns: float
    """From the last gradient of a pass to the end of its last reduction; per step."""

    @property
    def count(self) -> float:
        """Buckets per step."""
        return sum(map(len, self.sizes)) / self.steps

    def count_with(self, at_least: int) -> float:
        """Buckets per step if neighbours are joined until each holds so many bytes."""
        passes = zip(self.sizes, self.ready_ns, strict=True)
        return sum(len(_joined(sizes, ready, at_least)[0]) for sizes, ready in passes) / self.steps

    @property
    def mean_bytes(self) -> float:
        """Bytes of a bucket."""
        return float(np.concatenate(self.sizes).mean())

    def tail_ns(self, *, at_least: int = 0, bytes_factor: float = 1.0, bandwidth_factor: float = 1.0) -> float:
        """The tails by replay, per step.

        at_least            neighbouring buckets are joined until each holds so many bytes
        bytes_factor        every message is so many times as long
        bandwidth_factor    the link is so many times as fast
        """
        tails = []
        for sizes, ready in zip(self.sizes, self.ready_ns, strict=True):
            last = self._last_end(*_joined(sizes, ready, at_least), bytes_factor / bandwidth_factor)
            tails.append(last - ready[-1])
        return float(sum(tails)) / self.steps

    def best_size(self) -> tuple[int, float]:
        """The bucket size in bytes with the shortest tail, and that tail in ns; 0 for the buckets as they are.

        Of sizes that bring nearly all of what the best one brings (NEARLY) the smallest wins: it hides most.
        """
        tails = {size: self.tail_ns(at_least=size) for size in (0, *SIZES)}
        least = min(tails.values())
        size = next(size for size, tail in tails.items() if tails[0] - tail >= NEARLY * (tails[0] - least))
        return size, tails[size]

    def _last_end(self, sizes: Sequence[float], ready: Sequence[float], factor: float) -> float:
        end = 0.0
        for size, begin in zip(sizes, ready, strict=True):
            end = max(end, begin) + self.fit.ns(size * factor)
        return end


def buckets_of(calls: CallTimes, fit: TransferFit | None, microbatches: float | None = None) -> Buckets | None:
    """The buckets of a data-parallel run: its all-reduces of known size that the backward pass launched.

    None without them, or where no fit tells how long another size takes.

    microbatches    batches per step, where known
    """
    chosen = _of_gradients(calls) & (calls.sizes != NONE)
    if fit is None or not chosen.any():
        return None
    sizes, ready, tail = [], [], 0
    windows = np.unique(calls.window[chosen])
    for window in windows:
        rows = np.flatnonzero(chosen & (calls.window == window))
        for own in np.split(rows, _passes(calls.sizes[rows], microbatches)):
            there = np.maximum.accumulate(calls.ready_ns[own])
            sizes.append(calls.sizes[own])
            ready.append(there)
            tail += int((calls.start_ns[own] + calls.dur_ns[own]).max() - there[-1])
    return Buckets(
        steps=windows.size,
        sizes=tuple(sizes),
        ready_ns=tuple(ready),
        fit=fit,
        recorded_tail_ns=tail / windows.size,
    )


def _of_gradients(calls: CallTimes) -> npt.NDArray[np.bool_]:
    """The all-reduces of the backward pass, without groups that the forward pass uses too (tensor parallelism)."""
    reduces = calls.of("all_reduce")
    places = {name: place for place, name in enumerate(dict.fromkeys(kind.group for kind in calls.kinds))}
    groups = np.array([places[kind.group] for kind in calls.kinds])[calls.kind]
    for group in np.unique(groups[reduces]):
        own = reduces & (groups == group)
        if (calls.backward[own] == 0).mean() >= FORWARD_SHARE:
            reduces &= ~own
    result: npt.NDArray[np.bool_] = reduces & (calls.backward != 0)
    return result


def _passes(sizes: Int64, microbatches: float | None) -> int:
    """How many backward passes of a step reduced these buckets: all of its micro-batches when their sizes repeat."""
    count = round(microbatches or 1)
    if count < 2 or sizes.size % count:
        return 1
    return count if (sizes.reshape(count, -1) == sizes[: sizes.size // count]).all() else 1


def _joined(sizes: Int64, ready: Int64, at_least: int) -> tuple[list[float], list[float]]:
    """Neighbouring buckets joined until each holds `at_least` bytes; the first stays: it is small to begin early."""
    if at_least <= 0:
        return sizes.tolist(), ready.tolist()
    joined, there = [float(sizes[0])], [float(ready[0])]
    open_bytes = 0.0
    for size, begin in zip(sizes[1:].tolist(), ready[1:].tolist(), strict=True):
        if open_bytes and open_bytes + size <= at_least:
            joined[-1] += size
            there[-1] = begin
            open_bytes += size
        else:
            joined.append(size)
            there.append(begin)
            open_bytes = size
    return joined, there
