"""What happened, according to a PyTorch profiler trace? Reads Kineto's Chrome JSON, plain or gzipped, of any year.

What is kept of each event, and how damage is treated:

- Time is parsed from its decimal text to integer ns; no digit is lost, whether timestamps are relative to
  `baseTimeNanoseconds` or absolute epoch µs.
- Kernels are joined to their launches by `correlation`. Device rows whose launch lies outside the file are kept and
  counted in `Quality.unlinked_kernel_share`.
- Steps are the host's `ProfilerStep#N` annotations; the shadows of annotations on the device never are.
- A cut file gives the events before the cut, with `Quality.truncated`; an event that cannot be read or cannot be true
  is left out and counted in `Quality.dropped_events`.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llmprof.collectors.files import kineto_arguments as arguments
from llmprof.collectors.files.json_events import EventWalk
from llmprof.collectors.files.json_text import JsonText, read_text
from llmprof.collectors.files.kineto_rows import RowCollector, Rows
from llmprof.errors import UnknownFormatError, UnreadableError
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind, Lane
from llmprof.timeline.steps import NO_STEPS, StepMarks
from llmprof.timeline.timeline import Quality, RankTimeline
from llmprof.units import format_count, format_ns

__all__ = ["KinetoTrace", "parse_kineto", "read_kineto"]

_STEP = re.compile(r"ProfilerStep#(\d{1,12})")
_RANK_IN_NAME = re.compile(r"(?:^|[^a-z])rank[-_.]?(\d{1,6})(?!\d)|(?:^|[^a-z0-9])r(\d{5})(?!\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class KinetoTrace:
    """One parsed file, before it is known which rank it is."""

    path: Path
    header: Mapping[str, Any]
    collector: RowCollector
    truncated: bool
    all_events: bool
    damaged: int
    notes: tuple[str, ...]

    @property
    def claimed_rank(self) -> int | None:
        """The rank that the file says it is: in distributedInfo, else in its name or its folder's name."""
        info = self.header.get("distributedInfo")
        rank = arguments.integer(info.get("rank")) if isinstance(info, dict) else None
        if rank is not None and rank >= 0:
            return rank
        for name in (self.path.name, self.path.absolute().parent.name):
            if match := _RANK_IN_NAME.search(name):
                return int(match[1] or match[2])
        return None

    def timeline(self, rank: int) -> RankTimeline:
        """The timeline of this file as that of `rank`; UnreadableError when no row can be true."""
        rows = self.collector.rows(rank)
        events = rows.events
        if not len(events):
            raise UnreadableError(f"no event of {self.path} has a possible start and duration; record again.")
        base = arguments.integer(self.header.get("baseTimeNanoseconds")) or 0
        return RankTimeline(
            rank=rank,
            events=events,
            lanes=rows.lanes,
            origin_ns=base + rows.origin_ns,
            marks=_step_marks(events),
            environment=arguments.environment(self.header, _main_device(events, rows.lanes)),
            quality=self._quality(rows),
        )

    def _quality(self, rows: Rows) -> Quality:
        events = rows.events
        work = events.rows(*DEVICE_KINDS)
        dropped = sum(rows.dropped.values()) + self.damaged
        warnings = [f"{self.path.name}: {note}." for note in self.notes]
        if self.truncated:
            warnings.append(_truncation(self.path, events, self.all_events))
        if self.damaged:
            warnings.append(f"{self.path.name}: left out {_events(self.damaged)} that could not be read.")
        warnings += [
            f"{self.path.name}: left out {_events(count)} with {reason}."
            for reason, count in sorted(rows.dropped.items())
        ]
        return Quality(
            unlinked_kernel_share=float(np.mean(events.launch[work] == NONE)) if work.size else None,
            dropped_events=dropped,
            truncated=self.truncated,
            has_shapes=bool(events.shapes),
            has_operators=events.rows(Kind.CPU_OP).size > 0,
            has_sync_events=events.rows(Kind.SYNC).size > 0,
            warnings=tuple(warnings),
        )


