"""What does the replayed step consist of? Its partition by class, as that of a recorded one.

The last round of a replay is written down as a recording: device work where the replay has put it, and the host's rows
moved with the calls around them. Then the partition is taken as of any recording.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.partition.partition import Partition, device_partition, parts_of, with_skew
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.analyzers.replay.graph.graph import Float64, Graph, Index, Int64, NodeKind
from llmprof.analyzers.replay.graph.replay import Replayed
from llmprof.analyzers.replay.scenario import Outcome
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable
from llmprof.timeline.intervals import EMPTY, Intervals
from llmprof.timeline.intervals import Int64 as Times
from llmprof.timeline.steps import StepMarks
from llmprof.timeline.timeline import RankTimeline

__all__ = ["parts_after", "replayed_partition", "replayed_rank"]


def parts_after(rank: RankTimeline, outcome: Outcome) -> dict[str, float] | None:
    """Ns per step of each part of the replayed step of one rank; None when it has no window on the device.

    The parts sum to the step: waiting for workers, which the graph does not hold, is `data`; a rest is `other`.
    """
    found = replayed_partition(rank, outcome.replayed)
    if found is None:
        return None
    own = outcome.replayed.step_ns
    factor = own / found.step_ns if found.step_ns > 0 else 0.0
    # Windows of a few steps can miss the mean by what lies before the first of them; all classes share that.
    parts = {name: value * factor / outcome.samples for name, value in parts_of(_detail(found)).items()}
    parts["data"] += outcome.input_wait_ns
    return parts


def _detail(partition: Partition) -> dict[str, float]:
    return {**partition.compute_classes, **partition.stall_classes, **partition.detail}


def replayed_partition(rank: RankTimeline, replayed: Replayed) -> Partition | None:
    """The partition of the last round of one rank."""
    moved = replayed_rank(rank, replayed)
    windows = windows_of(moved)
    if windows is None or moved.events is None:
        return None
    partition = device_partition(moved.events, windows)
    exposed = partition.spans.get("communication", EMPTY)
    skew = _waiting(replayed, replayed.graph.ranks.index(rank.rank))
    return with_skew(partition, windows, exposed=exposed, skew=skew) if skew else partition


def replayed_rank(rank: RankTimeline, replayed: Replayed) -> RankTimeline:
    """The rank as if the replay had been recorded: all rounds, of which the last one is marked."""
    assert rank.events is not None
    graph, events = replayed.graph, rank.events
    place = graph.ranks.index(rank.rank)
    mine = graph.rank == place
    host = np.flatnonzero(mine & graph.on_host)
    begin, end = int(graph.recorded_start[host].min()), int(graph.recorded_end[host].max())
    rows = np.flatnonzero(~np.isin(events.kind, DEVICE_KINDS) & (events.ts >= begin) & (events.ts + events.dur <= end))
    work = np.flatnonzero(mine & (graph.kind == NodeKind.DEVICE))
    tables = []
    for number in range(replayed.end_ns.shape[0]):
        known, moved = _anchors(graph, replayed, host, number)
        finish = _finish(graph, replayed, work, number)
        start = replayed.end_ns[number][work] - graph.dur[work]
        some = finish > start
        tables.append((rows, known, moved, work[some], start[some], finish[some]))
    table = _table(events, graph, tables)
    known, moved = tables[-1][1], tables[-1][2]
    marks = rank.marks
    if len(marks):
        marks = StepMarks(marks.number, _warp(marks.start_ns, known, moved), _warp(marks.end_ns, known, moved))
    else:
        edges = _warp(np.array([begin, end], np.int64), known, moved)
        marks = StepMarks(np.zeros(1, np.int64), edges[:1], edges[1:])
    return replace(rank, events=table, marks=marks, times=None, shaped=None)


_Round = tuple[Index, Int64, Float64, Index, Float64, Float64]


def _anchors(graph: Graph, replayed: Replayed, host: Index, number: int) -> tuple[Int64, Float64]:
    """Moments of the recording with the moments of the replay that they became, both ascending."""
    end = replayed.end_ns[number][host]
    known = np.stack([graph.recorded_start[host], graph.recorded_end[host]], axis=1).ravel()
    moved = np.stack([end - graph.dur[host], end], axis=1).ravel()
    return np.maximum.accumulate(known), np.maximum.accumulate(moved)


def _finish(graph: Graph, replayed: Replayed, work: Index, number: int) -> Float64:
    """The end of device work; of an arrival at a meeting that of the meeting."""
    result: Float64 = replayed.end_ns[number][graph.done_by(work)]
    return result


def _table(events: EventTable, graph: Graph, rounds: list[_Round]) -> EventTable:
    origin, starts, ends, calls = [], [], [], []
    offset = 0
    for rows, known, moved, work, start, finish in rounds:
        device = graph.row[work].astype(np.int64)
        place = np.full(len(events), NONE, dtype=np.int64)
        place[rows] = offset + np.arange(rows.size)
        origin.append(np.concatenate([rows, device]))
        starts.append(np.concatenate([_warp(events.ts[rows], known, moved), np.rint(start).astype(np.int64)]))
        ends.append(np.concatenate([_warp(events.end[rows], known, moved), np.rint(finish).astype(np.int64)]))
        calls.append(np.concatenate([np.full(rows.size, NONE), place[events.launch[device]]]))
        offset += rows.size + device.size
    row, ts, end, launch = map(np.concatenate, (origin, starts, ends, calls))
    order = np.argsort(ts, kind="stable")
    new = np.empty(order.size, dtype=np.int64)
    new[order] = np.arange(order.size)
    launch = np.where(launch == NONE, NONE, new[np.maximum(launch, 0)])[order]
    row = row[order]
    return EventTable(
        ts=ts[order],
        dur=np.maximum(end - ts, 0)[order],
        kind=events.kind[row],
        lane=events.lane[row],
        name=events.name[row],
        correlation=events.correlation[row],
        launch=launch.astype(np.int32),
        external=events.external[row],
        strings=events.strings,
    )


def _warp(at: Times, known: Int64, moved: Float64) -> Times:
    result: Times = np.rint(np.interp(at, known, moved)).astype(np.int64)
    return result


def _waiting(replayed: Replayed, place: int) -> Intervals:
    """When the rank waited at meetings for the last one to arrive."""
    graph = replayed.graph
    arrivals = np.flatnonzero(graph.arriving & (graph.rank == place))
    meets = graph.done_by(arrivals)
    begin, end = replayed.end_ns[-1][arrivals], replayed.end_ns[-1][meets] - graph.dur[meets]
    return Intervals.of(np.rint(begin).astype(np.int64), np.rint(end).astype(np.int64))
