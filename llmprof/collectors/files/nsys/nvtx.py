"""Which ranges did the program mark? Reads NVTX events: push/pop and start/end ranges, marks, domains, thread names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files.nsys.lanes import ASYNC
from llmprof.collectors.files.nsys.rows import RowReader
from llmprof.collectors.files.nsys.tables import NULL, Text
from llmprof.timeline.events import Int32, Kind, StringTable
from llmprof.timeline.intervals import Int64

__all__ = ["EVENTS", "Marks", "read_ranges"]

EVENTS = "NVTX_EVENTS"

# The second of each pair is the twin that nsys imports from a text file (nvtxt).
_NESTED, _FREE, _MARK = (59, 70), (60, 71), (34, 65)
_THREAD_NAME, _DOMAIN = 39, 75

EMITTED = frozenset({b"op_id", b"seq", b"sizes", b"input_op_ids"})
"""What torch.autograd.profiler.emit_nvtx appends to a name (`, op_id = 5`); it makes every range unique."""

_NAMES = ("start", "end", "eventType", "globalTid", "textId", "domainId")


@dataclass(slots=True)
class Marks:
    """What NVTX events say besides ranges; names are slots of the report's `Names`."""

    domains: dict[tuple[int, int], int] = field(default_factory=dict)
    """(process, domain id) to the domain's name; domain ids count per process."""
    threads: list[tuple[int, int]] = field(default_factory=list)
    """(process, name) of threads that the program named: MPI says its rank here."""

    def labels(self, strings: StringTable, place: Int32) -> dict[tuple[int, int], str]:
        """The domains' names as text."""
        return {key: strings[int(place[slot])] for key, slot in self.domains.items()}


def read_ranges(reader: RowReader, capture_end: int | None) -> Marks:
    """Add all ranges and marks as annotations.

    A push/pop range of the default domain lies on its thread's lane, between the calls that it encloses. Ranges of
    another domain nest only among themselves, and start/end ranges not at all (they may end on another thread), so both
    have lanes of their own beside the thread's. A range that was never closed ends with the capture.
    """
    marks = Marks()
    for columns, texts in reader.tables.texts(EVENTS, _NAMES, "text", EMITTED):
        _take(reader, marks, columns, texts, capture_end)
    return marks


def _take(reader: RowReader, marks: Marks, columns: tuple[Int64, ...], texts: Sequence[Text], last: int | None) -> None:
    start, end, group, thread, text_id, domain = columns
    domain = np.where(domain == NULL, 0, domain)
    named = np.isin(group, (*_NESTED, *_FREE, *_MARK, _THREAD_NAME, _DOMAIN))
    names = _slots(reader, text_id, texts, named)
    for row in np.flatnonzero(group == _DOMAIN).tolist():
        marks.domains[int(thread[row]) >> 24, int(domain[row])] = int(names[row])
    marks.threads += [(int(thread[row]) >> 24, int(names[row])) for row in np.flatnonzero(group == _THREAD_NAME)]
    end = np.where(np.isin(group, _MARK), start, end)
    if last is not None:
        end = np.where((end == NULL) & (start <= last), last, end)
    for types, label in (((*_NESTED, *_MARK), ""), (_FREE, ASYNC)):
        chosen = np.isin(group, types)
        for number in np.unique(domain[chosen]).tolist():
            rows = np.flatnonzero(chosen & (domain == number))
            beside = label if number == 0 else f"{number}:{label}"
            lane = reader.lanes.of_threads(thread[rows], beside)
            reader.take(Kind.ANNOTATION, start[rows], end[rows], lane, names[rows], None)


def _slots(reader: RowReader, text_id: Int64, texts: Sequence[Text], wanted: npt.NDArray[np.bool_]) -> Int32:
    """The name of each row that is wanted: its own text, else the registered one."""
    own = np.fromiter((bool(text) for text in texts), bool, len(texts)) & wanted
    slots = np.zeros(text_id.size, dtype=np.int32)
    rows = np.flatnonzero(own)
    slots[rows] = reader.names.of_texts([texts[row] for row in rows.tolist()])
    registered = wanted & ~own
    slots[registered] = reader.names.of_ids(text_id[registered])
    return slots
