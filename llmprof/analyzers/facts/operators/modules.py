"""Which module does the device time belong to? Forward by nesting, backward through the forward operator it belongs to.

Modules are known where the recording has stacks: the profiler then marks every call of `torch.nn.Module.forward`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.operators.backward import forward_of
from llmprof.analyzers.facts.operators.operator_tree import OperatorTree, names_matching
from llmprof.analyzers.facts.operators.operators import KernelCalls
from llmprof.analyzers.facts.steps.inside import host_steps
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.timeline import RankTimeline

__all__ = ["ModuleTime", "module_times"]

PREFIX = "nn.Module: "
MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleTime:
    """Device time per step that one module launched itself, the modules inside it left out; ns."""

    path: str
    """From the outermost module to this one: `GPT_0/Block_3/Linear_1`."""
    forward_ns: float
    backward_ns: float
    """Of the nodes of the backward graph that belong to its operators; recomputation included."""

    @property
    def ns(self) -> float:
        """Both together."""
        return self.forward_ns + self.backward_ns


def module_times(rank: RankTimeline, windows: Windows, calls: KernelCalls) -> tuple[ModuleTime, ...]:
    """Modules by their own device time, longest first, MOST at most; empty where the recording marks no modules."""
    events = rank.events
    assert events is not None
    marks = events.rows_named((Kind.PYTHON,), names_matching(events, lambda name: name.startswith(PREFIX)))
    if not marks.size:
        return ()
    modules = OperatorTree.of(events, marks)
    pairs = forward_of(events, *host_steps(rank, windows))
    row = _forward_rows(calls, pairs)
    known = row != NONE
    paths = np.full((row.size, max(1, max(map(len, modules.levels.values())))), NONE, dtype=np.int32)
    found = modules.paths(events.lane[row[known]], events.ts[row[known]])
    paths[known, : found.shape[1]] = found
    names = np.where(paths == NONE, NONE, events.name[np.maximum(paths, 0)])
    unique, where = np.unique(names, axis=0, return_inverse=True)
    where = where.reshape(-1)  # NumPy 2.0 gives it another shape
    dur, back = events.dur[calls.rows].astype(np.float64), calls.backward
    forward_ns = np.bincount(where, weights=np.where(back, 0.0, dur), minlength=len(unique)) / calls.steps
    backward_ns = np.bincount(where, weights=np.where(back, dur, 0.0), minlength=len(unique)) / calls.steps
    times = [
        ModuleTime(path=_path(events, one), forward_ns=float(forward_ns[i]), backward_ns=float(backward_ns[i]))
        for i, one in enumerate(unique)
        if one[0] != NONE
    ]
    return tuple(sorted(times, key=lambda one: -one.ns)[:MOST])


def _forward_rows(calls: KernelCalls, pairs: dict[int, int]) -> npt.NDArray[np.int64]:
    """For each kernel the forward operator that it belongs to, NONE where that is not known.

    What is recomputed runs its modules again, so it belongs to where it runs.
    """
    result = np.where(calls.backward & ~calls.recomputed, NONE, calls.operator).astype(np.int64)
    if pairs:
        keys = np.array(sorted(pairs), dtype=np.int64)
        values = np.array([pairs[key] for key in keys.tolist()], dtype=np.int64)
        place = np.minimum(np.searchsorted(keys, calls.node), keys.size - 1)
        joined = (calls.node != NONE) & ~calls.recomputed & (keys[place] == calls.node)
        result = np.where(joined, values[place], result)
    return result


def _path(events: EventTable, names: npt.NDArray[np.int32]) -> str:
    return "/".join(events.strings[int(name)].removeprefix(PREFIX) for name in names if name != NONE)
