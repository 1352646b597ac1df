"""Which bytes of the stream are in memory? A buffer that slides over a byte stream and grows for one long item."""

from __future__ import annotations

import numpy as np

from llmprof.collectors.files.scanner_slots import PAD
from llmprof.collectors.files.streams import ByteStream

__all__ = ["Window", "address_of"]

BLOCK_BYTES = 2 << 20
"""Small enough for the caches of a core."""


def address_of(data: bytearray) -> int:
    """Where the bytes of a buffer lie, while nobody resizes it."""
    return int(np.frombuffer(data, np.uint8).ctypes.data)


class Window:
    """`data[lo:hi]` is what was read and not yet used; PAD bytes behind `hi` may be read too."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.data = bytearray(BLOCK_BYTES + PAD)
        self.lo = 0
        self.hi = 0
        self.offset = 0
        """Where data[0] lies in the stream."""
        self.ended = False
        """Nothing follows `hi`."""

    @property
    def grown(self) -> bool:
        """Whether something long made the buffer larger than it was."""
        return len(self.data) > BLOCK_BYTES + PAD

    @property
    def place(self) -> int:
        """Where `lo` lies in the stream."""
        return self.offset + self.lo

    def more(self) -> bool:
        """Read on behind `hi`, moving what is not yet used to the front; False when there is no more."""
        if self.ended:
            return False
        rest = self.hi - self.lo
        if rest > (len(self.data) - PAD) // 2:
            self._move_to(bytearray(2 * len(self.data)))
        elif self.lo:
            self._move_to(self.data)
        return self.fill()

    def fill(self) -> bool:
        """Read until the buffer is full; False when nothing came."""
        before = self.hi
        with memoryview(self.data) as view:
            while self.hi < len(view) - PAD:
                count = self._stream.readinto(view[self.hi : len(view) - PAD])
                if not count:
                    self.ended = True
                    break
                self.hi += count
        return self.hi > before

    def hand_over(self, cut: int, spare: bytearray) -> bytearray:
        """Give data[:cut] away and go on with what lies behind the cut in the buffer `spare`, of the same size."""
        given = self.data
        self.lo = cut
        self._move_to(spare)
        return given

    def _move_to(self, target: bytearray) -> None:
        rest = self.hi - self.lo
        target[:rest] = self.data[self.lo : self.hi]
        self.offset += self.lo
        self.data, self.lo, self.hi = target, 0, rest
