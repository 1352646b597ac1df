"""Does the input pipeline keep up? Loader kind and settings, batch time, wait per step."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.inside import host_steps, step_of
from llmprof.analyzers.facts.steps import StepFacts, Windows
from llmprof.timeline.environment import LoaderSettings
from llmprof.timeline.events import NONE, Kind
from llmprof.timeline.intervals import lengths_inside
from llmprof.timeline.steps import StepPhase
from llmprof.timeline.timeline import RankTimeline

__all__ = ["LoaderFacts", "loader_facts"]

# PyTorch names the annotation after the iterator's class, and the class tells whether there are workers.
_FETCH = re.compile(r"^enumerate\(DataLoader\)#(\w+)\.__next__|^llmprof\.data")
_IN_PROCESS = "_SingleProcessDataLoaderIter"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderFacts:
    """The training loader of one rank; ns per step, None where nothing tells."""

    in_process: bool | None = None
    """True when batches are made in the training process (num_workers=0), from the settings or the iterator's name."""
    settings: LoaderSettings | None = None
    wait_ns: float | None = None
    """Host time inside the loader's next() per step: the unprofiled measurement when there is one."""
    traced_wait_ns: float | None = None
    exposed_wait_ns: float | None = None
    """Of it, the time during which the device was idle, as measured without the profiler."""
    fetches_per_step: float | None = None
    batch_ns: float | None = None
    """Time to make one batch: the wait itself in process, else what the workers measured."""
    queue_depth: float | None = None
    """Mean number of batches ready when a fetch began."""
    cores: int | None = None
    ranks_on_node: int | None = None


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
    fetches = traced.fetches if traced is not None else _microbatches(rank)
    in_process = settings.num_workers == 0 if settings is not None and settings.num_workers is not None else None
    if in_process is None and traced is not None:
        in_process = traced.in_process
    batch = _baseline(rank, "worker_batch")
    if in_process and wait is not None:
        batch = wait / fetches if fetches else wait
    exposed = _baseline(rank, "data_wait_exposed")
    return LoaderFacts(
        in_process=in_process,
        settings=settings,
        wait_ns=wait,
        traced_wait_ns=None if traced is None else traced.wait_ns,
        exposed_wait_ns=exposed_traced_ns if exposed is None else exposed,
        fetches_per_step=fetches,
        batch_ns=batch,
        queue_depth=_baseline(rank, "queue"),
        cores=rank.environment.cpu_count,
        ranks_on_node=ranks_on_node,
    )


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


def _baseline_rows(rank: RankTimeline) -> npt.NDArray[np.intp]:
    return np.empty(0, np.intp) if rank.times is None else rank.times.select(StepPhase.BASELINE)


def _baseline(rank: RankTimeline, part: str) -> float | None:
    """Mean of one measured part over the unprofiled steps; None when it was not measured."""
    rows = _baseline_rows(rank)
    return None if rank.times is None or rows.size == 0 else rank.times.mean_part_ns(part, rows)


def _microbatches(rank: RankTimeline) -> float | None:
    rows = _baseline_rows(rank)
    if rank.times is None or rank.times.microbatches is None or rows.size == 0:
        return None
    return float(rank.times.microbatches[rows].mean())
