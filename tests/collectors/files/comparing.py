"""Reading one trace in several ways, and what has to be the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmprof.collectors.files import kineto
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.files import events_of

__all__ = ["differences", "read_with"]

COLUMNS = ("ts", "dur", "kind", "lane", "name", "correlation", "launch", "external")
MARKS = ("number", "start_ns", "end_ns")
FIELDS = ("rank", "origin_ns", "lanes", "environment", "quality")
SIDES = ("collectives", "copied_bytes", "shapes", "streams")


def read_with(path: Path, monkeypatch: pytest.MonkeyPatch, *, limit: int | None, guess: bool = True) -> RankTimeline:
    """The timeline of a file that is read plainly when it is smaller than `limit` (None: in any case)."""
    with monkeypatch.context() as patch:
        patch.setattr(kineto, "plain_limit", lambda: limit)
        trace = kineto._parse(path, guess=guess)
    return trace.timeline(trace.claimed_rank or 0)


def differences(a: RankTimeline, b: RankTimeline) -> list[str]:
    """What differs between two timelines of one file."""
    first, second = events_of(a), events_of(b)
    found = [name for name in COLUMNS if not _same(getattr(first, name), getattr(second, name))]
    found += [name for name in SIDES if dict(getattr(first, name)) != dict(getattr(second, name))]
    found += [name for name in MARKS if not _same(getattr(a.marks, name), getattr(b.marks, name))]
    found += [name for name in FIELDS if getattr(a, name) != getattr(b, name)]
    return found + (["strings"] if first.strings.names != second.strings.names else [])


def _same(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b)
