"""Is an input read plainly or by the compiled scanner? A question of size, where there is a scanner at all."""

from __future__ import annotations

import importlib.util

__all__ = ["GuessedWrong", "plain_limit"]

SCAN_FROM = 16 << 20
"""Bytes from which on the scanner is faster than the plain reader, its start included (about 0.3 s)."""

KEEP_AFTER_S = 1.0
"""Seconds that a trace takes to read from which on the result is kept for a second look."""


class GuessedWrong(Exception):
    """A block of a list did not end where the next event was taken to begin; see scan_walk."""


def plain_limit() -> int | None:
    """Fewer bytes than this are read plainly; None: always."""
    return None if importlib.util.find_spec("llvmlite") is None else SCAN_FROM
