"""What is told of a trace file that is cut, damaged or empty? An error if nothing can be used of it, else warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmprof.collectors.files.json_events import EventWalk
from llmprof.collectors.files.kineto_rows import RowCollector
from llmprof.collectors.files.quality import unanswered_launches
from llmprof.collectors.files.streams import ByteStream
from llmprof.errors import UnknownFormatError, UnreadableError
from llmprof.timeline.events import EventTable
from llmprof.timeline.steps import StepMarks
from llmprof.units import format_count, format_ns, format_percent

if TYPE_CHECKING:
    from llmprof.collectors.files.scan_columns import ScannedRows
    from llmprof.collectors.files.scan_walk import ScanWalk

__all__ = ["events_text", "require_events", "truncation"]


def require_events(
    stream: ByteStream, walk: EventWalk | ScanWalk, collector: RowCollector | ScannedRows, damaged: int
) -> None:
    """Raise the error that says why nothing of this file can be used, when nothing can."""
    if len(collector):
        return
    if stream.truncated or (walk.cut_at is not None and walk.found_list):
        raise UnreadableError(
            f"{stream.name} is cut short before its first complete event; copy it again or record again."
        )
    if walk.cut_at is not None:
        raise UnreadableError(
            f"{stream.name} is not valid JSON (from character {format_count(walk.cut_at)} on); copy it again or "
            "record again."
        )
    if not walk.found_list or (walk.bare and not collector.trace_events):
        raise UnknownFormatError(
            f"{stream.name} is JSON but holds no traceEvents list; give a PyTorch profiler trace "
            "(prof.export_chrome_trace) or a folder of an `llmprof run`."
        )
    left_out = sum(collector.dropped.values()) + damaged
    reason = (
        f"none of its events can be read ({format_count(left_out)} tried)" if left_out else "it holds no timed events"
    )
    raise UnreadableError(
        f"{stream.name} is a trace, but {reason}; record again with at least one active profiler step."
    )


def events_text(count: int) -> str:
    """The count with its noun."""
    return f"{format_count(count)} event{'' if count == 1 else 's'}"


def truncation(events: EventTable, marks: StepMarks, all_events: bool, cut_at: int) -> str:
    """What a cut file holds, and what can be known of the rest."""
    if all_events:
        return "the file is cut short after its last event; facts about the run may be missing"
    last = int((events.ts + events.dur).max())
    lacking = unanswered_launches(events)
    known = [f"up to place {format_count(cut_at)} of the text"]
    known += [f"with {format_count(len(marks))} marked step{'' if len(marks) == 1 else 's'}"]
    known += [] if lacking is None else [f"and {format_percent(lacking)} of the launches lack their device work"]
    return (
        f"the file is cut short; {events_text(len(events))} over {format_ns(last)} kept, {', '.join(known)}; how many "
        "are missing is unknown, and since a trace file is not in order of time, whole threads or all device rows may "
        "be"
    )
