"""How does a recording get into a file that Perfetto reads? Load, measure, diagnose and write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmprof.cli.console import note
from llmprof.errors import InputError, NotEnoughDataError
from llmprof.timeline import rundir

if TYPE_CHECKING:
    from llmprof.reports.perfetto import Exported
    from llmprof.timeline.timeline import Timeline

__all__ = ["export_perfetto"]


MOST_RANKS = 8
"""A viewer in a browser holds some millions of events; of a larger job the first ranks are shown unless others are
asked for."""


def export_perfetto(
    paths: Sequence[str], out: Path, step_ms: float | None = None, ranks: Sequence[int] = ()
) -> Exported:
    """Write what was traced at these paths to `out`, of a run directory these `ranks` or the first MOST_RANKS.

    Raises InputError when nothing was traced.
    """
    from llmprof.analyzers.diagnose import diagnosis_of, without_facts
    from llmprof.analyzers.diagnosis import Source
    from llmprof.analyzers.facts.measure import measure
    from llmprof.cli.diagnosing import check_step_ms, is_analysis
    from llmprof.reports.perfetto import write_perfetto

    check_step_ms(step_ms)
    finished = next((path for path in paths if is_analysis(path)), None)
    if finished is not None:
        raise InputError(f"{finished} is a finished analysis and holds no events; give the run or its traces.")
    timeline = _load(paths, ranks)
    if all(rank.events is None for rank in timeline.ranks):
        raise InputError(f"{', '.join(paths)} holds no trace; record the run with `llmprof run`, or ask for a burst.")
    shown = tuple(rank.rank for rank in timeline.ranks)
    source = Source(kind=timeline.kind, paths=timeline.paths, ranks=shown, world_size=timeline.world_size)
    try:
        facts = measure(timeline, step_ms=step_ms)
    except NotEnoughDataError as error:  # the events are there all the same
        return write_perfetto(timeline, None, without_facts(source, (), error), out)
    return write_perfetto(timeline, facts, diagnosis_of(facts, source), out)  # findings need no replay of their fixes


def _load(paths: Sequence[str], ranks: Sequence[int]) -> Timeline:
    """The timeline, of a run with many ranks only some of them."""
    from llmprof.collectors.files import load
    from llmprof.collectors.files.nsys.run import report_in_run
    from llmprof.collectors.files.run_directory import read_run_directory

    run = Path(paths[0])
    folders = rundir.rank_dirs(run) if len(paths) == 1 else []
    known = sorted({rank for rank, _, _ in folders})
    missing = sorted(set(ranks) - set(known))
    if missing:
        raise InputError(f"{paths[0]} has no rank {missing[0]}; --ranks takes ranks of a run directory.")
    wanted = set(ranks or known[:MOST_RANKS])
    if len(wanted) == len(known) or report_in_run(run) is not None:
        return load(list(paths))
    note(f"{len(wanted)} of {len(known)} ranks are in the file; `llmprof open --ranks` chooses others.")
    return read_run_directory(run, only={folder: rank for rank, _, folder in folders if rank in wanted})
