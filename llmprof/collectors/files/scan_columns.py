"""Which table do the scanned rows make? Joins what all scanners found, and reads the texts that they kept as bytes.

Each scanner has numbers of its own for strings and lanes. They get common ones here, in the order in which the file
has them, so that the result does not depend on how the work was divided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files import kineto_arguments as arguments
from llmprof.collectors.files import scanner_slots as slots
from llmprof.collectors.files.json_events import Decoder
from llmprof.collectors.files.json_text import NOT_UTF8
from llmprof.collectors.files.kineto_table import (
    IMPOSSIBLE,
    LaneKey,
    Places,
    Rows,
    RowTexts,
    Sides,
    identity,
    lane_key,
    lanes_of,
    sort,
)
from llmprof.collectors.files.scan_state import ScanState, Table
from llmprof.collectors.files.scan_walk import Part
from llmprof.timeline.events import NONE, CollectiveCall, Kind, StringTable

__all__ = ["ScannedRows"]

Ids = npt.NDArray[np.int32]

_LANE_KINDS = {int(slots.HOST): Kind.CPU_OP, int(slots.ON_STREAM): Kind.KERNEL, int(slots.SYNCING): Kind.SYNC}
"""A kind for each sort of lane; all kinds that a sort stands for are treated alike."""


class ScannedRows:
    """What a walk found, as RowCollector has it. The parts of the walk are used up when `rows` is called."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts = [(part, part.scanner) for part in parts if part.scanner is not None]
        self._scanners = list({id(scanner): scanner for _, scanner in self._parts}.values())
        self._count = sum(map(len, parts))
        self._rows: Rows | None = None
        reasons = {
            "no readable start": slots.NO_START,
            "no readable duration": slots.NO_DURATION,
            "a negative duration": slots.NEGATIVE,
        }
        self.dropped = Counter({why: count for why, slot in reasons.items() if (count := self._sum(slot))})
        self.trace_events = self._sum(slots.OBJECTS)
        self.damaged = self._sum(slots.NO_EVENTS)
        self.flows = self._sum(slots.FLOWS)
        self.mended = self._sum(slots.MENDED)

    def __len__(self) -> int:
        return self._count

    def _sum(self, slot: np.int64) -> int:
        return sum(scanner.count(slot) for scanner in self._scanners)

    def rows(self, rank: int) -> Rows:
        """The rows sorted by start, longer first where starts are equal, then as in the file."""
        if self._rows is None:
            self._rows = self._join(rank)
        return self._rows

    def _join(self, rank: int) -> Rows:
        texts = _Texts()
        strings = StringTable()
        names = _joined(
            self._scanners, [s.names for s in self._scanners], lambda s, i: strings.id(texts.name(s.names[i]))
        )
        keys: dict[LaneKey, int] = {}
        lanes = _joined(self._scanners, [s.lanes for s in self._scanners], lambda s, i: _lane(s, i, texts, keys))
        sides = _SideColumns(self._parts, self._scanners, texts)
        columns = {
            "name": self._column("name", names),
            "lane": self._column("lane", lanes),
            **{name: self._column(name) for name in ("ts", "dur", "kind", "correlation", "external")},
        }
        events, origin = sort(columns, strings, sides.tables)
        dropped = Counter(self.dropped)
        if len(events) < self._count:
            dropped[IMPOSSIBLE] += self._count - len(events)
        named = lanes_of(keys, _threads(self._scanners, texts), rank)
        notes = (NOT_UTF8,) if texts.replaced else ()
        return Rows(events=events, lanes=named, origin_ns=origin, dropped=dropped, notes=notes)

    def _column(self, name: str, common: Mapping[int, Ids] | None = None) -> npt.NDArray[Any]:
        """One column of all parts, which lose it; `common` gives for each scanner the common numbers of its own."""
        kinds = {scanner.columns[name].dtype for scanner in self._scanners}
        column = np.empty(self._count, np.int64 if name == "ts" else np.result_type(*kinds))
        at = 0
        for part, scanner in self._parts:
            values = scanner.columns[name].part(part.start, part.stop)
            column[at : at + len(part)] = values if common is None else common[id(scanner)][values]
            at += len(part)
        for scanner in self._scanners:
            scanner.columns[name].clear()
        return column


def _joined(scanners: Sequence[ScanState], tables: Sequence[Table], number: Any) -> dict[int, Ids]:
    """For each scanner an array from its numbers to the common ones, given out in the order of the file."""
    common = {id(scanner): np.zeros(len(table), np.int32) for scanner, table in zip(scanners, tables, strict=True)}
    seen = np.concatenate([table.first[: len(table)] for table in tables])
    owner = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    local = np.concatenate([np.arange(len(table)) for table in tables])
    for at in np.argsort(seen, kind="stable").tolist():
        scanner, index = scanners[owner[at]], int(local[at])
        common[id(scanner)][index] = number(scanner, index)
    return common


def _lane(scanner: ScanState, index: int, texts: _Texts, keys: dict[LaneKey, int]) -> int:
    place, pid, pid_word, tid, tid_word, device, stream, _ = scanner.lanes.record(index)
    if place == slots.THREAD_NAME:
        return NONE
    process, thread = _identity(scanner, texts, pid, pid_word), _identity(scanner, texts, tid, tid_word)
    key = lane_key(_LANE_KINDS[place], process, thread, device, stream)
    return keys.setdefault(key, len(keys))


