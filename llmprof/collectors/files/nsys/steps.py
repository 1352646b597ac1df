"""Where does each training step begin and end in a recording that knows no steps? From range names, else optimizers.

In this order; the first that finds something wins:

1. Ranges whose name says that they are a step and that come at least twice on one thread, one after the other:
   PyTorch's `ProfilerStep#N`; then names with a word such as `step`, `iteration` or `batch` ("step 12", "train_step",
   "iteration_7", "Step 190 to 200"). Digits are taken out of a name to see that it repeats. Of several such names those
   under which most work was launched win, so an outer `step` wins over a `micro_step` inside it; warm-up ranges and
   ranges that launch next to nothing while others do are the last choice.
2. Ranges of an optimizer's step (`Optimizer.step#AdamW.step`, `optimizer_step`), three times at least: a step ends
   where such a range ends.
3. Kernels of an optimizer (foreach or fused), in three bursts at least: a step ends where the last call of a burst
   ends.

The first steps of a run compile, allocate and warm up: as long as they take much longer than the usual step they are
left out. What lies between two ranges belongs to the second one: a loop often fetches its batch before it opens the
range.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files.nsys.names import matching
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind, Lane
from llmprof.timeline.intervals import Int64
from llmprof.timeline.steps import NO_STEPS, StepMarks

__all__ = ["Steps", "find_steps"]

_PROFILER_STEP = re.compile(r"^ProfilerStep#?\d+$")
_STEP = re.compile(r"(?<![a-z])(global|train(ing)?|mini)?[ _-]?(steps?|iteration|iter|batch)(?![a-z])", re.IGNORECASE)
_NO_STEP = re.compile(
    r"optim|sched|eval|valid|micro|grad|backward|forward|loader|fetch|(?<![a-z])(test|next|load|get|log|save|zero)|"
    r"to_device|copy|scaler|sync|norm|::|nccl",
    re.IGNORECASE,
)
_WARM_UP = re.compile(r"warm", re.IGNORECASE)
_OPTIMIZER = re.compile(r"^Optimizer\.step#|^(adamw?|sgd|optim(izer)?)[ ._:-]*(step)?( *\d+)?$", re.IGNORECASE)
_OPTIMIZER_KERNEL = re.compile(
    r"multi_tensor_apply(?!.*(L2Norm|LpNorm|non_finite))|Fused(Adam|Sgd|LAMB|Adagrad)|Adam\w*Functor|distributed_adam|"
    r"kOptimizer(Static)?(8|32)bit|addcdiv",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+")

FEWEST_BURSTS = 3
FEWEST_BETWEEN = 8
"""Fewer kernels than these between two optimizer kernels are part of the optimizer (tables, step counters, casts)."""

BETWEEN_SHARE = 0.3
"""A burst ends where at least this share of the usual number of other kernels comes between two optimizer kernels."""

LEAST_LAUNCHED = 0.1
"""A family of ranges under which less than this share of all calls happened is not the training step."""


WARM_UP_RATIO = 1.5
"""A leading step that is this many times as long as the median step is warm-up, up to half of all steps."""


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The steady steps, and how many of warm-up were left out before them."""

    marks: StepMarks = NO_STEPS
    left_out: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    """Ranges of one thread whose names differ in digits only, by start."""

    label: str
    rows: npt.NDArray[np.intp]
    called: int
    """Runtime calls of any thread while one of them was open."""


def find_steps(events: EventTable, lanes: Sequence[Lane]) -> Steps:
    """The steps of one process; none when nothing tells them."""
    marks = _from_ranges(events, lanes) or _from_optimizer_ranges(events) or _from_kernels(events)
    return Steps() if marks is None else _steady(marks)


def _steady(marks: StepMarks) -> Steps:
    """The steps from the first one that is not much longer than usual."""
    length = marks.end_ns - marks.start_ns
    usual = float(np.median(length))
    steady = np.flatnonzero(length <= WARM_UP_RATIO * usual)
    first = int(steady[0]) if steady.size and steady[0] <= length.size // 2 else 0
    kept = slice(first, None)
    return Steps(StepMarks(marks.number[kept], marks.start_ns[kept], marks.end_ns[kept], marks.source), first)


def _from_ranges(events: EventTable, lanes: Sequence[Lane]) -> StepMarks | None:
    names = events.strings.names
    used = np.unique(events.name[events.rows(Kind.ANNOTATION)])
    exact = {int(i) for i in used if _PROFILER_STEP.search(names[i])}
    ids = exact or {int(i) for i in used if _STEP.search(names[i]) and not _NO_STEP.search(names[i])}
    calls = np.sort(events.ts[events.rows(Kind.RUNTIME)])
    found = [family for family in _families(events, lanes, ids, calls) if _in_sequence(events, family.rows)]
    if calls.size:
        busy = [family for family in found if family.called >= LEAST_LAUNCHED * calls.size]
        found = busy or [family for family in found if family.called]
    if not found:
        return None
    best = max(found, key=lambda f: (not _WARM_UP.search(f.label), f.called, _covered(events, f.rows), f.label))
    start, end = events.ts[best.rows], events.end[best.rows]
    return StepMarks(_numbers(events, best.rows), _closed(start, end), end, f"NVTX range {best.label}")