def read_kineto(path: Path, *, rank: int | None = None) -> RankTimeline:
    """The timeline of one trace file, as `rank`, else as the rank that the file names, else as rank 0.

    Raises NotFoundError, UnknownFormatError (readable, but no trace) or UnreadableError (nothing can be used).
    """
    trace = parse_kineto(path)
    if rank is None:
        rank = trace.claimed_rank
    return trace.timeline(0 if rank is None else rank)


def parse_kineto(path: Path) -> KinetoTrace:
    """Read one file; errors as `read_kineto`."""
    content = read_text(path)
    walk = EventWalk(content.text)
    collector = RowCollector()
    with _no_garbage_collection():
        try:
            for event in walk.events():
                collector.add(event)
        except RecursionError:
            raise UnreadableError(
                f"{path} nests lists or objects too deeply for a trace; check where the file comes from."
            ) from None
    _require_events(path, content, walk, collector)
    notes = list(content.notes)
    if walk.repaired:
        notes.append(f"repaired {_events(walk.repaired)}")
    return KinetoTrace(
        path=path,
        header=walk.header,
        collector=collector,
        truncated=walk.cut_at is not None,
        all_events=walk.closed,
        damaged=walk.damaged,
        notes=tuple(notes),
    )


def _require_events(path: Path, content: JsonText, walk: EventWalk, collector: RowCollector) -> None:
    """Raise the error that says why nothing of this file can be used, when nothing can."""
    if len(collector):
        return
    if content.truncated or (walk.cut_at is not None and walk.found_list):
        raise UnreadableError(f"{path} is cut short before its first complete event; copy it again or record again.")
    if walk.cut_at is not None:
        raise UnreadableError(
            f"{path} is not valid JSON (from character {format_count(walk.cut_at)} on); copy it again or record again."
        )
    if not walk.found_list or (walk.bare and not collector.trace_events):
        raise UnknownFormatError(
            f"{path} is JSON but holds no traceEvents list; give a PyTorch profiler trace "
            "(prof.export_chrome_trace) or a folder of an `llmprof run`."
        )
    left_out = sum(collector.dropped.values()) + walk.damaged
    reason = (
        f"none of its events can be read ({format_count(left_out)} tried)" if left_out else "it holds no timed events"
    )
    raise UnreadableError(f"{path} is a trace, but {reason}; record again with at least one active profiler step.")


def _step_marks(events: EventTable) -> StepMarks:
    """ProfilerStep#N annotations of the host, by start."""
    numbers = {i: int(match[1]) for i, name in enumerate(events.strings.names) if (match := _STEP.fullmatch(name))}
    named = np.zeros(len(events.strings), dtype=bool)
    named[list(numbers)] = True
    rows = events.rows_named((Kind.ANNOTATION,), named)
    if rows.size == 0:
        return NO_STEPS
    number = np.array([numbers[i] for i in events.name[rows].tolist()], dtype=np.int64)
    return StepMarks(number, events.ts[rows], events.ts[rows] + events.dur[rows])


def _main_device(events: EventTable, lanes: tuple[Lane, ...]) -> int | None:
    """The device with most rows; None when there is no device work."""
    work = events.rows(*DEVICE_KINDS)
    if work.size == 0:
        return None
    lane, count = np.unique(events.lane[work], return_counts=True)
    totals: dict[int, int] = {}
    for index, rows in zip(lane.tolist(), count.tolist(), strict=True):
        device = lanes[index].device
        totals[device] = totals.get(device, 0) + rows
    return max(totals, key=lambda device: totals[device])


def _events(count: int) -> str:
    return f"{format_count(count)} event{'' if count == 1 else 's'}"


def _truncation(path: Path, events: EventTable, all_events: bool) -> str:
    if all_events:
        return f"{path.name}: the file is cut short after its last event; facts about the run may be missing."
    last = int((events.ts + events.dur).max())
    return (
        f"{path.name}: the file is cut short; {_events(len(events))} over {format_ns(last)} kept; how many are "
        "missing is unknown, and since a trace file is not in order of time, whole threads or all device "
        "rows may be."
    )


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Millions of short-lived dicts without cycles: the cyclic collector would only walk them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
