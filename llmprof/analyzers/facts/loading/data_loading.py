"""Does the input pipeline keep up? Loader kind and settings, batch time, wait per step."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from llmprof.analyzers.facts.loading.batch_times import (
    CHANCE,
    BatchTimes,
    EpochStarts,
    arriving_ns,
    batch_times,
    epoch_starts,
    hand_over_ns,
    in_process_times,
    queue_empty_share,
)
from llmprof.analyzers.facts.loading.copies import CopyFacts
from llmprof.analyzers.facts.loading.loader_model import pinning_ns
from llmprof.analyzers.facts.steps.inside import host_steps, step_of
from llmprof.analyzers.facts.steps.step_times import counted_steps, exposed_wait_ns
from llmprof.analyzers.facts.steps.steps import StepFacts, Windows
from llmprof.timeline.environment import LoaderSettings
from llmprof.timeline.events import NONE, Kind
from llmprof.timeline.intervals import lengths_inside
from llmprof.timeline.timeline import RankTimeline

__all__ = ["LoaderFacts", "loader_facts", "passing_ns"]

# PyTorch names the annotation after the iterator's class, and the class tells whether there are workers.
_FETCH = re.compile(r"^enumerate\(DataLoader\)#(\w+)\.__next__|^llmprof\.data")
_IN_PROCESS = "_SingleProcessDataLoaderIter"
BLOCKS = 8
IDLE = 0.8
"""Workers that would be through with their batches in this share of the step have waited for somebody themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderFacts:
    """The training loader of one rank; ns per step, None where nothing tells."""

    in_process: bool | None = None
    """True when batches are made in the training process (num_workers=0), from the settings or the iterator's name."""
    settings: LoaderSettings | None = None
    wait_ns: float | None = None
    """Host time inside the loader's next() per step: the unprofiled measurement when there is one."""
    wait_measured: bool = False
    """Whether `wait_ns` was measured without a profiler."""
    traced_wait_ns: float | None = None
    exposed_wait_ns: float | None = None
    """Of it, the time during which the device was idle, as measured without the profiler."""
    wait_error_ns: float | None = None
    """Standard error of the measured mean wait, from the means of BLOCKS stretches of steps: large where few steps
    waited long, not where workers that take turns let every fourth step wait."""
    fetches_per_step: float | None = None
    batch_ns: float | None = None
    """Time to make one batch: the wait itself in process, else what the workers measured."""
    queue_depth: float | None = None
    """Mean number of batches ready when a fetch began."""
    cores: int | None = None
    """Cores that the rank may use, alone or with others."""
    ranks_on_node: int | None = None
    own_cores: float | None = None
    """Cores that it has to itself: those it shares with other ranks of its node are divided among them."""
    times: BatchTimes | None = None
    """Load times of single batches; None where nobody measured them, as in a trace alone."""
    delivered_per_s: float | None = None
    """Batches per second that the workers can make together: their number over the mean load time."""
    needed_per_s: float | None = None
    """Batches per second that the step would use if it never waited for one."""
    queue_empty_share: float | None = None
    """Share of the sampled fetches that began with no batch ready."""
    hand_over_ns: float | None = None
    """What a fetch costs that finds a batch ready, as far as the step feels it."""
    arriving_ns: float | None = None
    """What a batch that is waited for takes on its way from the worker that has made it, before it can be fetched."""
    passing_ns: float | None = None
    """What the thread that pins batches takes with each: no step is shorter, however many workers there are."""
    epochs: EpochStarts | None = None

    @property
    def waits_by_chance(self) -> bool:
        """Whether the mean wait may be that of a few slow batches: it is below CHANCE of its standard errors."""
        error = self.wait_error_ns
        return error is not None and self.wait_ns is not None and self.wait_ns <= CHANCE * error


def loader_facts(
    rank: RankTimeline,
    *,
    step: StepFacts,
    windows: Windows | None,
    exposed_traced_ns: float | None,
    ranks_on_node: int | None,
) -> LoaderFacts | None:
    """What is known about the loader of one rank; None when neither settings, measurements nor annotations tell.

    exposed_traced_ns   idle device time of the traced step under the loader, used where no unprofiled one was measured
    """
    settings = rank.environment.loaders[0] if rank.environment.loaders else None
    traced = _traced(rank, windows)
    measured = _baseline(rank, "data_wait")
    if settings is None and traced is None and measured is None:
        return None
    wait = measured if measured is not None or traced is None else min(traced.wait_ns, step.mean_ns)
    fetches = traced.fetches if traced is not None else _batches(rank)
    in_process = settings.num_workers == 0 if settings is not None and settings.num_workers is not None else None
    if in_process is None and traced is not None:
        in_process = traced.in_process
    rows = counted_steps(rank.times)
    alone = in_process_times(rank.times, rows, fetches, rank.loads) if in_process else None
    times = alone if in_process else batch_times(rank.loads, rank.times, rows)
    batch = None if times is None else times.mean_ns
    if in_process and wait is not None:
        batch = wait / fetches if fetches else wait
    exposed = exposed_wait_ns(rank.times) if rank.times is not None else None
    idle = next((value for value in (exposed, exposed_traced_ns, wait) if value is not None), None)
    workers = settings.num_workers if settings is not None else None
    ready = hand_over_ns(rank.times, rows, fetches)
    return LoaderFacts(
        in_process=in_process,
        settings=settings,
        wait_ns=wait,
        wait_measured=measured is not None,
        wait_error_ns=_wait_error(rank),
        traced_wait_ns=None if traced is None else traced.wait_ns,
        exposed_wait_ns=exposed_traced_ns if exposed is None else exposed,
        fetches_per_step=fetches,
        batch_ns=batch,
        queue_depth=_baseline(rank, "queue"),
        times=times,
        delivered_per_s=workers / batch * 1e9 if workers and batch else None,
        needed_per_s=_needed_per_s(step, idle, fetches),
        queue_empty_share=queue_empty_share(rank.times, rows),
        hand_over_ns=ready,
        arriving_ns=None if in_process else arriving_ns(rank.loads, rank.times, rows, fetches, ready),
        epochs=epoch_starts(rank.times, rows, rank.loads),
        cores=rank.environment.cpu_count,
        ranks_on_node=ranks_on_node,
    )


