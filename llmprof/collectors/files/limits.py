"""How much may one trace hold before it is refused? Files come from strangers, and a machine is not to be brought down.

Each limit is an order of magnitude above what recordings of real runs hold.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

__all__ = [
    "LONGEST_ITEM",
    "LONGEST_VALUE",
    "MAX_INFLATED_BYTES",
    "MAX_RATIO",
    "MOST_DIFFERENT",
    "MOST_TEXT_BYTES",
    "TooMuch",
    "free_memory",
    "most_plain_bytes",
    "most_rows",
]

MAX_RATIO = 200
MAX_INFLATED_BYTES = 512 << 20
"""Unpacking stops when the text is longer than this and more than MAX_RATIO times the compressed bytes: real traces
shrink 10 to 30 times, a file made of zeros 1000 times."""

LONGEST_ITEM = 16 << 20
"""Bytes of an event; a longer one is left out."""

LONGEST_VALUE = 16 << 20
"""Bytes of a value at the top level, and of all that are kept together; what is longer is left out."""

MOST_DIFFERENT = 1 << 20
"""Names, shapes, threads: of each so many different ones. Real traces have thousands."""

MOST_TEXT_BYTES = 256 << 20
"""Bytes of all different names together, and of all different shapes."""

ROW_BYTES = 160
"""Memory that a row takes at most, when the table is sorted; it was measured at 60 to 110."""

PLAIN_FACTOR = 8
"""The same for a byte of text that is read plainly, as bytes and as text of up to 4 bytes a character."""


class TooMuch(Exception):
    """The reason is the text: `more than 1,048,576 different names`."""


def most_rows() -> int:
    """Rows that fit into half of the memory that is free."""
    return max(1 << 20, free_memory() // 2 // ROW_BYTES)


def most_plain_bytes() -> int:
    """Bytes of text that fit into half of the memory that is free when they are read plainly."""
    return max(64 << 20, free_memory() // 2 // PLAIN_FACTOR)


def free_memory() -> int:
    """Bytes that this process may still take: of the machine, of its cgroup, of its own limit, the least."""
    found = [1 << 40]
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable")))
    with suppress(OSError, ValueError):  # "max" without a limit
        group = Path("/sys/fs/cgroup")
        found.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    with suppress(OSError, ValueError):
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            found.append(limit - used)
    return max(0, min(found))
