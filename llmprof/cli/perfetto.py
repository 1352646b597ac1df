"""How does a recording get into a file that Perfetto reads? Load, measure, diagnose and write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmprof.errors import InputError, NotEnoughDataError

if TYPE_CHECKING:
    from llmprof.reports.perfetto import Exported

__all__ = ["export_perfetto"]


def export_perfetto(paths: Sequence[str], out: Path, step_ms: float | None = None) -> Exported:
    """Write what was traced at these paths to `out`. Raises InputError when that is nothing."""
    from llmprof.analyzers.diagnose import diagnose
    from llmprof.analyzers.facts.measure import measure
    from llmprof.cli.diagnosing import is_analysis
    from llmprof.collectors.files import load
    from llmprof.reports.perfetto import write_perfetto

    finished = next((path for path in paths if is_analysis(path)), None)
    if finished is not None:
        raise InputError(f"{finished} is a finished analysis and holds no events; give the run or its traces.")
    timeline = load(list(paths))
    if all(rank.events is None for rank in timeline.ranks):
        raise InputError(f"{', '.join(paths)} holds no trace; record the run with `llmprof run`, or ask for a burst.")
    try:
        facts = measure(timeline, step_ms=step_ms)
    except NotEnoughDataError:
        facts = None  # the events are there all the same
    return write_perfetto(timeline, facts, diagnose(timeline, step_ms=step_ms), out)
