"""Do the same kernels take longer on one GPU than on the others? Calls of one length that nothing ran beside, by name.

A kernel that a collective runs beside is slower: the collective takes multiprocessors and memory bandwidth. A rank that
waits for its peers inside collectives would look slow, so only calls that ran without one are compared; and only
kernels all of whose calls are alike, because another mix of shapes is other work.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.facts.device.kernels import row_classes
from llmprof.analyzers.facts.steps.inside import step_of
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import NONE, Kind
from llmprof.timeline.intervals import lengths_inside
from llmprof.timeline.timeline import RankTimeline

__all__ = ["GpuSpread", "SoloKernel", "gpu_spread", "solo_kernels"]

TOP = 32
"""Names of one rank, those that take most time first."""
LEAST_CALLS = 4
ALIKE = 0.05
"""From the tenth to the ninetieth percentile, of the median: calls that differ by more have different shapes."""
LEAST_NS = 5_000
"""Of a call: shorter ones vary by more than GPUs do."""
SAME_COUNT = 0.01
"""Counts per step that differ by less are of the same work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoloKernel:
    """One kernel name on one rank."""

    median_ns: float
    """Of the calls that no collective ran beside."""
    count_per_step: float
    """Of all calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSpread:
    """The kernels that all ranks share, in ns per step and rank."""

    ns_by_rank: Mapping[int, float]
    kernels: int
    """Names that were compared."""

    @property
    def slowest(self) -> int:
        """The rank whose kernels take longest."""
        return max(sorted(self.ns_by_rank), key=lambda number: self.ns_by_rank[number])

    @property
    def excess_ns(self) -> float:
        """What the slowest rank takes beyond the median of the others."""
        others = [value for number, value in self.ns_by_rank.items() if number != self.slowest]
        return self.ns_by_rank[self.slowest] - float(statistics.median(others))

    @property
    def share(self) -> float:
        """That excess over what the others take."""
        others = self.ns_by_rank[self.slowest] - self.excess_ns
        return self.excess_ns / others if others > 0 else 0.0


def solo_kernels(rank: RankTimeline, windows: Windows | None) -> Mapping[str, SoloKernel]:
    """The kernels of one rank that can be compared with those of another; empty without device work."""
    events = rank.events
    if events is None or windows is None or len(windows) == 0:
        return {}
    rows = events.rows(Kind.KERNEL)
    rows = rows[step_of(windows.start_ns, windows.end_ns, events.ts[rows]) != NONE]
    collective = row_classes(events)[rows] == CLASSES.index("communication")
    beside = events.spans(rows[collective])
    rows = rows[~collective]
    alone = lengths_inside(beside, events.ts[rows], events.end[rows]) == 0
    names, dur = events.name[rows], events.dur[rows]
    total = np.bincount(names, weights=dur, minlength=len(events.strings))
    found = {}
    for name in np.argsort(-total, kind="stable")[:TOP].tolist():
        own = names == name
        calls = dur[own & alone]
        if calls.size < LEAST_CALLS:
            continue
        low, median, high = np.percentile(calls, [10, 50, 90])
        if median >= LEAST_NS and high - low <= ALIKE * median:
            found[events.strings[name]] = SoloKernel(
                median_ns=float(median), count_per_step=float(own.sum()) / len(windows)
            )
    return found


def gpu_spread(ranks: Mapping[int, Mapping[str, SoloKernel]]) -> GpuSpread | None:
    """The spread over the ranks that have comparable kernels; None with fewer than two, or without a shared one."""
    tables = {number: table for number, table in ranks.items() if table}
    if len(tables) < 2:
        return None
    shared = []
    for name in sorted(set.intersection(*(set(table) for table in tables.values()))):
        counts = [table[name].count_per_step for table in tables.values()]
        if max(counts) - min(counts) <= SAME_COUNT * max(counts):
            shared.append(name)
    if not shared:
        return None
    return GpuSpread(
        ns_by_rank={
            number: sum(table[name].median_ns * table[name].count_per_step for name in shared)
            for number, table in tables.items()
        },
        kernels=len(shared),
    )
