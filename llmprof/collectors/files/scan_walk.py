"""Which events does a trace hold? Walks a byte stream in bounded memory, with the byte scanner, and survives damage.

The document is an object with a `traceEvents` list, at any place among its keys, or a bare list. Large lists are
scanned by two threads, on blocks that are cut where the next event begins. Such a cut is a guess until the block before
it was scanned and ended exactly there; where it did not, `GuessedWrong` says that the stream has to be walked again
without guesses.
"""

from __future__ import annotations

import queue
import re
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from llmprof.collectors.files import limits
from llmprof.collectors.files import scanner_slots as slots
from llmprof.collectors.files.json_events import LIST_KEY, NEXT_EVENT, Decoder
from llmprof.collectors.files.scan_choice import GuessedWrong
from llmprof.collectors.files.scan_repair import Repair
from llmprof.collectors.files.scan_state import ScanState
from llmprof.collectors.files.scan_window import Window, address_of
from llmprof.collectors.files.scanner_slots import PAD
from llmprof.collectors.files.streams import ByteStream

__all__ = ["Part", "ScanWalk", "Scanner"]

LONGEST_MATCH = 1 << 12
"""Bytes between two events that are still taken for the end of one and the beginning of the next."""

THREADS = 2
BUFFERS = 4
CUT_TRIES = 1 << 12

_blanks = re.compile(rb"[ \t\r\n\x00]*")
_blanks_and_commas = re.compile(rb"[ \t\r\n\x00,]*")
_blanks_and_colon = re.compile(rb"[ \t\r\n\x00:]*")
_list_key = re.compile(LIST_KEY.encode())
_next_item = re.compile(NEXT_EVENT.encode())


@dataclass(slots=True)
class Part:
    """The rows of one run of bytes: [start, stop) of what `scanner` moved out, and the same of its sides."""

    number: int
    """Parts count in the order of the file."""
    scanner: ScanState | None = None
    start: int = 0
    stop: int = 0
    sides_start: int = 0
    sides_stop: int = 0
    damaged: int = 0
    repaired: int = 0

    def __len__(self) -> int:
        return self.stop - self.start

    def go_on(self, scanner: ScanState) -> None:
        """Get the next rows from this scanner; a part has one scanner, which works on one part at a time."""
        if self.scanner is None:
            self.scanner = scanner
            self.start = self.stop = len(scanner)
            self.sides_start = self.sides_stop = len(scanner.sides["row"])
        scanner.begin((self.number << 32) + len(self))

    def take(self, scanner: ScanState) -> None:
        """Take what the scanner found."""
        scanner.move_out()
        self.stop, self.sides_stop = len(scanner), len(scanner.sides["row"])


class Scanner:
    """One thread's scanner."""

    def __init__(self) -> None:
        self.state = ScanState()
        self._repair = Repair()

    def run(self, part: Part, data: bytearray, lo: int, stop: int, *, reach: int, last: bool) -> tuple[int, int]:
        """Scan data[lo:stop] into `part`; why it stopped, and where: STOP_END, STOP_CLOSED or STOP_INCOMPLETE.

        An item that is not understood may be looked at up to `reach`; with `last`, nothing follows `reach`.
        """
        address = address_of(data)
        part.go_on(self.state)
        while True:
            why, lo = self.state.scan(address, lo, stop)
            part.take(self.state)
            if why == slots.STOP_ODD or (why == slots.STOP_INCOMPLETE and last):
                item = self._repair.item(data, lo, reach, last=last)
                if item is None or item.end == lo:
                    return int(slots.STOP_INCOMPLETE), lo
                self._take(part, item.event, item.repaired)
                lo = item.end
                if lo > stop:
                    return int(slots.STOP_INCOMPLETE), lo
            elif why != slots.STOP_FULL:
                return why, lo

    def _take(self, part: Part, event: bytes | None, repaired: bool) -> None:
        if event is None:
            part.damaged += 1
            return
        text = bytearray(event + bytes(PAD))
        why, _ = self.state.scan(address_of(text), 0, len(event))
        part.take(self.state)
        part.repaired += repaired and why == slots.STOP_END
        part.damaged += why != slots.STOP_END


