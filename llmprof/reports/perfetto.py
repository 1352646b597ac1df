"""How does a recording look in Perfetto? Chrome's JSON with classes, idle causes, steps and findings as tracks.

Every rank is up to three processes: what llmprof says of it, its host threads, and each of its GPUs. Times are µs from
a moment before the earliest rank's origin, with the nanoseconds behind the point. Rows of one lane that overlap without
one holding the other (they do on AMD, and with programmatic launches) go to a second track of the same name: Perfetto
would drop them.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import numpy.typing as npt

from llmprof._version import __version__
from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.facts.device.kernels import row_classes
from llmprof.errors import InputError
from llmprof.reports.labels import CLASS_LABELS, PART_LABELS
from llmprof.reports.perfetto_tracks import LONGEST_NAME, TrackFile, us_text
from llmprof.reports.text import clip, visible
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind
from llmprof.timeline.timeline import RankTimeline, Timeline
from llmprof.units import format_ms

if TYPE_CHECKING:
    from llmprof.analyzers.diagnosis import Diagnosis
    from llmprof.analyzers.facts.measured import Facts, RankFacts

__all__ = ["Exported", "write_perfetto"]

VERDICT, HOST, DEVICE = 1, 2, 3
"""Places of a rank's processes; ranks are PLACES apart, and 0 is nobody."""
PLACES = 100
AROUND_NS = 250_000_000
"""Telemetry is sampled five times a second: the readings next to what was traced tell something of it. The
trace begins as much earlier, because Perfetto drops what comes before its time 0."""
_CAUSES = {
    "wait": "waits for the next batch",
    "launch": "host launches too late",
    "gap": "short gap between kernels",
    "python": "Python",
    "sync": "after a host synchronization",
    "memory_management": "allocator asks the driver",
    "dependency": "waits for other work",
    "unlinked": "cause unknown",
    "untraced": "not traced",
    "plan_build": "operator plans are built",
    "gc": "garbage collection",
    "checkpoint": "checkpoint",
    "evaluation": "evaluation",
    "compile": "compilation",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """How much was written."""

    slices: int
    flows: int
    counters: int


def write_perfetto(timeline: Timeline, facts: Facts | None, diagnosis: Diagnosis, path: Path) -> Exported:
    """Write the recording to `path` (packed when it ends in .gz), replacing an older file only when all is written.

    Raises InputError when it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as raw:
            packed = gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=4, mtime=0) if path.suffix == ".gz" else raw
            with io.TextIOWrapper(packed, encoding="ascii", write_through=False) as stream:
                exported = _Writer(stream, timeline).write(facts, diagnosis)
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}); choose another place for it.") from None
    finally:
        with suppress(OSError):
            partial.unlink()
    return exported


class _Writer:
    """Writes what is known of a timeline, rank by rank."""

    def __init__(self, stream: TextIO, timeline: Timeline) -> None:
        self._stream = stream
        self._timeline = timeline
        traced = [rank for rank in timeline.ranks if rank.events is not None]
        self._origin = min((rank.origin_ns for rank in traced), default=0) - AROUND_NS
        self._file = TrackFile(stream)
        self._flows = self._counters = 0

    def write(self, facts: Facts | None, diagnosis: Diagnosis) -> Exported:
        told = {"version": __version__, "verdict": visible(diagnosis.verdict.sentence)}
        self._stream.write(f'{{"displayTimeUnit":"ms","llmprof":{json.dumps(told)},"traceEvents":[\n')
        for rank in self._timeline.ranks:
            known = facts.ranks.get(rank.rank) if facts is not None else None
            if rank.events is not None:
                self._judgement(rank, known, diagnosis)
                self._events(rank, rank.events)
                self._telemetry(rank, rank.events)
        self._stream.write("\n]}\n")
        return Exported(slices=self._file.slices, flows=self._flows, counters=self._counters)

    # Tracks of llmprof itself

    def _judgement(self, rank: RankTimeline, known: RankFacts | None, diagnosis: Diagnosis) -> None:
        process = rank.rank * PLACES + VERDICT
        self._file.process(process, f"rank {rank.rank}: llmprof", 2 * rank.rank)
        shift = rank.origin_ns - self._origin
        windows = known.windows if known is not None else None
        if windows is not None:
            names = [f"step {number}" for number in windows.number.tolist()]
            self._file.track(process, "steps (device)", "step", names, windows.start_ns + shift, windows.end_ns + shift)
        if len(rank.marks):
            names = [f"step {number}" for number in rank.marks.number.tolist()]
            marks = rank.marks
            self._file.track(process, "steps (host)", "step", names, marks.start_ns + shift, marks.end_ns + shift)
        partition = None if known is None else known.traced or known.partition
        spans = {} if partition is None else partition.spans
        busy = {name: value for name, value in spans.items() if name not in _CAUSES}
        idle = {name: value for name, value in spans.items() if name in _CAUSES}
        for title, chosen in (("device busy", busy), ("device idle: why", idle)):
            names, start, end = _flattened(chosen)
            self._file.track(process, title, title.split(":")[0], names, start + shift, end + shift)
        self._findings(process, rank, diagnosis, shift)

    def _findings(self, process: int, rank: RankTimeline, diagnosis: Diagnosis, shift: int) -> None:
        """What was seen where: one slice for every piece of evidence that has a window on this rank."""
        found = [
            (finding, item, item.window_ns)
            for finding in diagnosis.findings
            if finding.status == "fired"
            for item in finding.evidence
            if item.window_ns is not None and (item.rank is None or item.rank == rank.rank)
        ]
        arguments = [
            json.dumps(
                {
                    "rule": finding.rule,
                    "summary": visible(finding.summary),
                    "evidence": visible(item.label),
                    "cost": "unknown" if finding.cost_ms is None else f"{format_ms(finding.cost_ms)} per step",
                }
            )
            for finding, item, _ in found
        ]
        start = np.array([window[0] for *_, window in found], dtype=np.int64) + shift
        end = np.array([window[1] for *_, window in found], dtype=np.int64) + shift
        self._file.track(process, "findings", "finding", [item[0].title for item in found], start, end, arguments)

    # What was recorded

    def _events(self, rank: RankTimeline, events: EventTable) -> None:
        """Every row of the table on its lane, and an arrow from every launch to its device work."""
        base, shift = rank.rank * PLACES, rank.origin_ns - self._origin
        self._file.process(base + HOST, f"rank {rank.rank}: host", 2 * rank.rank + 1)
        classes = row_classes(events)
        place = np.zeros((len(events), 2), dtype=np.int64)
        for lane in np.unique(events.lane).tolist():
            about = rank.lanes[lane]
            process = base + (DEVICE + min(about.device, PLACES - DEVICE - 1) if about.on_device else HOST)
            if about.on_device and process not in self._file:
                self._file.process(process, f"rank {rank.rank}: GPU {about.device}", 2 * rank.rank + 1)
            rows = np.flatnonzero(events.lane == lane)
            title = about.label or (f"stream {about.thread}" if about.on_device else f"thread {about.thread}")
            names = [events.strings[name] for name in events.name[rows].tolist()]
            start = events.ts[rows] + shift
            about_rows = list(_arguments(events, rows, classes))
            kinds = [Kind(kind).name.lower() for kind in events.kind[rows].tolist()]
            tracks = self._file.track(process, title, None, names, start, start + events.dur[rows], about_rows, kinds)
            place[rows, 0], place[rows, 1] = process, tracks
        self._arrows(events, shift, place)

    def _arrows(self, events: EventTable, shift: int, place: npt.NDArray[np.int64]) -> None:
        """From each launch to its device work; `place` is the process and the track of every row."""
        rows = events.rows(*DEVICE_KINDS)
        rows = rows[events.launch[rows] != NONE]
        launches = events.launch[rows]
        lines: list[str] = []
        ends = zip(
            *place[rows].T.tolist(), *place[launches].T.tolist(),
            (events.ts[rows] + shift).tolist(), (events.ts[launches] + shift).tolist(), strict=True,
        )  # fmt: skip
        for process, track, host, thread, at, issued in ends:
            key = f'"id":{self._flows + len(lines) // 2},"name":"launch","cat":"launch"'
            lines.append(f'{{"ph":"s",{key},"pid":{host},"tid":{thread},"ts":{us_text(issued)}}}')
            lines.append(f'{{"ph":"f","bp":"e",{key},"pid":{process},"tid":{track},"ts":{us_text(at)}}}')
        self._flows += len(lines) // 2
        self._file.emit(lines)

    def _telemetry(self, rank: RankTimeline, events: EventTable) -> None:
        """Sampled readings beside what was traced, as counters of the rank."""
        if not len(events):
            return
        process, shift = rank.rank * PLACES + VERDICT, self._origin
        first, last = rank.origin_ns + int(events.ts[0]), rank.origin_ns + int(events.end.max())
        lines = []
        for series in rank.telemetry:
            near = (
                (series.t_ns >= max(first - AROUND_NS, shift))
                & (series.t_ns <= last + AROUND_NS)
                & ~np.isnan(series.value)
            )
            unit = f" ({series.unit})" if series.unit else ""
            where = "" if series.device is None else f"GPU {series.device} "
            name = json.dumps(visible(f"{where}{series.name}{unit}"))
            for at, value in zip((series.t_ns[near] - shift).tolist(), series.value[near].tolist(), strict=True):
                lines.append(
                    f'{{"ph":"C","pid":{process},"name":{name},"ts":{us_text(at)},'
                    f'"args":{{"value":{json.dumps(value)}}}}}'
                )
        self._counters += len(lines)
        self._file.emit(lines)


def _flattened(spans: Mapping[str, Any]) -> tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Spans of several classes as rows with the class's name."""
    some = [(name, value) for name, value in spans.items() if value]
    nothing = np.empty(0, dtype=np.int64)
    names = [title for name, value in some for title in [_title(name)] * len(value)]
    start = np.concatenate([nothing, *(value.starts for _, value in some)])
    end = np.concatenate([nothing, *(value.ends for _, value in some)])
    return names, start, end


def _title(name: str) -> str:
    for labels in (CLASS_LABELS, PART_LABELS):
        if name in labels:
            return labels[name].name
    return _CAUSES.get(name, name.replace("_", " "))


def _arguments(events: EventTable, rows: Iterable[int], classes: npt.NDArray[np.int8]) -> Iterator[str]:
    """What Perfetto shows of a row beside its name, as JSON; empty where there is nothing."""
    device = set(int(kind) for kind in DEVICE_KINDS)
    for row in rows:
        found: dict[str, Any] = {}
        kind, correlation = int(events.kind[row]), int(events.correlation[row])
        if kind in device and classes[row] != NONE:
            found["class"] = CLASSES[classes[row]]
        if correlation != NONE:
            found["correlation"] = correlation
        if (size := events.copied_bytes.get(int(row))) is not None:
            found["bytes"] = size
        if (shapes := events.shapes.get(int(row))) is not None:
            found["shapes"] = clip(visible(shapes), LONGEST_NAME)
        if (call := events.collectives.get(int(row))) is not None:
            told = {"dtype": call.dtype, "elements": call.in_elements, "group": call.group_name}
            found |= {key: value for key, value in told.items() if value is not None}
        yield json.dumps(found) if found else ""
