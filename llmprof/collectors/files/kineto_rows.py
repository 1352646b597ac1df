"""Which rows does a Kineto trace give? Turns trace events one by one into columns, then into a sorted EventTable."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files import kineto_arguments as arguments
from llmprof.collectors.files.kineto_table import (
    IMPOSSIBLE,
    LaneKey,
    Places,
    Rows,
    Sides,
    identity,
    lane_key,
    lanes_of,
    sort,
)
from llmprof.timeline.events import NONE, CollectiveCall, Kind, StringTable

__all__ = ["CATEGORIES", "FLOWS", "RowCollector"]

CATEGORIES = {
    "cpu_op": Kind.CPU_OP,
    "operator": Kind.CPU_OP,  # 2021
    "cuda_runtime": Kind.RUNTIME,
    "cuda_driver": Kind.RUNTIME,
    "hip_runtime": Kind.RUNTIME,
    "runtime": Kind.RUNTIME,  # 2021
    "kernel": Kind.KERNEL,
    "gpu_memcpy": Kind.MEMCPY,
    "memcpy": Kind.MEMCPY,  # 2021
    "gpu_memset": Kind.MEMSET,
    "memset": Kind.MEMSET,  # 2021
    "user_annotation": Kind.ANNOTATION,
    "python_function": Kind.PYTHON,
    "cuda_sync": Kind.SYNC,
    "gpu_user_annotation": Kind.GPU_ANNOTATION,
    "overhead": Kind.OVERHEAD,
}
"""By category in lower case. Categories that are not here are left out: `Trace` (one row around everything), ranges of
hardware counters, other accelerators."""

FLOWS = ("ac2g", "async_cpu_to_gpu", "async_gpu")
"""Categories of the arrows from launches to device work: since 2022, of 2022, of 2021."""

_STEP = "ProfilerStep#"
_V = TypeVar("_V")


class RowCollector:
    """Takes the events of a trace in any order with `add`; `rows` gives the sorted table.

    Columns grow as typed arrays, so a row costs some 50 bytes while the file is read.
    """

    def __init__(self) -> None:
        self._ts, self._dur = array("q"), array("q")
        self._kind, self._lane, self._name = array("B"), array("i"), array("i")
        self._correlation, self._external = array("q"), array("q")
        self._strings = StringTable()
        self._names: dict[str, int] = {}
        self._kinds: dict[str, Kind | None] = {}
        self._lanes: dict[LaneKey, int] = {}
        self._threads: dict[tuple[int | str, int | str], str] = {}
        self._texts: dict[str, str] = {}
        self._collectives: dict[int, CollectiveCall] = {}
        self._bytes: dict[int, int] = {}
        self._shapes: dict[int, str] = {}
        self._streams: dict[int, int] = {}
        self.dropped: Counter[str] = Counter()
        self.trace_events = 0
        """Objects that look like trace events, of any kind."""
        self.flows = 0
        """Arrows from launches to device work."""

    def __len__(self) -> int:
        return len(self._ts)

    def add(self, event: Mapping[str, Any]) -> None:
        """Take one trace event; anything but a complete event (`ph` X) of a known category is passed over."""
        phase = event.get("ph")
        self.trace_events += phase is not None
        if phase != "X":
            if phase == "M":
                self._name_thread(event)
            elif phase == "s":
                self.flows += event.get("cat") in FLOWS
            return
        kind = self._kind_of(event.get("cat"))
        if kind is None:
            return
        start, length = arguments.nanoseconds(event.get("ts")), arguments.nanoseconds(event.get("dur"))
        if start is None:
            self.dropped["no readable start"] += 1
        elif length is None:
            self.dropped["no readable duration"] += 1
        elif length < 0:
            self.dropped["a negative duration"] += 1
        else:
            self._append(event, kind, start, length)

    def _append(self, event: Mapping[str, Any], kind: Kind, start: int, length: int) -> None:
        name = event.get("name")
        if type(name) is not str:
            name = str(name)
        if kind is Kind.CPU_OP and name.startswith(_STEP):
            kind = Kind.ANNOTATION  # before user_annotation was a category of its own
        args = event.get("args")
        if type(args) is not dict:
            args = {}
        row = len(self._ts)
        self._ts.append(start)
        self._dur.append(length)
        self._kind.append(kind)
        self._name.append(self._name_id(name))
        self._lane.append(self._lane_id(event, kind, args))
        self._correlation.append(_id(args.get("correlation")))
        self._external.append(_id(args.get("External id", args.get("external id"))))
        if args:
            self._details(row, kind, name, args)

    def _details(self, row: int, kind: Kind, name: str, args: Mapping[str, Any]) -> None:
        """Fill the side tables."""
        if (kind is Kind.KERNEL or name == "record_param_comms") and (call := arguments.collective(args)):
            self._collectives[row] = call
        if kind is Kind.CPU_OP and (text := arguments.shapes(args)):
            self._shapes[row] = self._texts.setdefault(text, text)
        elif kind is Kind.MEMCPY and (size := arguments.integer(args.get("bytes"))) is not None:
            self._bytes[row] = size
        elif kind is Kind.SYNC and (stream := arguments.integer(args.get("stream"))) is not None and stream >= 0:
            self._streams[row] = stream

    def _kind_of(self, category: object) -> Kind | None:
        if type(category) is not str:
            return None
        if category not in self._kinds:
            self._kinds[category] = CATEGORIES.get(category.lower())
        return self._kinds[category]

    def _name_id(self, name: str) -> int:
        found = self._names.get(name)
        if found is None:
            found = self._names[name] = self._strings.id(arguments.clean(name) or "(no name)")
        return found

    def _lane_id(self, event: Mapping[str, Any], kind: Kind, args: Mapping[str, Any]) -> int:
        device, stream = arguments.integer(args.get("device")), arguments.integer(args.get("stream"))
        key = lane_key(kind, identity(event.get("pid")), identity(event.get("tid")), device, stream)
        return self._lanes.setdefault(key, len(self._lanes))

    def _name_thread(self, event: Mapping[str, Any]) -> None:
        args = event.get("args")
        if (
            event.get("name") == "thread_name"
            and isinstance(args, dict)
            and (label := arguments.clean(args.get("name")))
        ):
            self._threads[identity(event.get("pid")), identity(event.get("tid"))] = label.strip()

    def rows(self, rank: int) -> Rows:
        """The rows sorted by start, longer first where starts are equal, then as in the file."""
        columns: dict[str, npt.NDArray[Any]] = {
            "ts": np.asarray(self._ts, dtype=np.int64),
            "dur": np.asarray(self._dur, dtype=np.int64),
            "kind": np.asarray(self._kind, dtype=np.uint8),
            "lane": np.asarray(self._lane, dtype=np.int32),
            "name": np.asarray(self._name, dtype=np.int32),
            "correlation": np.asarray(self._correlation, dtype=np.int64),
            "external": np.asarray(self._external, dtype=np.int64),
        }
        events, origin = sort(columns, self._strings, self._sides)
        dropped = Counter(self.dropped)
        if len(events) < len(self):
            dropped[IMPOSSIBLE] += len(self) - len(events)
        return Rows(events=events, lanes=lanes_of(self._lanes, self._threads, rank), origin_ns=origin, dropped=dropped)

    def _sides(self, place: Places) -> Sides:
        return {
            "collectives": _moved(self._collectives, place),
            "copied_bytes": _moved(self._bytes, place),
            "shapes": _moved(self._shapes, place),
            "streams": _moved(self._streams, place),
        }


def _moved(table: Mapping[int, _V], place: Places) -> dict[int, _V]:
    """A side table with its keys moved to the sorted rows, ascending; rows that were left out go."""
    if not table:
        return {}
    keys = place[np.fromiter(table, dtype=np.int64, count=len(table))]
    values: Sequence[_V] = list(table.values())
    chosen: npt.NDArray[np.intp] = np.argsort(keys, kind="stable")
    return {int(keys[i]): values[i] for i in chosen if keys[i] != NONE}


def _id(value: object) -> int:
    """A correlation or operator id; NONE when there is none."""
    number = value if type(value) is int else arguments.integer(value)
    return number if number is not None and 0 <= number < 2**63 else NONE
