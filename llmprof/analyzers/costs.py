"""What do kernels and collectives cost by name, and how far may the parts of the step be off?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt

from llmprof.analyzers.facts.communication.collectives import CollectiveGroup
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.trial import student_t
from llmprof.units import NS_PER_MS

__all__ = ["LONGEST_NAME", "costs_of", "partition_noise"]

LONGEST_NAME = 200
"""Characters of a kernel's name: templates make some of them ten thousand long."""


def costs_of(facts: Facts) -> Mapping[str, Mapping[str, float]]:
    """Milliseconds per step by name on the critical rank, the longest first; only tables that were recorded.

    kernels        summed time of the longest kernels
    collectives    summed time of every kind of collective: operation, format and size of its group
    """
    found: dict[str, Mapping[str, float]] = {}
    kernels, collectives = facts.critical.kernels, facts.critical.collectives
    if kernels is not None:
        found["kernels"] = _summed((kernel.name, kernel.ns_per_step) for kernel in kernels.top)
    if collectives is not None:
        found["collectives"] = _summed((_group(group), group.ns) for group in collectives.groups)
    return found


def partition_noise(facts: Facts) -> Mapping[str, float]:
    """Half the 95 % interval of each part of the step, ms: Student's t on its spread over the traced steps.

    Empty where fewer than two steps were traced.
    """
    partition, windows = facts.critical.partition, facts.critical.windows
    steps = 0 if windows is None else len(windows)
    if partition is None or steps < 2:
        return {}
    factor = student_t(steps - 1) / sqrt(steps - 1) / NS_PER_MS  # the spread is that of the steps, not an estimate
    return {name: factor * value for name, value in partition.spread.items()}


def _summed(rows: Iterable[tuple[str, float]]) -> dict[str, float]:
    table: dict[str, float] = {}
    for name, ns in rows:
        short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."
        table[short] = table.get(short, 0.0) + ns / NS_PER_MS
    return table


def _group(group: CollectiveGroup) -> str:
    size = "" if group.group_size is None else f" over {group.group_size}"
    return f"{group.op}{f' {group.dtype}' if group.dtype else ''}{size}"
