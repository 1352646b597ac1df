"""The recordings of sample_traces/ with their diagnoses, each read and judged once a session."""

from __future__ import annotations

from functools import cache

import pytest

from llmprof.analyzers.diagnose import diagnose
from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.collectors.files import load
from llmprof.timeline.timeline import Timeline
from tests.conftest import ROOT


@cache
def recorded(name: str) -> tuple[Diagnosis, Timeline]:
    """A recording of the repository and its diagnosis; the test is skipped without it."""
    folder = ROOT / "sample_traces" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not in this checkout")
    timeline = load([str(folder)])
    return diagnose(timeline), timeline
