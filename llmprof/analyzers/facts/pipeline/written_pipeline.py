"""Is the rank a stage of a pipeline that was written by hand? Told by the order of what it sends and receives.

`torch.distributed.pipelining` says how it was set up; a loop with `dist.send` and `dist.recv`, or with batches of
`batch_isend_irecv`, does not. But its messages do: the first of p stages with m micro-batches sends m times and then
receives m gradients (GPipe), or does both in turns (one forward, one backward), the last one receives first, and those
between pass on what they receive. Ranks that exchange otherwise, as in ring attention, are none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.messages import is_sent
from llmprof.analyzers.facts.communication.rank_calls import collective_rows, rank_calls
from llmprof.analyzers.facts.measured import RankFacts
from llmprof.analyzers.facts.pipeline.pipeline_schedule import BY_HAND, ORDERS, by_hand, exchanges
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable
from llmprof.timeline.settings import PipelineSettings
from llmprof.timeline.timeline import RankTimeline

__all__ = ["agreed", "with_pipeline"]

MOST_MESSAGES = 4096
"""Of a step; a schedule of more is not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exchanged:
    """What a rank exchanges in every traced step, in order: `send` or `receive`; with whom, and in which group.

    ahead    whether the rank computes on after a send before that was taken
    """

    step: list[str]
    peers: frozenset[int]
    ranks: tuple[int, ...] | None
    ahead: bool


def with_pipeline(rank: RankTimeline) -> RankTimeline:
    """The rank with the stage that its messages tell, where nothing else tells one."""
    if rank.environment.pipeline is not None:
        return rank
    settings = _stage_of(rank)
    return rank if settings is None else replace(rank, environment=replace(rank.environment, pipeline=settings))


def agreed(ranks: Mapping[int, RankFacts]) -> dict[int, RankFacts]:
    """The ranks; messages tell that they are stages only where all are, of one pipeline of which none is missing."""
    told = {number: own for number, rank in ranks.items() if (own := rank.environment.pipeline) and _by_hand(own)}
    name = _common(told.values()) if len(told) == len(ranks) else None
    settings = {number: None if name is None else replace(own, schedule=name) for number, own in told.items()}
    return {number: _with(rank, settings[number]) if number in told else rank for number, rank in ranks.items()}


def _by_hand(settings: PipelineSettings) -> bool:
    return BY_HAND in (settings.schedule or "")


def _common(told: Collection[PipelineSettings]) -> str | None:
    """The schedule of these stages; None where they are not all the stages of one pipeline.

    What one stage exchanges fits several orders (stages between the ends do the same in all of them); that a stage
    sends ahead only those show that compute on after it.
    """
    setups = {(own.stages or 0, own.microbatches or 0) for own in told}
    if len(setups) != 1 or {stage for own in told for stage in own.local_stages} != set(range(min(setups)[0])):
        return None
    ahead = any(not (own.schedule or "").endswith(BY_HAND) for own in told)
    names = (by_hand(order, ahead=ahead) for order in ORDERS)
    return next((name for name in names if all(_messages(own, name) == _messages(own, "") for own in told)), None)


def _messages(own: PipelineSettings, schedule: str) -> list[str]:
    """What the stage exchanges in that schedule, or else in its own."""
    return exchanges(schedule or own.schedule or "", own.stages or 0, own.local_stages[0], own.microbatches or 0)


def _with(rank: RankFacts, settings: PipelineSettings | None) -> RankFacts:
    stage = None if settings is None else rank.stage
    return replace(rank, stage=stage, environment=replace(rank.environment, pipeline=settings))


def _stage_of(rank: RankTimeline) -> PipelineSettings | None:
    """The stage whose messages the rank exchanges in every traced step; None where that is none, or several fit."""
    found = _exchanged(rank)
    if found is None:
        return None
    ranks = found.ranks or ()
    # Stages follow each other as the ranks do; of two either is the first.
    for stage in (0, 1) if len(ranks) in (0, 2) else [at for at, number in enumerate(ranks) if number == rank.rank]:
        stages = len(ranks) or 2
        count = len(found.step) // (2 if stage in (0, stages - 1) else 4)
        beside = {ranks[at] for at in (stage - 1, stage + 1) if 0 <= at < len(ranks)}
        if not count or (len(ranks) > 2 and not found.peers <= beside):
            continue
        order = next((one for one in ORDERS if exchanges(one, stages, stage, count) == found.step), None)
        if order is not None:
            name = by_hand(order, ahead=found.ahead)
            return PipelineSettings(schedule=name, microbatches=count, stages=stages, local_stages=(stage,))
    return None


def _exchanged(rank: RankTimeline) -> _Exchanged | None:
    """The messages of the rank; None where steps or groups differ, or one of them has no known direction."""
    events = rank.events
    if events is None or not len(rank.marks) or not any("SendRecv" in name for name in events.strings.names):
        return None  # the name of NCCL's kernel: most recordings need no closer look
    found = rank_calls(rank)
    if found is None or not any(kind.op == "send_recv" for kind in found.kinds):
        return None
    moved = np.array([kind.op == "send_recv" for kind in found.kinds], bool)[found.kind] & (found.step != NONE)
    rows = collective_rows(events)[-len(found) :][moved]
    order = np.argsort(events.launch[rows], kind="stable")
    steps: dict[int, list[str]] = {one: [] for one in rank.marks.number.tolist()}
    kinds = [found.kinds[place] for place in found.kind[moved][order].tolist()]
    for kind, step in zip(kinds, found.step[moved][order].tolist(), strict=True):
        steps[step] += ["send" if is_sent(call) else "receive" for call in kind.messages]
    every, groups = list(steps.values()), {(kind.group_size, kind.group[1]) for kind in kinds}
    known = all(kind.messages for kind in kinds) and len(groups) == 1
    if not known or any(one != every[0] for one in every) or not 0 < len(every[0]) <= MOST_MESSAGES:
        return None
    size, ranks = groups.pop()
    if ranks is None and size != 2:
        return None
    sends = [all(is_sent(call) for call in kind.messages) for kind in kinds]
    return _Exchanged(
        step=every[0],
        peers=frozenset(call.peer for kind in kinds for call in kind.messages if call.peer is not None),
        ranks=ranks,
        ahead=_ahead(events, events.launch[rows][order][sends]),
    )


def _ahead(events: EventTable, sends: npt.NDArray[np.int32]) -> bool:
    """Whether the host launches kernels after one of these launches before it has the device wait for that.

    The profiler notes `wait` for each message or batch that a program waits for.
    """
    waits = [row for row, call in events.collectives.items() if call.name == "wait"]
    if not waits:
        return False
    device = events.rows(*DEVICE_KINDS)
    other = np.sort(events.launch[np.setdiff1d(device, collective_rows(events))])
    kernels, noted = np.append(other, len(events)), np.append(np.sort(waits), len(events))
    next_kernel, next_wait = (some[np.searchsorted(some, sends, side="right")] for some in (kernels, noted))
    return bool((next_kernel < next_wait).any())
