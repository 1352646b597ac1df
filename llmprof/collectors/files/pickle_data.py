"""Which plain data does a pickle hold? Dicts, lists, strings, numbers; anything else is refused before it is read.

A pickle is a program for a small machine, and can call any function. So the program is read twice: first every
instruction is checked, and only those that build plain data may occur; then Python's own unpickler runs it, with the
door to functions and classes shut once more. The checks also bound what it can cost: memory in proportion to the file,
no nested tuples (hashing them can take forever), no memo that is larger than its file.
"""

from __future__ import annotations

import io
import pickle
import re
from typing import Any, NoReturn

from llmprof.errors import UnreadableError, UnsafePickleError

__all__ = ["PICKLE_START", "load_data"]

PICKLE_START = re.compile(rb"\x80[\x02-\x05]")
"""Protocols 2 to 5; what Python 3 writes."""
CONTAINER_BYTES = 8
"""Bytes of the file for each list or dict, at least: an empty one takes one byte there and 64 in memory. A frame of a
real snapshot, the smallest dict in it, takes 17."""
RUN = 10_000
"""Instructions that are checked at a time: the checker keeps its way back for all of them."""

_INTEGER = rb"(?:K.|M..|J.{4}|\x8a(?:\x00|\x01.|\x02..|\x03.{3}|\x04.{4}|\x05.{5}|\x06.{6}|\x07.{7}|\x08.{8}|\x09.{9}))"
_THREE_AND_MORE = _INTEGER + rb"(?:" + _INTEGER + rb"){0,999}[\x85-\x87]?"
_INTEGERS = _INTEGER + rb"(?:\x85|" + _INTEGER + rb"(?:[\x85\x86]|" + _THREE_AND_MORE + rb")?)?"
"""One or more in a row, and a tuple of the last of them: of nothing else may a tuple be."""
_TEXT = b"|".join(rb"\x%02x.{%d}" % (size, size) for size in range(32))
_PLAIN = re.compile(
    rb"(?:[}\](aesuN\x88\x89\x94]"  # dict, list, MARK, their items, None, True, False, MEMOIZE
    rb"|h.|j.{4}|q.|r...\x00"  # the memo, up to 16 million entries
    rb"|" + _INTEGERS + rb"|\x8c(?:" + _TEXT + rb")|G.{8}|\x95.{8}|\x80[\x02-\x05]){1,%d}" % RUN,
    re.DOTALL,
)
_LENGTHS = {0x8C: 1, ord("X"): 4, 0x8D: 8}
"""Longer strings: their instruction, and the bytes that hold their length."""
_CALLS = {
    ord("c"): "GLOBAL",
    0x93: "STACK_GLOBAL",
    ord("R"): "REDUCE",
    ord("b"): "BUILD",
    ord("o"): "OBJ",
    ord("i"): "INST",
    0x81: "NEWOBJ",
    0x92: "NEWOBJ_EX",
    ord("P"): "PERSID",
    ord("Q"): "BINPERSID",
    0x82: "EXT1",
    0x83: "EXT2",
    0x84: "EXT4",
}


class _DataUnpickler(pickle.Unpickler):
    """The second line: no name leads to anything."""

    def find_class(self, module: str, name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any, /) -> NoReturn:
        raise pickle.UnpicklingError("it refers to an object outside")


def load_data(data: bytes, name: str) -> Any:
    """The dicts, lists, strings and numbers in `data`, the content of the file `name`.

    Raises UnsafePickleError for everything else, UnreadableError when it is cut short or damaged.
    """
    _check(data, name)
    if data.count(b"}") + data.count(b"]") > len(data) // CONTAINER_BYTES + 1000:
        raise UnsafePickleError(
            f"{name} holds more lists and dicts than its size allows: it is built to exhaust memory; do not trust it."
        )
    try:
        return _DataUnpickler(io.BytesIO(data)).load()
    except (MemoryError, RecursionError):
        raise UnreadableError(f"{name} does not fit into memory; record a shorter history.") from None
    except Exception as error:  # the unpickler raises whatever a damaged program leads it to
        what = " ".join(str(error).split())
        raise UnreadableError(f"{name} is a damaged pickle ({what}); write or copy it again.") from None


def _check(data: bytes, name: str) -> None:
    """Walk over the whole program; instructions in a row are one match, longer strings are stepped over."""
    at, end = 0, len(data)
    while at < end:
        found = _PLAIN.match(data, at)
        if found is not None:
            at = found.end()
            continue
        instruction = data[at]
        if instruction == ord("."):
            return
        width = _LENGTHS.get(instruction)
        if width is None:
            _refuse(data, at, name)
        at += 1 + width + int.from_bytes(data[at + 1 : at + 1 + width], "little")
    raise UnreadableError(f"{name} is cut short: the pickle goes on after its {end} bytes; copy or write it again.")


def _refuse(data: bytes, at: int, name: str) -> NoReturn:
    instruction = data[at]
    if instruction in _CALLS:
        raise UnsafePickleError(
            f"{name} is a pickle that could run code when it is read ({_CALLS[instruction]} at byte {at}); llmprof "
            "reads memory snapshots as torch.cuda.memory._dump_snapshot writes them, which hold plain data only."
        )
    if len(data) - at < 10:  # the last instruction may lack its argument
        raise UnreadableError(f"{name} is cut short within its last {len(data) - at} bytes; copy or write it again.")
    raise UnsafePickleError(
        f"{name} is a pickle with an instruction that no memory snapshot has (0x{instruction:02x} at byte {at}); "
        "write it with torch.cuda.memory._dump_snapshot."
    )
