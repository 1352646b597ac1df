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
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from llmprof.collectors.files import kineto_arguments as arguments
from llmprof.collectors.files import scan_choice
from llmprof.collectors.files.json_events import EventWalk
from llmprof.collectors.files.json_text import decoded
from llmprof.collectors.files.kineto_damage import events_text, require_events, truncation
from llmprof.collectors.files.kineto_rows import RowCollector
from llmprof.collectors.files.kineto_table import Rows
from llmprof.collectors.files.limits import TooMuch
from llmprof.collectors.files.quality import clock_quantum, collective_arguments_share, overlapping_rows
from llmprof.collectors.files.scan_choice import GuessedWrong, plain_limit
from llmprof.collectors.files.streams import STANDARD_INPUT, ByteStream, is_remote, open_stream
from llmprof.collectors.files.trace_cache import Kept, TraceCache
from llmprof.errors import UnreadableError
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind, Lane
from llmprof.timeline.steps import NO_STEPS, StepMarks
from llmprof.timeline.timeline import Quality, RankTimeline

if TYPE_CHECKING:
    from llmprof.collectors.files.scan_columns import ScannedRows
    from llmprof.collectors.files.scan_walk import ScanWalk

__all__ = ["Found", "KinetoTrace", "parse_kineto", "read_kineto"]

_STEP = re.compile(r"ProfilerStep#(\d{1,12})")
_RANK_IN_NAME = re.compile(r"(?:^|[^a-z])rank[-_.]?(\d{1,6})(?!\d)|(?:^|[^a-z0-9])r(\d{5})(?!\d)", re.IGNORECASE)


FOLLOWED = "what follows the end of the document is ignored"
_KEPT = ("header", "cut_at", "all_events", "damaged", "repaired", "flows", "notes")
"""Fields of KinetoTrace that are kept with its rows."""


