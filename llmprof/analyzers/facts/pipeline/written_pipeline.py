"""Is the rank a stage of a pipeline that was written by hand? Told by the order of what it sends and receives.

`torch.distributed.pipelining` says how it was set up; a loop with `dist.send` and `dist.recv` does not. But its
messages do: the first of p stages with m micro-batches sends m times and then receives m gradients (GPipe), the last
one receives first, and those between pass on what they receive. Ranks that exchange otherwise, as in ring attention,
are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.communication.rank_calls import collective_rows, rank_calls
from llmprof.analyzers.facts.measured import RankFacts
from llmprof.analyzers.facts.pipeline.pipeline_schedule import BY_HAND, exchanges
from llmprof.timeline.events import NONE
from llmprof.timeline.settings import PipelineSettings
from llmprof.timeline.timeline import RankTimeline

__all__ = ["agreed", "with_pipeline"]

_DIRECTIONS = {"send": "send", "isend": "send", "recv": "receive", "irecv": "receive"}
MOST_MESSAGES = 4096
"""Of a step; a schedule of more is not compared."""


def with_pipeline(rank: RankTimeline) -> RankTimeline:
    """The rank with the stage that its messages tell, where nothing else tells one."""
    if rank.environment.pipeline is not None:
        return rank
    settings = _stage_of(rank)
    return rank if settings is None else replace(rank, environment=replace(rank.environment, pipeline=settings))


def agreed(ranks: Mapping[int, RankFacts]) -> dict[int, RankFacts]:
    """The ranks; messages tell that they are stages only where all are, of one pipeline of which none is missing."""
    told = {number: own for number, rank in ranks.items() if (own := rank.environment.pipeline) and _by_hand(own)}
    setups = {(own.stages, own.microbatches) for own in told.values()}
    stages = {stage for own in told.values() for stage in own.local_stages}
    whole = len(setups) == 1 and len(told) == len(ranks) and stages == set(range(next(iter(setups))[0] or 0))
    if not told or whole:
        return dict(ranks)
    return {number: _without(rank) if number in told else rank for number, rank in ranks.items()}


def _by_hand(settings: PipelineSettings) -> bool:
    return settings.schedule == BY_HAND


def _without(rank: RankFacts) -> RankFacts:
    return replace(rank, stage=None, environment=replace(rank.environment, pipeline=None))


def _stage_of(rank: RankTimeline) -> PipelineSettings | None:
    """The stage whose messages the rank exchanges in every traced step; None where that is none, or several fit."""
    steps, group = _messages(rank)
    if not steps or any(step != steps[0] for step in steps) or not 0 < len(steps[0]) <= MOST_MESSAGES:
        return None
    stages = 2 if group is None else len(group)
    # Stages follow each other as the ranks do; of two either is the first.
    for stage in (0, 1) if stages == 2 else [at for at, number in enumerate(group or ()) if number == rank.rank]:
        count = len(steps[0]) // (2 if stage in (0, stages - 1) else 4)
        if count and exchanges(BY_HAND, stages, stage, count) == steps[0]:
            return PipelineSettings(schedule=BY_HAND, microbatches=count, stages=stages, local_stages=(stage,))
    return None


def _messages(rank: RankTimeline) -> tuple[list[list[str]], tuple[int, ...] | None]:
    """The directions of the messages of each traced step, in order, and the ranks among which they go.

    Nothing where a direction is not known (exchanges that were begun together have none), or groups differ.
    """
    events = rank.events
    if events is None or not len(rank.marks) or not any("SendRecv" in name for name in events.strings.names):
        return [], None  # the name of NCCL's kernel: most recordings need no closer look
    found = rank_calls(rank)
    if found is None or not any(kind.op == "send_recv" for kind in found.kinds):
        return [], None
    moved = np.array([kind.op == "send_recv" for kind in found.kinds], bool)[found.kind] & (found.step != NONE)
    rows, number = collective_rows(events)[-len(found) :][moved], found.step[moved]
    order = np.argsort(events.ts[events.launch[rows]], kind="stable")
    steps: dict[int, list[str]] = {one: [] for one in rank.marks.number.tolist()}
    groups = set()
    for row, step in zip(rows[order].tolist(), number[order].tolist(), strict=True):
        call = events.collectives.get(row)
        direction = _DIRECTIONS.get((call.name or "").lower()) if call is not None else None
        if call is None or direction is None or (call.group_size or len(call.ranks or ())) < 2:
            return [], None
        steps[step].append(direction)
        groups.add((call.group_size, call.ranks))
    if len(groups) != 1:
        return [], None
    size, ranks = groups.pop()
    return (list(steps.values()), ranks) if ranks is not None or size == 2 else ([], None)
