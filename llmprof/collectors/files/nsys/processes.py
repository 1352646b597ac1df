"""What did one process of a report do? Its rows, sorted, joined and named, as the timeline of a rank."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files.nsys.lanes import ASYNC, LaneKey, pid_of
from llmprof.collectors.files.nsys.names import OPERATOR, matching
from llmprof.collectors.files.nsys.rows import Columns, RowReader
from llmprof.collectors.files.quality import implausible
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Int32, Kind, Lane, StringTable, link_launches
from llmprof.timeline.intervals import Int64

__all__ = ["Built", "build", "main_device"]

_SYNC_CALLS = tuple(
    (re.compile(pattern), label)
    for pattern, label in (
        (r"^(cudaDevice|cudaThread|cuCtx)Synchronize", "Context Sync"),
        (r"^(cuda|cu)StreamWaitEvent", "Stream Wait Event"),
        (r"^(cuda|cu)StreamSynchronize|^cu(da)?Memcpy", "Stream Sync"),
        (r"^(cuda|cu)EventSynchronize", "Event Sync"),
        (r"^(cuda|cu)EventQuery", "Event Query"),
        (r"^(cuda|cu)StreamQuery", "Stream Query"),
    )
)
"""What a synchronisation is, by the call that made it: the recorder's own types meant different things over the years.
The two queries return at once."""

_SYNC_TYPES = {1: "Event Sync", 2: "Stream Wait Event", 3: "Stream Sync", 4: "Context Sync"}
FIRST_GOOD_SYNC_TYPES = (3, 25)
"""The schema from which syncType can be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The rows of one process; `origin` is the time in the file of 0 in `events`."""

    process: int
    events: EventTable
    lanes: tuple[Lane, ...]
    origin: int
    dropped: Mapping[str, int]


def build(
    reader: RowReader,
    columns: Columns,
    strings: StringTable,
    process: int,
    labels: Mapping[tuple[int, int], str],
    schema: str | None,
) -> Built | None:
    """The rows of one process, by start and the longer first; None when none of them can be true.

    labels   names of the NVTX domains by (process, domain id)
    schema   version of the export, None when it does not say
    """
    mine = np.flatnonzero((reader.lanes.processes() == process)[columns.lane])
    ts, dur, kind = columns.ts[mine], columns.dur[mine], columns.kind[mine]
    dropped = Counter({reason: count for (owner, reason), count in reader.dropped.items() if owner == process})
    wrong = implausible(ts, dur, kind)
    if wrong.any():
        dropped["an impossible start or duration"] += int(wrong.sum())
        ts, dur, mine = ts[~wrong], dur[~wrong], mine[~wrong]
    if mine.size == 0:
        return None
    order = _by_start(ts, dur)
    origin = int(ts[order[0]])
    ts, dur, rows = ts[order] - origin, dur[order], mine[order]
    name, correlation = columns.name[rows], columns.correlation[rows]
    kind = columns.kind[rows]
    kind[(kind == Kind.ANNOTATION) & matching(strings, OPERATOR)[name]] = Kind.CPU_OP
    place = np.full(columns.ts.size, NONE, dtype=np.int32)
    place[rows] = np.arange(rows.size, dtype=np.int32)
    sync_types = _side(reader.sync_types, place)
    name = _named_syncs(kind, name, correlation, strings, sync_types if _believable(schema) else {})
    lane, lanes = _own_lanes(reader.lanes.keys, columns.lane[rows], labels)
    events = EventTable(
        ts=ts,
        dur=dur,
        kind=kind,
        lane=lane,
        name=name,
        correlation=correlation,
        launch=link_launches(kind, correlation),
        external=np.full(rows.size, NONE, dtype=np.int64),
        strings=strings,
        copied_bytes={row: size for row, size in _side(reader.copied, place).items() if size >= 0},
        streams={row: stream for row, stream in _side(reader.streams, place).items() if stream >= 0},
    )
    return Built(process=process, events=events, lanes=lanes, origin=origin, dropped=dropped)


def _by_start(ts: Int64, dur: Int64) -> npt.NDArray[np.intp]:
    """Rows by start, the longer first where starts are equal, then as they were read.

    Tables are nearly sorted, so one stable sort by start and a second look at equal starts is quicker than two keys.
    """
    order = np.argsort(ts, kind="stable")
    sorted_ts = ts[order]
    equal = sorted_ts[1:] == sorted_ts[:-1]
    if equal.any():
        tied = np.flatnonzero(np.append(equal, False) | np.insert(equal, 0, False))
        some = order[tied]
        order[tied] = some[np.lexsort((-dur[some], ts[some]))]
    return order


def main_device(built: Built) -> int | None:
    """The device with most rows; None when there is no device work."""
    work = built.events.rows(*DEVICE_KINDS)
    if work.size == 0:
        return None
    devices = np.array([lane.device for lane in built.lanes], dtype=np.int64)[built.events.lane[work]]
    numbers, counts = np.unique(devices, return_counts=True)
    return int(numbers[np.argmax(counts)])


def _side(parts: Sequence[tuple[int, Int64]], place: Int32) -> dict[int, int]:
    """Values of runs of read rows, by their row in the sorted table (`place` of each read row), ascending."""
    if not parts:
        return {}
    at = np.concatenate([place[first : first + values.size] for first, values in parts])
    values = np.concatenate([values for _, values in parts])
    at, values = at[at != NONE], values[at != NONE]
    by_row = np.argsort(at, kind="stable")
    return dict(zip(at[by_row].tolist(), values[by_row].tolist(), strict=True))


def _own_lanes(
    keys: Sequence[LaneKey], lane: Int32, labels: Mapping[tuple[int, int], str]
) -> tuple[Int32, tuple[Lane, ...]]:
    """The lanes that one process uses, numbered anew; the rank is filled in when it is known."""
    used = np.flatnonzero(np.bincount(lane, minlength=len(keys)))
    number_of = np.full(len(keys), NONE, dtype=np.int32)
    number_of[used] = np.arange(used.size, dtype=np.int32)
    chosen = [keys[number] for number in used.tolist()]
    contexts = {(key.device, key.context) for key in chosen if key.device != NONE}
    several = len(contexts) > len({device for device, _ in contexts})
    lanes = tuple(
        Lane(
            rank=0,
            device=key.device,
            process=pid_of(key.process),
            thread=key.thread,
            label=_label(key, labels, several),
        )
        for key in chosen
    )
    return number_of[lane], lanes


def _label(key: LaneKey, labels: Mapping[tuple[int, int], str], several: bool) -> str:
    if key.device != NONE:
        return f"context {key.context}" if several else ""
    domain, colon, kind = key.label.partition(":")
    if not colon:
        return key.label
    name = labels.get((key.process, int(domain)), f"domain {domain}")
    return f"{name} {ASYNC}" if kind else name


def _believable(schema: str | None) -> bool:
    parts = (schema or "").split(".")
    return (
        len(parts) >= 2
        and all(part.isdigit() for part in parts[:2])
        and ((int(parts[0]), int(parts[1])) >= FIRST_GOOD_SYNC_TYPES)
    )


def _named_syncs(
    kind: npt.NDArray[np.uint8],
    name: Int32,
    correlation: Int64,
    strings: StringTable,
    types: Mapping[int, int],
) -> Int32:
    """The names with each synchronisation called after what it does."""
    syncs = np.flatnonzero(kind == Kind.SYNC)
    if syncs.size == 0:
        return name
    calls = np.flatnonzero(kind == Kind.RUNTIME)
    calls = calls[np.argsort(correlation[calls], kind="stable")]
    place = np.searchsorted(correlation[calls], correlation[syncs], side="right") - 1
    found = place >= 0
    if calls.size:
        found &= (correlation[calls[np.maximum(place, 0)]] == correlation[syncs]) & (correlation[syncs] > 0)
    used = np.unique(name[calls[place[found]]]).tolist()
    by_call = np.full(len(strings) + 1, NONE, dtype=np.int64)
    for number in used:
        if label := _sync_label(strings[number]):
            by_call[number] = strings.id(label)
    by_type = np.full(len(_SYNC_TYPES) + 1, NONE, dtype=np.int64)
    for number, label in _SYNC_TYPES.items() if types else ():
        by_type[number] = strings.id(label)
    group = np.fromiter((types.get(row, 0) for row in syncs.tolist()), np.int64, syncs.size)
    group[(group < 0) | (group >= by_type.size)] = 0
    label_id = by_type[group]
    by_call = by_call[name[calls[place[found]]]]
    label_id[found] = np.where(by_call == NONE, label_id[found], by_call)
    result = name.copy()
    result[syncs] = np.where(label_id == NONE, name[syncs], label_id)
    return result


def _sync_label(call: str) -> str | None:
    return next((label for pattern, label in _SYNC_CALLS if pattern.search(call)), None)
