"""Which events does a Chrome-trace JSON text hold? Walks the text event by event and survives damage.

The document is an object with a `traceEvents` list, at any place among its keys, or a bare list. Only one event is a
Python object at a time. An event that is not valid JSON is repaired where the damage is a known one, else left out;
a text that ends inside an event gives everything before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any

__all__ = ["LIST_END", "LIST_KEY", "NEXT_EVENT", "Decoder", "EventWalk"]

_BLANK = re.compile(r"[ \t\r\n\x00]*")
_SEPARATOR = re.compile(r"[ \t\r\n,]*")
_COLON = re.compile(r"[ \t\r\n]*:[ \t\r\n]*")
LIST_KEY = r'"traceEvents"\s*:\s*\['
NEXT_EVENT = r'\}\s*(?:,\s*)?(?=\{\s*"(?:ph|name|cat|pid|tid|ts|dur|args)"\s*:)'
"""The next event after a damaged one. It cannot occur inside a JSON string, where the inner quotes are escaped."""
LIST_END = r"\}\s*(?=\])"
_LIST_KEY, _NEXT_EVENT, _LIST_END = re.compile(LIST_KEY), re.compile(NEXT_EVENT), re.compile(LIST_END)
_BARE_WORD = re.compile(r"(:\s*)[-+]?(?:nan(?:\([a-z]*\))?|inf(?:inity)?|n/a|1\.#[a-z]+)(?=\s*[,}\]])", re.IGNORECASE)
_LONE_BACKSLASH = re.compile(r'\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})')
_NAME = re.compile(r'("name"\s*:\s*")(.*?)("\s*(?:,\s*"(?:ph|cat|pid|tid|ts|dur|args|id|bp|s)"\s*:|\}\s*$))', re.DOTALL)
"""The name of an event, up to the quote that another key of an event follows."""
_BARE_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)"')
_LAST_COMMA = re.compile(r",(\s*[}\]])")


class Decoder:
    """Decodes one JSON value. Numbers with a fraction arrive as text, so that no digit is lost; NaN as None.

    Each thread needs its own.
    """

    def __init__(self) -> None:
        self.value = json.JSONDecoder(parse_float=str, parse_constant=lambda word: None, strict=False).raw_decode
        """(text, offset) to (value, offset behind it); ValueError, or RecursionError where it nests too deeply."""

    def mended(self, piece: str) -> Any:
        """The value in `piece` with NaN, lone backslashes, a last comma and quotes in its name mended.

        None when that is not enough.
        """
        text = _LAST_COMMA.sub(r"\1", _LONE_BACKSLASH.sub(r"\\\\", _BARE_WORD.sub(r"\1null", piece)))
        quoted = _NAME.sub(lambda found: found[1] + _BARE_QUOTE.sub(r'\1\\"', found[2]) + found[3], text, count=1)
        for attempt in (text, quoted):
            with suppress(ValueError, RecursionError):
                return self.value(attempt, 0)[0]
        return None


class EventWalk:
    """One pass over a trace text.

    Iterate `events()` to its end; then

    header      the other top-level keys
    found_list  whether there was a list of events at all; `bare`: the document is that list; `closed`: it was complete
    damaged     items that were left out
    repaired    items that were mended
    cut_at      the offset where the text ended early or stopped being JSON, None when it was whole
    followed    whether anything but blanks follows the document
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._decoder = Decoder()
        self._decode = self._decoder.value
        self.header: dict[str, Any] = {}
        self.found_list = False
        self.bare = False
        self.closed = False
        self.damaged = 0
        self.repaired = 0
        self.cut_at: int | None = None
        self.followed = False

    def events(self) -> Iterator[dict[str, Any]]:
        """Every item of the event list that is an object, in file order."""
        at = self._skip(_BLANK, 0)
        if self._text[at : at + 1] == "[":
            self.bare = True
            at = yield from self._list(at + 1)
            self.followed = self._skip(_BLANK, at) < len(self._text)
            return
        at += 1
        while self.cut_at is None:
            at = self._skip(_SEPARATOR, at)
            if self._text[at : at + 1] == "}":
                self.followed = self._skip(_BLANK, at + 1) < len(self._text)
                return
            key, value = None, None
            try:
                key, at = self._decode(self._text, at)
                at = self._skip(_COLON, at)
                if key == "traceEvents" and self._text[at : at + 1] == "[":
                    at = yield from self._list(at + 1)
                    continue
                value, at = self._decode(self._text, at)
            except (ValueError, RecursionError):
                found = None if self.found_list else _LIST_KEY.search(self._text, at)
                if found is None:
                    self.cut_at = at
                    return
                self.damaged += 1
                at = yield from self._list(found.end())
                continue
            if isinstance(key, str):
                self.header[key] = value

    def _list(self, at: int) -> Generator[dict[str, Any], None, int]:
        """The items of the list whose first one begins at or after `at`; gives the offset behind the list."""
        self.found_list = True
        text, decode, separator = self._text, self._decode, _SEPARATOR.match
        while True:
            gap = separator(text, at)
            at = gap.end() if gap else at
            if text.startswith("]", at):
                self.closed = True
                return at + 1
            try:
                item, at = decode(text, at)
            except (ValueError, RecursionError):
                boundary = _NEXT_EVENT.search(text, at) or _LIST_END.search(text, at)
                if boundary is None:
                    self.cut_at = at
                    return at
                item, at = self._repair(text[at : boundary.start() + 1]), boundary.end()
            if type(item) is dict:
                yield item
            else:
                self.damaged += 1

    def _repair(self, piece: str) -> Any:
        item = self._decoder.mended(piece)
        self.repaired += item is not None
        return item

    def _skip(self, pattern: re.Pattern[str], at: int) -> int:
        match = pattern.match(self._text, at)
        return match.end() if match else at
