"""How long do single batches take to make, how evenly, worker by worker, and what do starts of epochs cost?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llmprof.timeline.events import NONE
from llmprof.timeline.loading import BatchLoads
from llmprof.timeline.steps import StepTimes

__all__ = [
    "CHANCE",
    "BatchTimes",
    "EpochStarts",
    "arriving_ns",
    "batch_times",
    "epoch_starts",
    "hand_over_ns",
    "in_process_times",
    "queue_empty_share",
]

KEPT = 512
"""Load times that are kept in their order, for the replay of the loader."""
LEAST = 3
"""Batches that have to be known: fewer say nothing about the rest."""
NOT_CHANCE = 5.0
"""Workers whose means vary so many times as much as their single loads explain are not equally fast (Fisher's F, which
chance lets exceed this in less than one of a hundred cases from 3 workers with 13 loads each on). A worker that
shares its core with the training thread stays slow, and as batches arrive in order all have to wait for it."""
CHANCE = 2.0
"""Standard errors that chance lets a mean be away from what it is held against, in 95 of 100 cases."""
WAITED_NS = 1_000_000
"""Who waits for less than this waits for nobody: that is the fetch of a batch, or the order for one, that is there."""
ONE = 0.01
"""Steps that take one batch each take no more than so many more or less, on average."""
SLOW = 1.05
"""Less than this is not told from batches that differ by their contents, which come to the same workers by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTimes:
    """Load times of the first training loader's batches, measured by whoever makes them; ns."""

    count: int
    mean_ns: float
    p50_ns: float
    p95_ns: float
    cpu_ns: float | None
    """Mean CPU time of a load; the rest is waiting for a disk, a network or a core."""
    by_worker_ns: tuple[float, ...]
    """Mean of each worker, in their order; empty where the training process makes the batches."""
    sequence_ns: tuple[float, ...]
    """The last of them at most KEPT, in the order in which they are received."""
    paces: tuple[float, ...] = ()
    """How many times the mean each worker takes, where they differ by more than chance; else empty."""
    even_ns: tuple[float, ...] = ()
    """`sequence_ns` as workers of the mean pace would have taken; empty where `paces` is."""
    run_ns: tuple[float, ...] = ()
    """The last KEPT of the whole run, but the first one of each worker, which has just started; empty where that is
    not known, or is no more than `sequence_ns`."""
    run_alike: bool = False
    """Whether the loads of `run_ns` that are not in `sequence_ns` have the same mean, but for chance."""
    turn_ns: float = 0.0
    """What a worker that has the next batch on order takes to begin it, at least; 0 where none of them had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochStarts:
    """Starts of epochs after the first one, which every run has."""

    count: int
    mean_ns: float
    """Ending the one before, making the iterator with its workers, and waiting for its first batch."""
    per_step_ns: float
    """All of them, divided among the steps from the first start of all to the last one: whole epochs, in which every
    start was seen."""
    counted_ns: float = 0.0
    """Per step that the mean is made of: how much of the mean step they are."""
    first_load_ns: float | None = None
    """Mean load time of the batch that an epoch begins with: that has to be made in any case."""


def batch_times(loads: BatchLoads | None, times: StepTimes | None, rows: npt.NDArray[np.intp]) -> BatchTimes | None:
    """Of the batches that were ready during the counted steps `rows`, else of all; None when too few are known.

    By their end, whenever they were begun: the longest ones are begun before the first of these steps most often, and
    it is these that the steps wait for.
    """
    if loads is None:
        return None
    loads = _as_received(loads)
    mine = chosen = loads.loader == loads.loader.min()
    if times is not None and rows.size:
        begin, end = times.start_ns[rows[0]], times.start_ns[rows[-1]] + times.wall_ns[rows[-1]]
        ready = loads.start_ns + loads.duration_ns
        during = chosen & (ready >= begin) & (ready <= end)
        chosen = during if int(during.sum()) >= LEAST else chosen
    if int(chosen.sum()) < LEAST:
        return None
    durations, workers = loads.duration_ns[chosen].astype(np.float64), loads.worker[chosen]
    cpu = loads.cpu_ns[chosen]
    paces = _paces(durations, workers)
    summary = _summary(
        durations,
        cpu_ns=float(cpu[cpu != NONE].mean()) if (cpu != NONE).any() else None,
        by_worker_ns=tuple(float(durations[workers == worker].mean()) for worker in np.unique(workers)),
    )
    later = _later(loads.worker[mine])
    run, others = loads.duration_ns[mine][later], loads.duration_ns[mine][later & ~chosen[mine]]
    if run.size > durations.size:
        summary = replace(summary, run_ns=tuple(map(float, run[-KEPT:])), run_alike=_alike(durations, others))
    summary = replace(summary, turn_ns=_turn_ns(loads, mine))
    if paces is None:
        return summary
    even = durations / paces[np.searchsorted(np.unique(workers), workers)]
    return replace(summary, paces=tuple(map(float, paces)), even_ns=tuple(map(float, even[-KEPT:])))


def _as_received(loads: BatchLoads) -> BatchLoads:
    """The loads in the order in which the loader hands them out: the first of each worker, the second, ...

    By their beginnings a worker's batches after a long one would come later than they do, and others before them.
    """
    turn = np.zeros(len(loads), np.int64)
    for loader, worker in np.unique(np.stack((loads.loader, loads.worker), 1), axis=0).tolist():
        one = np.flatnonzero((loads.loader == loader) & (loads.worker == worker))
        turn[one[np.argsort(loads.start_ns[one], kind="stable")]] = np.arange(one.size)
    order = np.lexsort((loads.worker, turn))
    return BatchLoads(
        loader=loads.loader[order],
        worker=loads.worker[order],
        start_ns=loads.start_ns[order],
        duration_ns=loads.duration_ns[order],
        cpu_ns=loads.cpu_ns[order],
    )


def _alike(some: npt.NDArray[np.float64], others: npt.NDArray[np.int64]) -> bool:
    """Whether both vary around the same mean: they differ by less than CHANCE of the difference's standard errors."""
    if min(some.size, others.size) < LEAST:
        return False
    error = float(np.sqrt(some.var(ddof=1) / some.size + others.var(ddof=1) / others.size))
    return abs(float(some.mean()) - float(others.mean())) <= CHANCE * error