class ScanWalk:
    """One pass over a stream; `walk` it, then read the attributes (as those of json_events.EventWalk).

    parts   the rows, in the order of the file
    """

    def __init__(self, stream: ByteStream, *, guess: bool) -> None:
        self._window = Window(stream)
        self._decoder = Decoder()
        self._guess = guess
        self._scanners = [Scanner() for _ in range(THREADS if guess else 1)]
        self.parts: list[Part] = []
        self.header: dict[str, Any] = {}
        self._kept = 0
        self.found_list = False
        self.bare = False
        self.closed = False
        self.damaged = 0
        self.cut_at: int | None = None
        self.followed = False

    def walk(self) -> None:
        """Read everything; GuessedWrong when that has to be done again without guesses, TooMuch at a limit."""
        window = self._window
        window.fill()
        if window.data.startswith(b"\xef\xbb\xbf"):
            window.lo = 3
        if self._skip(_blanks) == b"[":
            window.lo += 1
            self.bare = True
            self._list()
        else:
            window.lo += 1
            while self.cut_at is None and self._skip(_blanks_and_commas) != b"}":
                self._key_and_value()
            window.lo += self.cut_at is None
        self.followed = self.cut_at is None and self._skip(_blanks) != b""

    def _skip(self, blanks: re.Pattern[bytes]) -> bytes:
        """Pass over what matches; the byte that follows, empty at the end."""
        window = self._window
        while True:
            if match := blanks.match(window.data, window.lo, window.hi):
                window.lo = match.end()
            if window.lo < window.hi:
                return bytes(window.data[window.lo : window.lo + 1])
            if not window.more():
                return b""

    def _key_and_value(self) -> None:
        """Take one pair of the top level."""
        window = self._window
        key = self._value()
        if key is not None and self._skip(_blanks_and_colon) == b"[" and key[0] == "traceEvents":
            window.lo += 1
            self._list()
            return
        start = window.place
        value = None if key is None or self._kept > limits.LONGEST_VALUE else self._value()
        if key is not None and value is not None:
            if isinstance(key[0], str):
                self.header[key[0]] = value[0]
                self._kept += window.place - start
            return
        place = window.place
        if self.found_list or not self._find(_list_key):
            self.cut_at = place
        else:
            self.damaged += 1
            self._list()

    def _value(self) -> tuple[Any] | None:
        """The value that comes next; None when there is none that can be read and is not too long."""
        window, size = self._window, 1 << 16
        while True:
            data = bytes(window.data[window.lo : min(window.hi, window.lo + size)])
            with suppress(ValueError, RecursionError):
                _, end = self._decoder.value(data.decode("latin-1"), 0)  # one character a byte: the offset fits
                if end < len(data) or window.ended:
                    window.lo += end
                    return (self._decoder.value(data[:end].decode("utf-8", errors="replace"), 0)[0],)
            if size < window.hi - window.lo:
                size *= 8
            elif window.hi - window.lo > limits.LONGEST_VALUE or not window.more():
                return None

    def _find(self, pattern: re.Pattern[bytes]) -> bool:
        """Go on behind the next match; False when there is none."""
        window = self._window
        while True:
            if match := pattern.search(window.data, window.lo, window.hi):
                window.lo = match.end()
                return True
            window.lo = max(window.lo, window.hi - LONGEST_MATCH)
            if not window.more():
                return False

    def _list(self) -> None:
        """Take the list whose first item comes next."""
        window = self._window
        self.found_list = True
        if self._guess and not window.ended and not window.grown:
            self._list_in_threads()
        part = self._part()
        while True:
            why, window.lo = self._scanners[0].run(
                part, window.data, window.lo, window.hi, reach=window.hi, last=window.ended
            )
            if why == slots.STOP_CLOSED:
                self.closed = True
                return
            if why == slots.STOP_INCOMPLETE and window.hi - window.lo > limits.LONGEST_ITEM:
                part.damaged += 1
                place = window.place
                if not self._find(_next_item):
                    self.cut_at = place
                    return
            elif window.ended:
                self.cut_at = window.place
                return
            else:
                window.more()

    def _part(self) -> Part:
        """A new part at the end of the parts."""
        part = Part(len(self.parts))
        self.parts.append(part)
        return part

    def _list_in_threads(self) -> None:
        """Scan as much of the list as can be cut; the rest stays in the window."""
        window = self._window
        idle: queue.SimpleQueue[Scanner] = queue.SimpleQueue()
        spare: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        for scanner in self._scanners:
            idle.put(scanner)
        for _ in range(BUFFERS):
            spare.put(bytearray(len(window.data)))

        def scan(part: Part, data: bytearray, lo: int, cut: int, hi: int) -> None:
            scanner = idle.get()
            try:
                if scanner.run(part, data, lo, cut, reach=hi, last=False) != (int(slots.STOP_END), cut):
                    raise GuessedWrong
            finally:
                idle.put(scanner)
                spare.put(data)

        tasks: list[Future[None]] = []
        with ThreadPoolExecutor(len(self._scanners)) as pool:
            while not window.ended and (cut := self._cut()) is not None:
                lo, hi, data = window.lo, window.hi, spare.get()
                if any(task.done() and task.exception() for task in tasks[-BUFFERS:]):
                    break
                part = self._part()
                tasks.append(pool.submit(scan, part, window.hand_over(cut, data), lo, cut, hi))
                window.fill()
        for task in tasks:
            task.result()

    def _cut(self) -> int | None:
        """Where the last event begins whose beginning can be seen."""
        window, at = self._window, self._window.hi
        for _ in range(CUT_TRIES):
            at = window.data.rfind(b"}", window.lo, at)
            if at < 0:
                return None
            if match := _next_item.match(window.data, at, window.hi):
                return match.end()
        return None
