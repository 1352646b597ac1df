"""What does a rule see of a whole run? Step tables, devices and hosts on top of the facts of `facts_builder`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.pace.step_table import StepTable, step_table
from llmprof.timeline.intervals import Int64
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline

MS = 1_000_000
GIB = 1 << 30


def with_rank(facts: Facts, **fields: Any) -> Facts:
    """The same with other facts of its critical rank."""
    changed = replace(facts.critical, **fields)
    return replace(facts, critical=changed, ranks={**facts.ranks, changed.rank: changed})


def with_ranks(facts: Facts, *others: RankFacts, **each: list[Any]) -> Facts:
    """Several ranks like the critical one (or `others`), each with its own value of every field in `each`."""
    count = len(next(iter(each.values())))
    ranks = {}
    for number in range(count):
        fields = {name: values[number] for name, values in each.items()}
        base = others[number] if others else facts.critical
        ranks[number] = replace(base, rank=number, **fields)
    return replace(facts, ranks=ranks, critical=ranks[0], world_size=count)


def times(
    wall_ms: list[float],
    *,
    phases: list[StepPhase] | None = None,
    tokens: list[int] | None = None,
    **parts_ms: dict[int, float] | list[float],
) -> StepTimes:
    """One value a step; a part is a list, or the steps that have it."""
    wall = np.array([int(value * MS) for value in wall_ms], dtype=np.int64)
    columns: dict[str, Int64] = {}
    for name, values in parts_ms.items():
        column = np.zeros(wall.size, dtype=np.int64)
        for step, value in values.items() if isinstance(values, dict) else enumerate(values):
            column[step] = int(value * MS)
        columns[name] = column
    phase = phases or [StepPhase.BASELINE] * wall.size
    return StepTimes(
        number=np.arange(wall.size),
        start_ns=np.concatenate([[0], np.cumsum(wall)[:-1]]),
        wall_ns=wall,
        phase=np.array(phase, dtype=np.uint8),
        parts=columns,
        tokens=None if tokens is None else np.array(tokens, dtype=np.int64),
    )


def table(wall_ms: list[float], **more: Any) -> StepTable | None:
    """The table of a rank with these steps."""
    return step_table(RankTimeline(rank=0, events=None, times=times(wall_ms, **more)))
