"""Real recordings as timelines, each read once a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from llmprof.collectors.files.kineto import read_kineto
from llmprof.timeline.timeline import RankTimeline

Recorded = Callable[[str], RankTimeline]


@pytest.fixture(scope="session")
def recorded(recordings: Path) -> Recorded:
    """recorded("h200/compute_fp32.rank0") is the timeline of that recording."""

    @lru_cache(maxsize=8)
    def read(name: str) -> RankTimeline:
        path = recordings / f"{name}.json.gz"
        if not path.is_file():
            pytest.skip(f"no recording {path}")
        return read_kineto(path)

    return read