def passing_ns(loader: LoaderFacts, step_ns: float, copies: CopyFacts | None) -> float | None:
    """What the thread that pins batches takes with each; None where nothing is pinned, or its size is not known.

    Where most fetches found no batch ready although the workers had time to spare, and batches are large enough for it,
    this thread is what the step waits for, and the step is what it takes. Else it is expected from the bytes that are
    copied to the device; a step that is shorter than this says that it takes something else, which is not known.
    """
    settings, times = loader.settings, loader.times
    if settings is None or not settings.num_workers or settings.pin_memory is not True or copies is None:
        return None
    fetches = loader.fetches_per_step or 1.0
    expected, each = pinning_ns(copies.pinned_to_device.bytes / fetches), step_ns / fetches
    late = (loader.queue_empty_share or 0.0) > 0.5 and times is not None
    if late and times is not None and times.mean_ns < IDLE * settings.num_workers * each and expected > 0.5 * each:
        return each
    return expected if expected <= each else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traced:
    """The loader's annotations inside the traced steps; per step."""

    wait_ns: float
    fetches: float
    in_process: bool | None


def _traced(rank: RankTimeline, windows: Windows | None) -> _Traced | None:
    """What the annotations of the loader say; None without any in the recording."""
    events = rank.events
    if events is None or windows is None or len(windows) == 0:
        return None
    names = events.strings.names
    matching = np.fromiter((_FETCH.search(name) is not None for name in names), bool, len(names))
    rows = events.rows_named((Kind.ANNOTATION, Kind.CPU_OP), matching)
    if rows.size == 0:
        return None
    start, end = host_steps(rank, windows)
    inside = rows[step_of(start, end, events.ts[rows]) != NONE]
    # Where one mark wraps another (llmprof's own around PyTorch's) only the kind with more rows counts the fetches.
    counts = np.bincount(events.name[inside], minlength=1) if inside.size else np.zeros(1, np.int64)
    classes = {match[1] for i in np.unique(events.name[rows]) if (match := _FETCH.search(names[int(i)])) and match[1]}
    return _Traced(
        wait_ns=float(lengths_inside(events.spans(rows), start, end).mean()),
        fetches=float(counts.max()) / int(start.size),
        in_process=_IN_PROCESS in classes if len(classes) == 1 else None,
    )


def _needed_per_s(step: StepFacts, idle_ns: float | None, fetches: float | None) -> float | None:
    """`idle_ns` is what of the step is waiting for batches."""
    rest = step.mean_ns - (idle_ns or 0.0)
    return None if idle_ns is None or not fetches or rest <= 0 else fetches / rest * 1e9


def _baseline(rank: RankTimeline, part: str) -> float | None:
    """Mean of one measured part over the unprofiled steps; None when it was not measured."""
    rows = counted_steps(rank.times)
    return None if rank.times is None or rows.size == 0 else rank.times.mean_part_ns(part, rows)


def _wait_error(rank: RankTimeline) -> float | None:
    """None with too few steps for stretches of two."""
    waits = rank.times.parts.get("data_wait") if rank.times is not None else None
    if waits is None:
        return None
    known = waits[counted_steps(rank.times)]
    known = known[known >= 0]
    if known.size < 2 * BLOCKS:
        return None
    means = np.array([part.mean() for part in np.array_split(known, BLOCKS)])
    return float(means.std(ddof=1) / np.sqrt(BLOCKS))


def _batches(rank: RankTimeline) -> float | None:
    """Batches fetched per step: where nothing else is noted, one for each forward and backward."""
    rows, times = counted_steps(rank.times), rank.times
    if times is None or times.microbatches is None or rows.size == 0:
        return None
    noted = times.parts.get("batches")
    each = times.microbatches[rows]
    return float((each if noted is None else np.where(noted[rows] >= 0, noted[rows], each)).mean())
