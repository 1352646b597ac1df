"""Is an input read plainly or by the compiled scanner? Without numba only the first; with it, a question of size."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

__all__ = ["GuessedWrong", "plain_limit"]

WARM_LIMIT = 24 << 20
"""Bytes from which on the scanner is faster than the plain reader, the start of numba included (about 0.5 s)."""

KEEP_AFTER_S = 1.0
"""Seconds that a trace takes to read from which on the result is kept for a second look."""

COLD_LIMIT = 64 << 20
"""The same when the scanner has to be compiled first, which takes some seconds, once for each machine and version."""


class GuessedWrong(Exception):
    """A block of a list did not end where the next event was taken to begin; see scan_walk."""


def plain_limit() -> int | None:
    """Fewer bytes than this are read plainly; None: always."""
    if importlib.util.find_spec("numba") is None:
        return None
    return WARM_LIMIT if _compiled() else COLD_LIMIT


def _compiled() -> bool:
    """Whether numba has the scanner in one of the places where it keeps what it compiled."""
    own = Path(__file__).parent / "__pycache__"
    places = [own] if os.access(own, os.W_OK) else [Path(os.path.expanduser("~/.cache/numba"))]
    if "NUMBA_CACHE_DIR" in os.environ:
        places = [Path(os.environ["NUMBA_CACHE_DIR"])]
    return any(next(place.rglob("scanner.scan-*.nbi"), None) is not None for place in places)