def _families(events: EventTable, lanes: Sequence[Lane], ids: set[int], calls: Int64) -> list[_Family]:
    """The ranges with these names, by thread and by name without digits; alone ones are left out."""
    if not ids:
        return []
    chosen = np.zeros(len(events.strings), dtype=bool)
    chosen[list(ids)] = True
    rows = events.rows_named((Kind.ANNOTATION,), chosen)
    rows = rows[events.dur[rows] > 0]
    labels = {i: _DIGITS.sub("#", events.strings[i]) for i in ids}
    order = {label: place for place, label in enumerate(sorted(set(labels.values())))}
    family = np.full(len(events.strings), NONE, dtype=np.int64)
    for i, label in labels.items():
        family[i] = order[label]
    keys, where = np.unique(family[events.name[rows]] << 32 | events.lane[rows], return_inverse=True)
    result = []
    for place, key in enumerate(keys.tolist()):
        mine = rows[where == place]
        if mine.size >= 2:
            called = np.searchsorted(calls, events.end[mine]) - np.searchsorted(calls, events.ts[mine])
            label = labels[int(events.name[mine[0]])]
            beside = lanes[key & 0xFFFFFFFF].label
            result.append(_Family(f"{beside}:{label}" if beside else label, mine, int(called.sum())))
    return result


def _in_sequence(events: EventTable, rows: npt.NDArray[np.intp]) -> bool:
    """Whether no range begins before the one before it has ended."""
    return bool((events.ts[rows[1:]] >= events.end[rows[:-1]]).all())


def _covered(events: EventTable, rows: npt.NDArray[np.intp]) -> int:
    return int(events.dur[rows].sum())


def _closed(start: Int64, end: Int64) -> Int64:
    """Starts with the time since the step before added, unless a whole usual step would fit in between."""
    gap = start[1:] - end[:-1]
    usual = int(np.median(end - start))
    return np.concatenate([start[:1], np.where(gap <= usual, end[:-1], start[1:])])


def _numbers(events: EventTable, rows: npt.NDArray[np.intp]) -> Int64:
    """The number in each name where there is one and it grows from step to step, else counted from 0."""
    found = [_DIGITS.search(events.named(int(row))) for row in rows]
    numbers = [int(match[0]) for match in found if match and len(match[0]) <= 12]
    if len(numbers) == rows.size and all(a < b for a, b in pairwise(numbers)):
        return np.array(numbers, dtype=np.int64)
    return np.arange(rows.size, dtype=np.int64)


def _from_optimizer_ranges(events: EventTable) -> StepMarks | None:
    rows = events.rows_named((Kind.ANNOTATION,), matching(events.strings, _OPTIMIZER))
    best: Int64 = np.empty(0, dtype=np.int64)
    for lane in np.unique(events.lane[rows]):
        spans = events.spans(rows[events.lane[rows] == lane])  # a range inside a range of the same name is one
        if len(spans) > best.size:
            best = spans.ends
    return _between(best, "optimizer range")


def _from_kernels(events: EventTable) -> StepMarks | None:
    """Steps from bursts of optimizer kernels, at the end of the call that launched the last kernel of each."""
    work = events.rows(*DEVICE_KINDS)
    mine = matching(events.strings, _OPTIMIZER_KERNEL)[events.name[work]] & (events.kind[work] == Kind.KERNEL)
    place = np.flatnonzero(mine)
    if place.size < FEWEST_BURSTS:
        return None
    between = np.diff(place) - 1
    long = between[between >= FEWEST_BETWEEN]
    if long.size == 0:
        return None
    ends = np.append(np.flatnonzero(between >= max(FEWEST_BETWEEN, BETWEEN_SHARE * float(np.median(long)))), -1)
    last = work[place[ends]]
    launch = events.launch[last]
    if (launch == NONE).any():
        return None
    return _between(np.sort(events.end[launch]), "optimizer kernels")


def _between(ends: Int64, source: str) -> StepMarks | None:
    """Steps from one end to the next; what comes before the first end is not a whole step."""
    if ends.size < FEWEST_BURSTS:
        return None
    return StepMarks(np.arange(ends.size - 1, dtype=np.int64), ends[:-1], ends[1:], source)
