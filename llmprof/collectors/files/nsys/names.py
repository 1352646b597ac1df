"""What are things called in the timeline? Text ids, plain texts and enumerations become the names that Kineto uses."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files.nsys.tables import NULL, Tables, Text, text_of
from llmprof.timeline.events import Int32, StringTable
from llmprof.timeline.intervals import Int64

__all__ = ["OPERATOR", "Codes", "Names", "clean", "copy_name", "first_known", "matching", "memset_name"]

OPERATOR = re.compile(
    r"^(aten|autograd|torch|torchvision|prims?|quantized|c10d?|_c10d_functional|fbgemm|xformers|flash_attn)::|"
    r"^record_param_comms$|Backward\d+$"
)
"""NVTX ranges of torch.autograd.profiler.emit_nvtx that are operators; all others are annotations."""

# The numbers of copy directions and memory kinds have meant the same in every schema from 2.9 to 3.28; their labels and
# whether the ENUM tables are there at all have not.
_DIRECTIONS = {
    1: "HtoD", 2: "DtoH", 3: "HtoA", 4: "AtoH", 5: "AtoA", 6: "AtoD", 7: "DtoA", 8: "DtoD", 9: "HtoH", 10: "PtoP",
    11: "HtoD", 12: "DtoH", 13: "DtoD",
}  # fmt: skip
_UNIFIED = {11: "(Unified Memory -> Device)", 12: "(Device -> Unified Memory)", 13: "(Unified Memory)"}
_MEMORY = {
    0: "Pageable", 1: "Pinned", 2: "Device", 3: "Array", 4: "Managed", 5: "Device Static", 6: "Managed Static",
}  # fmt: skip

_RUNTIME_VERSION = re.compile(r"_v\d{4,5}$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_PLAIN, _RUNTIME = 0, 1


def clean(text: str) -> str:
    """A name that every terminal and file can take; it ends at a NUL, behind which exporters keep foreign bytes."""
    return _CONTROL.sub("\ufffd", text.split("\0", 1)[0])


def copy_name(direction: int, source: int, target: int) -> str:
    """The name of a copy: `Memcpy HtoD (Pageable -> Device)`."""
    way = _DIRECTIONS.get(direction, "Unknown")
    kinds = _UNIFIED.get(direction) or f"({_MEMORY.get(source, 'Unknown')} -> {_MEMORY.get(target, 'Unknown')})"
    return f"Memcpy {way} {kinds}"


def memset_name(memory: int) -> str:
    """The name of a memory fill: `Memset (Device)`."""
    return f"Memset ({_MEMORY.get(memory, 'Unknown')})"


class Codes:
    """Dense codes 0, 1, 2, … for int64 keys; `keys[code]` is the key."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self._sorted: Int64 = np.empty(0, dtype=np.int64)
        self._code: Int32 = np.empty(0, dtype=np.int32)

    def of(self, keys: Int64) -> Int32:
        """The code of each key, new ones for keys that were not seen before; same shape."""
        if keys.size == 0:
            return np.empty(0, dtype=np.int32)
        place = np.searchsorted(self._sorted, keys)
        place[place == self._sorted.size] = 0
        unknown = self._sorted[place] != keys if self._sorted.size else np.ones(keys.shape, dtype=bool)
        if unknown.any():
            fresh = np.unique(keys[unknown])
            codes = np.arange(len(self.keys), len(self.keys) + fresh.size, dtype=np.int32)
            self.keys.extend(fresh.tolist())
            merged = np.concatenate([self._sorted, fresh])
            order = np.argsort(merged, kind="stable")
            self._sorted, self._code = merged[order], np.concatenate([self._code, codes])[order]
            place = np.searchsorted(self._sorted, keys)
        return self._code[place]


class Names:
    """Hands out a slot for each name while rows are read, and looks the texts up once, at the end.

    Only the texts that a row refers to are ever read: StringIds also holds what the recorder saw of environments.
    """

    def __init__(self) -> None:
        self._ids = Codes()
        self._texts: dict[Text, int] = {}

    def of_ids(self, ids: Int64, *, runtime: bool = False) -> Int32:
        """Slots of text ids; a runtime call loses its `_v7000`."""
        known = np.where((ids > -(2**60)) & (ids < 2**60), ids, -1)
        return self._ids.of(known * 2 + (_RUNTIME if runtime else _PLAIN)) * 2

    def of_texts(self, texts: Sequence[Text]) -> Int32:
        """Slots of texts."""
        slots = self._texts
        found = [slots.get(text, -1) for text in texts]
        for place, slot in enumerate(found):
            if slot < 0:
                found[place] = slots.setdefault(texts[place], len(slots))
        return np.array(found, dtype=np.int32) * 2 + 1

    def of_text(self, text: str) -> int:
        """The slot of one text."""
        return self._texts.setdefault(text, len(self._texts)) * 2 + 1

    def finish(self, tables: Tables) -> tuple[StringTable, Int32]:
        """The string table, and the id in it of each slot."""
        found = tables.strings(sorted({key >> 1 for key in self._ids.keys}))
        table = StringTable()
        place = np.zeros(2 * max(len(self._ids.keys), len(self._texts), 1), dtype=np.int32)
        for code, key in enumerate(self._ids.keys):
            text = found.get(key >> 1, "")
            name = _RUNTIME_VERSION.sub("", text) if key & 1 == _RUNTIME else text
            place[2 * code] = table.id(clean(name) or "(no name)")
        for raw, code in self._texts.items():
            place[2 * code + 1] = table.id(clean(text_of(raw)) if raw else "(no name)")
        return table, place


def first_known(*columns: Int64) -> Int64:
    """Row by row the first cell that is not NULL."""
    result = columns[0]
    for column in columns[1:]:
        result = np.where(result == NULL, column, result)
    return result


def matching(table: StringTable, pattern: re.Pattern[str]) -> npt.NDArray[np.bool_]:
    """Which names of the table match; shape (names,)."""
    return np.fromiter((pattern.search(name) is not None for name in table.names), bool, len(table))
