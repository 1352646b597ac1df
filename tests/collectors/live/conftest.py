"""A recording in this very process, without the collectors that other tests are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llmprof.timeline import rundir


@dataclass(frozen=True)
class Recorded:
    """What one rank left in its run directory."""

    rank: dict[str, Any]
    steps: list[dict[str, Any]]
    events: list[dict[str, Any]]


def read(run: Path, rank: int = 0) -> Recorded:
    folder = next(path for number, attempt, path in rundir.rank_dirs(run) if (number, attempt) == (rank, 0))

    def lines(name: str) -> list[dict[str, Any]]:
        return rundir.read_json_lines(folder / name) if (folder / name).exists() else []

    return Recorded(rundir.read_json(folder / rundir.RANK), lines(rundir.STEPS), lines(rundir.EVENTS))


@pytest.fixture
def no_collectors(monkeypatch: pytest.MonkeyPatch) -> None:
    from llmprof.collectors.live import crew

    monkeypatch.setattr(crew, "discover", lambda missing: [])


@pytest.fixture
def record(tmp_path: Path, no_collectors: None) -> Iterator[Callable[[Callable[[], None]], Recorded]]:
    """Runs a function recorded, and returns what was written."""
    pytest.importorskip("torch")
    from llmprof.collectors.live import injection

    def run(function: Callable[[], None]) -> Recorded:
        recording = injection.record(lambda: tmp_path, {})
        try:
            function()
        finally:
            recording.stop()
        return read(tmp_path)

    yield run
    found = injection.current()
    if found is not None:
        found.remove()
