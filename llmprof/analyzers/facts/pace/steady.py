"""Which of a run's steps stand for all that will follow? Unprofiled ones in whole periods, traced ones without a stall.

Four things make the mean of a few dozen steps another one than that of the run:

- The first evaluation or checkpoint pays for what later ones find done: kernels are loaded, memory is asked for.
- Something that comes every k steps is in a window of n steps n/k times only on average: 20 steps may hold one start of
  an epoch of 16, or two. Over a multiple of k steps its share is right.
- Workers that are too slow have a full queue when training begins, and training is as fast as without them until
  workers x prefetch_factor batches are used up (PyTorch documentation, torch.utils.data, `prefetch_factor`).
- A host that is let go runs ahead until the launch queue is full, in steps that are shorter than the device's.
  DistributedDataParallel holds it for the first ten steps, in which it times itself (PyTorch source, reducer.cpp).

A traced step with a stall in it is unlike the other ones; the stall is measured on the unprofiled steps, and added from
there as what it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.loading.loader_queue import DEFAULT_PREFETCH
from llmprof.analyzers.facts.pace.between import idle_share
from llmprof.analyzers.facts.steps.step_times import MIN_BASELINE_STEPS, counted_steps
from llmprof.timeline.steps import StepMarks, StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline

__all__ = ["period_of", "steady"]

PERIODIC = ("checkpoint", "evaluation", "epoch_start")
COLD = ("checkpoint", "evaluation")
STALLS = (*PERIODIC, "gc")
"""What is measured on the unprofiled steps: in a traced one it would be counted twice, or taken for the program's."""
COLD_FACTOR = 2.0
"""The first one is cold when it took this many times as long as the median of at least MIN_LATER later ones."""
MIN_LATER = 2
STALLED_SHARE = 0.05
"""Of a traced step, in a stall: less changes none of its figures by more than a replay may miss."""
BUSY_SHARE = 0.1
"""Of the time in which a batch is fetched: a device that is idle for less had work queued."""
AHEAD_SHARE = 0.25
"""Of the median step: the host is ahead, or paused, where a step is so much shorter or longer."""
LEAST_AHEAD, MOST_AHEAD = 2, 8
"""Steps in a row: one may be short by chance, and a launch queue of a thousand kernels holds a few (an assumption)."""
WAITED_SHARE = 0.05
"""Of the steps after the queue was used up, in waits for batches: with less the loader keeps up, and nothing drains
(TensorBoard's and XProf's mark for input-limited runs)."""


def steady(rank: RankTimeline) -> RankTimeline:
    """The rank with its steady steps chosen (`StepTimes.chosen`), and the marks of traced steps without a stall."""
    times = rank.times
    if times is None or times.chosen is not None:
        return rank
    rows = counted_steps(times)
    if rows.size < MIN_BASELINE_STEPS:
        return rank
    kept = _after_draining(rank, times, _without_cold(times, _without_filling(times, rows)))
    kept = _whole_periods(times, kept)
    chosen = np.zeros(len(times), dtype=bool)
    chosen[kept if kept.size >= MIN_BASELINE_STEPS else rows] = True
    return replace(rank, times=replace(times, chosen=chosen), marks=_without_stalls(times, rank.marks))


def period_of(numbers: npt.NDArray[np.int64]) -> int | None:
    """Steps between events that come back regularly: three and more, each at a multiple of it, give or take one."""
    gaps = np.diff(np.sort(numbers))
    if gaps.size < 2:
        return None
    period = int(np.median(gaps))
    if period < 2:
        return None
    off = np.abs(gaps - np.rint(gaps / period) * period)
    return period if bool((off <= 1).all()) else None


def _without_filling(times: StepTimes, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Without the one stretch of steps in which the host ran ahead of a busy device; all where it is not that clear.

    Short steps after a pause only give back what the device had queued. Of short ones here and there the program is
    such.
    """
    idle = idle_share(times)
    if idle is None or idle >= BUSY_SHARE:
        return rows
    wall = times.wall_ns[rows].astype(np.float64)
    usual = float(np.median(wall))
    beyond = np.where(np.abs(wall - usual) > AHEAD_SHARE * usual, wall - usual, 0.0)
    owed, unpaid = 0.0, []
    for place in np.flatnonzero(beyond).tolist():
        owed += beyond[place]
        if owed < 0:
            unpaid.append(place)
            owed = 0.0
    if not LEAST_AHEAD <= len(unpaid) <= MOST_AHEAD or unpaid[-1] - unpaid[0] >= len(unpaid):
        return rows
    return np.delete(rows, unpaid)


def _without_cold(times: StepTimes, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    for name in COLD:
        column = times.parts.get(name)
        where = np.flatnonzero(column > 0) if column is not None else np.empty(0, np.intp)
        # What the profiler made longer tells nothing.
        where = where[~np.isin(times.phase[where], (StepPhase.TRACED, StepPhase.UNSTEADY))]
        if column is None or where.size <= MIN_LATER:
            continue
        # A look at a few batches before training is none of those that will follow.
        where = where[COLD_FACTOR * column[where] >= float(np.median(column[where]))]
        if column[where[0]] > COLD_FACTOR * float(np.median(column[where[1:]])):
            rows = rows[rows != where[0]]
    return rows


def _after_draining(rank: RankTimeline, times: StepTimes, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Without the steps that were fed from the queue that was full when training began."""
    loader = rank.environment.loaders[0] if rank.environment.loaders else None
    waits = times.parts.get("data_wait")
    if loader is None or not loader.num_workers or waits is None:
        return rows
    each = float(times.microbatches[rows].mean()) if times.microbatches is not None and rows.size else 1.0
    queued = loader.num_workers * (loader.prefetch_factor or DEFAULT_PREFETCH) / max(each, 1.0)
    rest = rows[times.number[rows] - times.number[0] >= queued]
    if rest.size < MIN_BASELINE_STEPS:
        return rows
    starts = times.parts.get("epoch_start")
    paced = rest if starts is None else rest[starts[rest] <= 0]  # an epoch's first batch was never queued
    waited = float(np.maximum(waits[paced], 0).sum())
    return rest if waited > WAITED_SHARE * float(times.wall_ns[rest].sum()) else rows


def _whole_periods(times: StepTimes, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The last of `rows` without a gap that make whole periods of the rarest thing that comes back."""
    periods = [
        period
        for name in PERIODIC
        if (column := times.parts.get(name)) is not None
        and (column[rows] > 0).any()
        and (period := period_of(times.number[column > 0])) is not None
    ]
    gaps = np.flatnonzero(np.diff(rows) > 1)
    unbroken = rows[gaps[-1] + 1 :] if gaps.size else rows
    count = unbroken.size // max(periods) * max(periods) if periods else 0
    return unbroken[-count:] if count else rows


def _without_stalls(times: StepTimes, marks: StepMarks) -> StepMarks:
    """The longest run of marked steps in a row none of which holds a stall; all of them where each one does."""
    stalled = np.zeros(len(marks), dtype=bool)
    for name in STALLS:
        column = times.parts.get(name)
        if column is not None:
            long = times.number[column > STALLED_SHARE * times.wall_ns]
            stalled |= np.isin(marks.number, long)
    if not stalled.any() or stalled.all():
        return marks
    edges = np.flatnonzero(np.concatenate([[True], stalled, [True]]))
    widest = int(np.diff(edges).argmax())
    run = slice(int(edges[widest]), int(edges[widest + 1]) - 1)
    return replace(marks, number=marks.number[run], start_ns=marks.start_ns[run], end_ns=marks.end_ns[run])
