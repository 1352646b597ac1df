"""Where did each row happen? Serialized ids of processes and threads become lanes.

A serialized id is `hardware << 56 | vm << 48 | pid << 24 | tid`; what is above the thread names a process.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files.nsys.names import Codes
from llmprof.collectors.files.nsys.tables import NULL
from llmprof.timeline.events import NONE, Int32
from llmprof.timeline.intervals import Int64

__all__ = ["ASYNC", "SYNC", "LaneKey", "Lanes", "pid_of", "process_of"]

ASYNC = "start/end ranges"
"""The label of lanes for ranges that need not nest."""

SYNC = "synchronization"

_NO_STREAM = 2**32 - 1


@dataclass(frozen=True, slots=True)
class LaneKey:
    """A host thread (`device` NONE) or a stream; `process` is the serialized id above the thread, NULL when unknown."""

    process: int
    device: int
    context: int
    thread: int
    label: str = ""


def process_of(serialized: Int64) -> Int64:
    """The process of each serialized id; NULL stays NULL."""
    return np.where(serialized == NULL, NULL, serialized >> 24)


def pid_of(process: int) -> int:
    """The operating system's number of a process."""
    return process & 0xFFFFFF


class Lanes:
    """All lanes of a report, numbered in the order in which they were first seen."""

    def __init__(self) -> None:
        self.keys: list[LaneKey] = []
        self._numbers: dict[LaneKey, int] = {}
        self._threads: dict[str, tuple[Codes, list[int]]] = {}
        self._places, self._processes, self._streams = Codes(), Codes(), Codes()
        self._of_stream: list[int] = []

    def of_threads(self, threads: Int64, label: str = "") -> Int32:
        """The lane of each serialized thread id; a label makes a lane of its own beside the thread's."""
        codes, lanes = self._threads.setdefault(label, (Codes(), []))
        found = codes.of(threads)
        for key in codes.keys[len(lanes) :]:
            process, thread = (NULL, NONE) if key == NULL else (key >> 24, key & 0xFFFFFF)
            lanes.append(self.number(LaneKey(process, NONE, NONE, thread, label)))
        return np.asarray(lanes, dtype=np.int32)[found]

    def of_streams(self, process: Int64, device: Int64, context: Int64, stream: Int64) -> Int32:
        """The lane of each stream; streams and contexts count per process."""
        place = (device & 0xFFFF) << 48 | (context & 0xFFFF) << 32 | (stream & _NO_STREAM)
        known = self._processes.of(process).astype(np.int64)
        found = self._streams.of(known << 32 | self._places.of(place))
        for key in self._streams.keys[len(self._of_stream) :]:
            owner, where = self._processes.keys[key >> 32], self._places.keys[key & _NO_STREAM]
            lane = LaneKey(owner, where >> 48 & 0xFFFF, where >> 32 & 0xFFFF, where & _NO_STREAM)
            self._of_stream.append(self.number(lane))
        return np.asarray(self._of_stream, dtype=np.int32)[found]

    def number(self, key: LaneKey) -> int:
        """The number of one lane, new when it was not seen before."""
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.keys)
            self.keys.append(key)
        return found

    def processes(self) -> npt.NDArray[np.int64]:
        """The process of each lane; shape (lanes,)."""
        return np.array([key.process for key in self.keys], dtype=np.int64)
