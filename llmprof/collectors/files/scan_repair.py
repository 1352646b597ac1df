"""What does an item say that the scanner does not understand? Decodes it as JSON, mended where the damage is known.

An item that can be read becomes an event that the scanner does understand, with the same meaning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmprof.collectors.files import kineto_arguments as arguments
from llmprof.collectors.files.json_events import LIST_END, NEXT_EVENT, Decoder
from llmprof.collectors.files.kineto_table import identity
from llmprof.collectors.files.scanner_slots import DETAILS

__all__ = ["Item", "Repair", "canonical"]

NEARER_BYTES, NEAR_BYTES = 1 << 10, 1 << 16
"""An item is first looked for in so many bytes, then in so many."""
LONGEST_DETAILS = 1 << 18
"""Bytes of shapes and collective arguments beyond which an event is kept without them."""
_LATEST_NS = 2**63 - 10_000

_INTEGERS = ("correlation", "External id", "external id", "device", "stream", "bytes")
_next_event, _list_end = re.compile(NEXT_EVENT.encode()), re.compile(LIST_END.encode())


@dataclass(frozen=True, slots=True)
class Item:
    """Where an item ends, and the event it is; `event` None when it could not be read."""

    end: int
    event: bytes | None
    repaired: bool = False


class Repair:
    """Reads single items out of a buffer; one for each thread."""

    def __init__(self) -> None:
        self._decoder = Decoder()

    def item(self, data: bytearray | memoryview, at: int, stop: int, *, last: bool) -> Item | None:
        """The item at `at` of data[:stop]; None when it needs more bytes to say (never when these are the `last`).

        Bytes in which no item can be found, at the end of the input, are an Item that ends at `at`.
        """
        for near in (NEARER_BYTES, NEAR_BYTES):
            end = min(stop, at + near)
            found = self._whole(bytes(data[at:end]))
            if found is not None and at + found[1] < end:
                return Item(at + found[1], found[0])
        boundary = _next_event.search(data, at, stop) or (_list_end.search(data, at, stop) if last else None)
        if boundary is None:
            return Item(at, None) if last else None
        piece = bytes(data[at : boundary.start() + 1])
        found = self._whole(piece) if len(piece) > NEAR_BYTES else None
        if found is not None:
            return Item(boundary.end(), found[0])
        try:
            event = canonical(self._decoder.mended(_text(piece)))
        except RecursionError:
            event = None
        return Item(boundary.end(), event, event is not None)

    def _whole(self, data: bytes) -> tuple[bytes | None, int] | None:
        """The event that the bytes begin with, and how many it takes; None where no whole value begins."""
        try:
            _, end = self._decoder.value(data.decode("latin-1"), 0)  # one character a byte, so that the offset fits
            return canonical(self._decoder.value(_text(data[:end]), 0)[0]), end
        except (ValueError, RecursionError):
            return None


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def canonical(item: Any) -> bytes | None:
    """The event as plain JSON with only what is kept of it; None for what is no object."""
    if not isinstance(item, dict):
        return None
    phase, category, name = item.get("ph"), item.get("cat"), item.get("name")
    event: dict[str, Any] = {
        "ph": phase if phase is None or isinstance(phase, str) else "other",
        "cat": category if isinstance(category, str) else None,
        "name": name if isinstance(name, str) else str(name),
        "pid": identity(item.get("pid")),
        "tid": identity(item.get("tid")),
    }
    args = item.get("args")
    if isinstance(args, dict):
        event["args"] = _arguments(args)
    text = json.dumps(event)
    times = "".join(f', "{key}": {_microseconds(item.get(key))}' for key in ("ts", "dur"))
    return (text[:-1] + times + "}").encode("ascii")


def _microseconds(value: object) -> str:
    ns = arguments.nanoseconds(value)
    if ns is None or abs(ns) > _LATEST_NS:
        return "null"
    return f"{'-' if ns < 0 else ''}{abs(ns) // 1000}.{abs(ns) % 1000:03d}"


def _arguments(args: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: arguments.integer(args[key]) for key in _INTEGERS if key in args}
    if isinstance(args.get("name"), str):
        kept["name"] = args["name"]
    details = {key: args[key] for key in DETAILS if key in args}
    return kept | details if len(json.dumps(details)) < LONGEST_DETAILS else kept