def _threads(scanners: Sequence[ScanState], texts: _Texts) -> dict[tuple[int | str, int | str], str]:
    """The names of threads; the last one in the file counts."""
    found = []
    for scanner in scanners:
        for index in range(len(scanner.lanes)):
            place, pid, pid_word, tid, tid_word, _, _, label = scanner.lanes.record(index)
            if place == slots.THREAD_NAME and (text := arguments.clean(texts.text(scanner.words[label]))):
                key = _identity(scanner, texts, pid, pid_word), _identity(scanner, texts, tid, tid_word)
                found.append((int(scanner.lanes.first[index]), key, text.strip()))
    return {key: label for _, key, label in sorted(found, key=lambda entry: entry[0])}


def _identity(scanner: ScanState, texts: _Texts, value: int, is_word: int) -> int | str:
    return identity(texts.text(scanner.words[value])) if is_word else value


class _Texts:
    """Turns bytes of JSON into text and values; `replaced` when some were not valid UTF-8."""

    def __init__(self) -> None:
        self.replaced = False
        self._decoder = Decoder()

    def name(self, data: bytes) -> str:
        """A name as the table has it."""
        return arguments.clean(self.text(data)) or "(no name)"

    def text(self, data: bytes) -> str:
        """The text of what stands between the quotes of a JSON string."""
        text = self._utf8(data)
        if "\\" not in text:
            return text
        value = self.value(f'"{text}"'.encode())
        return value if isinstance(value, str) else text

    def value(self, data: bytes) -> Any:
        """The JSON value, mended where that is needed; None when it cannot be read."""
        text = self._utf8(data)
        try:
            return self._decoder.value(text, 0)[0]
        except (ValueError, RecursionError):
            return self._decoder.mended(text)

    def _utf8(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            self.replaced = True
            return data.decode(errors="replace")


class _SideColumns:
    """What only some rows have: rows by number in the file, and for each scanner what its texts mean."""

    def __init__(self, parts: Sequence[tuple[Part, ScanState]], scanners: Sequence[ScanState], texts: _Texts) -> None:
        self._texts = texts
        self._shapes: dict[str, int] = {}
        self._calls: dict[CollectiveCall, int] = {}
        meaning = {id(scanner): self._meanings(scanner) for scanner in scanners}
        columns: dict[str, list[npt.NDArray[Any]]] = {"row": [], "tag": [], "shape": [], "call": [], "value": []}
        base = 0
        for part, scanner in parts:
            shapes, calls = meaning[id(scanner)]
            row, tag, value = (
                scanner.sides[name].part(part.sides_start, part.sides_stop) for name in ("row", "tag", "value")
            )
            detail = np.where(tag == slots.DETAIL, value, calls.size - 1)
            columns["row"].append(row + (base - part.start))
            columns["tag"].append(tag)
            columns["shape"].append(shapes[detail])
            columns["call"].append(calls[detail])
            columns["value"].append(value)
            base += len(part)
        self._columns = {name: np.concatenate(arrays) for name, arrays in columns.items()}

    def _meanings(self, scanner: ScanState) -> tuple[Ids, Ids]:
        """By text of the scanner: the shape and the collective that it says, NONE for none and at the end."""
        count = len(scanner.texts)
        shapes, calls = np.full(count + 1, NONE, np.int32), np.full(count + 1, NONE, np.int32)
        for index in range(count):
            args = _arguments(scanner.texts[index], self._texts)
            if shape := arguments.shapes(args):
                shapes[index] = self._shapes.setdefault(shape, len(self._shapes))
            if call := arguments.collective(args):
                calls[index] = self._calls.setdefault(call, len(self._calls))
        return shapes, calls

    def tables(self, place: Places) -> Sides:
        """The side tables, by sorted row; to be asked for once."""
        columns, self._columns = self._columns, {}
        rows = place[columns["row"]]
        order = np.argsort(rows, kind="stable")
        order = order[rows[order] != NONE]
        rows = rows[order]
        tag, value, shape, call = (columns[name][order] for name in ("tag", "value", "shape", "call"))
        has_shape, has_call = np.flatnonzero(shape != NONE), np.flatnonzero(call != NONE)
        calls = list(self._calls)
        sized, streams = tag == slots.BYTES, tag == slots.STREAM
        return {
            "collectives": {
                row: calls[i] for row, i in zip(rows[has_call].tolist(), call[has_call].tolist(), strict=True)
            },
            "copied_bytes": dict(zip(rows[sized].tolist(), value[sized].tolist(), strict=True)),
            "shapes": RowTexts(rows[has_shape], shape[has_shape], list(self._shapes)),
            "streams": dict(zip(rows[streams].tolist(), value[streams].tolist(), strict=True)),
        }


def _arguments(text: bytes, texts: _Texts) -> dict[str, Any]:
    """The arguments of a text that scanner._gather wrote: number, JSON, 0, and so on."""
    args = {}
    at = 0
    while at < len(text) and text[at] <= len(slots.DETAILS):
        key = slots.DETAILS[text[at] - 1]
        end = text.find(b"\0", at)
        args[key] = texts.value(text[at + 1 : end])
        at = end + 1
    return args