class Found(Protocol):
    """The rows of a file, however they were read."""

    def rows(self, rank: int) -> Rows:
        """The rows as those of `rank`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KinetoTrace:
    """One parsed file, before it is known which rank it is."""

    path: Path
    header: Mapping[str, Any]
    found: Found
    cut_at: int | None
    """Where in the text it broke off, None when it did not."""
    all_events: bool
    damaged: int
    repaired: int
    flows: int
    notes: tuple[str, ...]
    cache: TraceCache | None = None
    """Where the rows are to be kept, None where they are not."""

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
        rows = self.found.rows(rank)
        if self.cache is not None:
            self.cache.store(Kept(rows, {name: getattr(self, name) for name in _KEPT}))
        events = rows.events
        if not len(events):
            raise UnreadableError(f"no event of {self.path} has a possible start and duration; record again.")
        marks = _step_marks(events)
        base = arguments.integer(self.header.get("baseTimeNanoseconds")) or 0
        return RankTimeline(
            rank=rank,
            events=events,
            lanes=rows.lanes,
            origin_ns=base + rows.origin_ns,
            marks=marks,
            environment=arguments.environment(self.header, _main_device(events, rows.lanes)),
            quality=self._quality(rows, marks),
        )

    def _quality(self, rows: Rows, marks: StepMarks) -> Quality:
        events = rows.events
        work = events.rows(*DEVICE_KINDS)
        return Quality(
            unlinked_kernel_share=float(np.mean(events.launch[work] == NONE)) if work.size else None,
            dropped_events=sum(rows.dropped.values()) + self.damaged,
            truncated=self.cut_at is not None,
            cut_in_events=self.cut_at is not None and not self.all_events,
            has_shapes=bool(events.shapes),
            has_operators=events.rows(Kind.CPU_OP).size > 0,
            has_sync_events=events.rows(Kind.SYNC).size > 0,
            repaired_events=self.repaired,
            has_flows=self.flows > 0 if work.size else None,
            marked_steps=len(marks),
            collective_arguments_share=collective_arguments_share(events),
            clock_quantum_ns=clock_quantum(events),
            overlapping_rows=overlapping_rows(events),
            warnings=tuple(f"{self.path.name}: {text}." for text in self._warnings(rows, marks)),
        )

    def _warnings(self, rows: Rows, marks: StepMarks) -> Iterator[str]:
        yield from (*self.notes, *rows.notes)
        if self.repaired:
            yield f"repaired {events_text(self.repaired)}"
        if self.cut_at is not None:
            yield truncation(rows.events, marks, self.all_events, self.cut_at)
        if self.damaged:
            yield f"left out {events_text(self.damaged)} that could not be read"
        for reason, count in sorted(rows.dropped.items()):
            yield f"left out {events_text(count)} with {reason}"


def read_kineto(path: str | Path, *, rank: int | None = None) -> RankTimeline:
    """The timeline of one trace (path, fsspec URL or `-`) as `rank`, else as the rank that it names, else as rank 0.

    Raises NotFoundError, UnknownFormatError (readable, but no trace) or UnreadableError (nothing can be used).
    """
    trace = parse_kineto(path)
    if rank is None:
        rank = trace.claimed_rank
    return trace.timeline(0 if rank is None else rank)


def parse_kineto(path: str | Path) -> KinetoTrace:
    """Read one file, fsspec URL or, with `-`, standard input; errors as `read_kineto`.

    What is small is read plainly, so that nobody waits for a compiler; so is everything where llvmlite is missing. What
    takes long is kept for the next time (see trace_cache).
    """
    if str(path) == STANDARD_INPUT or is_remote(path):
        return _parse(path, guess=False)
    cache = TraceCache(Path(path))
    kept = cache.load()
    if kept is not None:
        return KinetoTrace(path=Path(path), found=kept, **{**kept.facts, "notes": tuple(kept.facts["notes"])})
    start = time.perf_counter()
    try:
        trace = _parse(path, guess=True)
    except GuessedWrong:
        trace = _parse(path, guess=False)
    return replace(trace, cache=cache) if time.perf_counter() - start >= scan_choice.KEEP_AFTER_S else trace


def _parse(path: str | Path, *, guess: bool) -> KinetoTrace:
    with open_stream(path) as stream:
        data = stream.head(plain_limit())
        if data is None:
            try:
                trace = _parse_scanned(stream, guess=guess)
            except ImportError:  # a llvmlite that does not fit this machine
                data = stream.head(None) or b""
            else:
                return trace
    return _parse_plain(stream, data)


def _parse_plain(stream: ByteStream, data: bytes) -> KinetoTrace:
    """All in memory, a Python object an event."""
    text, notes = decoded(data)
    walk = EventWalk(text)
    collector = RowCollector()
    with _no_garbage_collection():
        for event in walk.events():
            collector.add(event)
    return _trace(stream, walk, collector, walk.damaged, walk.repaired, notes)


def _parse_scanned(stream: ByteStream, *, guess: bool) -> KinetoTrace:
    """In bounded memory, straight from bytes to columns; GuessedWrong as ScanWalk."""
    from llmprof.collectors.files.scan_columns import ScannedRows
    from llmprof.collectors.files.scan_walk import ScanWalk

    walk = ScanWalk(stream, guess=guess)
    try:
        walk.walk()
    except TooMuch as much:
        raise UnreadableError(
            f"{stream.name} holds {much}; if it is a real trace, record fewer steps, or without stacks."
        ) from None
    collector = ScannedRows(walk.parts)
    damaged = walk.damaged + collector.damaged + sum(part.damaged for part in walk.parts)
    repaired = collector.mended + sum(part.repaired for part in walk.parts)
    return _trace(stream, walk, collector, damaged, repaired, ())


def _trace(
    stream: ByteStream,
    walk: EventWalk | ScanWalk,
    collector: RowCollector | ScannedRows,
    damaged: int,
    repaired: int,
    notes: Sequence[str],
) -> KinetoTrace:
    require_events(stream, walk, collector, damaged)
    return KinetoTrace(
        path=Path(stream.name),
        header=walk.header,
        found=collector,
        cut_at=walk.cut_at,
        all_events=walk.closed,
        damaged=damaged,
        repaired=repaired,
        flows=collector.flows,
        notes=(*stream.notes, *notes, *([FOLLOWED] if walk.followed else [])),
    )


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