def _turn_ns(loads: BatchLoads, mine: npt.NDArray[np.bool_]) -> float:
    """The tenth percentile of the pauses of workers between two batches; 0 where that is waiting for an order."""
    order = np.lexsort((loads.start_ns[mine], loads.worker[mine]))
    worker, begin = loads.worker[mine][order], loads.start_ns[mine][order]
    pauses = begin[1:] - (begin + loads.duration_ns[mine][order])[:-1]
    pauses = pauses[(worker[1:] == worker[:-1]) & (pauses >= 0)]
    turn = float(np.percentile(pauses, 10)) if pauses.size else 0.0
    return turn if turn < WAITED_NS else 0.0


def _later(workers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """All rows but the first one of each worker."""
    later = np.ones(workers.size, bool)
    later[np.unique(workers, return_index=True)[1]] = False
    return later


def _paces(durations: npt.NDArray[np.float64], workers: npt.NDArray[np.int64]) -> npt.NDArray[np.float64] | None:
    """Of each worker, against the mean of all, less what chance explains; None when that explains the differences.

    A slow worker is slow at every batch: where only its mean stands out, and not its median, it got the long batches.
    """
    numbers, place = np.unique(workers, return_inverse=True)
    counts = np.bincount(place)
    if numbers.size < 2 or counts.min() < LEAST:
        return None
    means = np.bincount(place, durations) / counts
    within = float(((durations - means[place]) ** 2).sum()) / (durations.size - numbers.size)
    between = float((counts * (means - durations.mean()) ** 2).sum()) / (numbers.size - 1)
    if between <= NOT_CHANCE * within:
        return None
    medians = np.array([np.median(durations[place == worker]) for worker in range(numbers.size)])
    by_mean, by_median = means / durations.mean() - 1.0, medians / np.average(medians, weights=counts) - 1.0
    both = np.where(by_mean * by_median > 0, np.sign(by_mean) * np.minimum(abs(by_mean), abs(by_median)), 0.0)
    paces = 1.0 + (1.0 - within / between) * both
    return paces if paces.max() > SLOW else None


def in_process_times(
    times: StepTimes | None, rows: npt.NDArray[np.intp], fetches: float | None, loads: BatchLoads | None = None
) -> BatchTimes | None:
    """Of batches that the training process makes itself: what it waits for them is what they take.

    What of that it does not compute is known where it noted its CPU time: reading samples and collating them.
    """
    waits = times.parts.get("data_wait") if times is not None else None
    if waits is None:
        return None
    known = waits[rows][waits[rows] >= 0]
    if known.size < LEAST:
        return None
    found = _summary(known / (fetches or 1.0), cpu_ns=None, by_worker_ns=())
    made = batch_times(loads, times, rows)
    if made is None or made.cpu_ns is None:
        return found
    return replace(found, cpu_ns=max(0.0, found.mean_ns - max(0.0, made.mean_ns - made.cpu_ns)))


def _summary(
    durations: npt.NDArray[np.float64], *, cpu_ns: float | None, by_worker_ns: tuple[float, ...]
) -> BatchTimes:
    return BatchTimes(
        count=int(durations.size),
        mean_ns=float(durations.mean()),
        p50_ns=float(np.percentile(durations, 50)),
        p95_ns=float(np.percentile(durations, 95)),
        cpu_ns=cpu_ns,
        by_worker_ns=by_worker_ns,
        sequence_ns=tuple(float(value) for value in durations[-KEPT:]),
    )


def epoch_starts(
    times: StepTimes | None, rows: npt.NDArray[np.intp], loads: BatchLoads | None = None
) -> EpochStarts | None:
    """None when no second epoch was seen; `rows` are the steps that the mean is made of."""
    column = times.parts.get("epoch_start") if times is not None else None
    if times is None or column is None:
        return None
    found = np.flatnonzero(column > 0)
    if found.size < 2:
        return None
    later = column[found[1:]]
    return EpochStarts(
        count=int(later.size),
        mean_ns=float(later.mean()),
        per_step_ns=float(later.sum()) / int(times.number[found[-1]] - times.number[found[0]]),
        counted_ns=float(column[rows].clip(0).sum()) / rows.size if rows.size else 0.0,
        first_load_ns=None if loads is None else _first_load_ns(times, found[1:], loads),
    )


def _first_load_ns(times: StepTimes, starts: npt.NDArray[np.intp], loads: BatchLoads) -> float | None:
    """Of each epoch the batch that is handed out first: of the first that its workers begin that of the first worker.

    None where no worker began one in the step that waited for it.
    """
    mine = loads.loader == loads.loader.min()
    found = []
    for step in starts.tolist():
        begin, end = int(times.start_ns[step]), int(times.start_ns[step]) + int(times.wall_ns[step])
        inside = np.flatnonzero(mine & (loads.start_ns >= begin) & (loads.start_ns < end))
        if inside.size:
            found.append(float(loads.duration_ns[inside[np.argmin(loads.worker[inside])]]))
    return float(np.mean(found)) if found else None


def hand_over_ns(times: StepTimes | None, rows: npt.NDArray[np.intp], fetches: float | None) -> float | None:
    """What a fetch costs that finds a batch ready: the device's idle time where that is known, else the host's wait.

    The lower quartile over sampled steps that began their fetches with a batch ready: that may not be the next one in
    order, which is then waited for. With three workers that were too slow an H200 run found two batches ready in half
    of the steps that waited 600 ms. None with fewer than LEAST of them.
    """
    parts = times.parts if times is not None else {}
    queue, waits = parts.get("queue"), parts.get("data_wait_exposed", parts.get("data_wait"))
    if queue is None or waits is None:
        return None
    ready = rows[(queue[rows] >= max(1.0, fetches or 1.0)) & (waits[rows] >= 0)]
    return float(np.percentile(waits[ready], 25)) / (fetches or 1.0) if ready.size >= LEAST else None


def arriving_ns(
    loads: BatchLoads | None,
    times: StepTimes | None,
    rows: npt.NDArray[np.intp],
    fetches: float | None,
    ready_ns: float | None,
) -> float | None:
    """What a batch that is waited for takes from the worker that has made it, before it can be received.

    ready_ns    what a fetch takes that finds a batch ready, which is no part of it

    The median over steps that began to wait while a worker still made a batch: from when the last one was made to the
    end of the wait. It is copied into shared memory after that and goes through a pipe; with pin_memory a thread
    copies it once more. Beside H200s that took 2 ms for token ids, 8 for 14 MB and 21 for 42 MB of images. None where
    no step waited so, or steps take several batches.
    """
    waits = times.parts.get("data_wait") if times is not None else None
    if loads is None or times is None or waits is None or not len(loads) or abs((fetches or 1.0) - 1.0) > ONE:
        return None
    made = np.sort((loads.start_ns + loads.duration_ns)[loads.loader == loads.loader.min()])
    waited = rows[waits[rows] > WAITED_NS]
    asked = times.start_ns[waited]
    received = asked + waits[waited]
    last = made[np.maximum(np.searchsorted(made, received, side="right") - 1, 0)]
    late = (last > asked) & (last <= received)
    return max(0.0, float(np.median((received - last)[late])) - (ready_ns or 0.0)) if late.any() else None


def queue_empty_share(times: StepTimes | None, rows: npt.NDArray[np.intp]) -> float | None:
    """Share of the sampled fetches that began with no batch ready; None without a reading."""
    column = times.parts.get("queue") if times is not None else None
    if column is None:
        return None
    values = column[rows]
    values = values[values >= 0]
    return float((values == 0).mean()) if values.size else None
