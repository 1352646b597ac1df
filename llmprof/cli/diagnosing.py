"""How do the paths on a command line become a diagnosis, and how is it put into a folder?"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from llmprof.cli.progress import progress_bar
from llmprof.cli.trials import add_trials
from llmprof.errors import InputError, UnreadableError

if TYPE_CHECKING:
    from llmprof.analyzers.diagnosis import Diagnosis
    from llmprof.timeline.timeline import Timeline

__all__ = ["EngineChoice", "check_step_ms", "diagnose_paths", "is_analysis", "write_results"]

_ANALYSIS = re.compile(rb'\A\s*\{\s*"schema"\s*:\s*"llmprof\.analysis/')
_HEAD_BYTES = 4096


class EngineChoice(str, Enum):
    """Where the ranks are read."""

    AUTO = "auto"
    PROCESSES = "processes"
    DASK = "dask"


def diagnose_paths(
    paths: Sequence[str],
    step_ms: float | None = None,
    ranks: Sequence[int] = (),
    engine: EngineChoice = EngineChoice.AUTO,
    scheduler: str | None = None,
    burst: int | None = None,
    keep: Callable[[Timeline], None] | None = None,
) -> Diagnosis:
    """The diagnosis of a run directory, of traces, of a table of pipeline operations, or that in an analysis.json.

    `step_ms` is the mean of the unprofiled step, for traces that come without one; `ranks` says which rank each trace
    is, where they do not; `scheduler` is the address of a Dask scheduler, `burst` the number of the burst of a run that
    is read, by default the latest; `keep` is given what was recorded, of many ranks that of the critical one, where it
    is at hand. Raises LlmprofError.
    """
    check_step_ms(step_ms)
    if scheduler is not None and engine is not EngineChoice.DASK:
        raise InputError("--scheduler is the address of a Dask scheduler; give it with --engine dask.")
    finished = [path for path in paths if is_analysis(path)]
    from llmprof.collectors.files.operation_table import is_parquet

    tables = [] if finished else [path for path in paths if is_parquet(path)]
    if tables:
        return _diagnose_table(paths, tables[0], step_ms, ranks, burst)
    if not finished and burst is not None:
        from llmprof.analyzers.diagnose import diagnose
        from llmprof.collectors.files import load

        timeline = load(list(paths), ranks=ranks, burst=burst)
        if keep is not None:
            keep(timeline)
        return add_trials(diagnose(timeline, step_ms=step_ms), paths)
    if not finished:
        return add_trials(_diagnose_recorded(paths, step_ms, ranks, engine, scheduler, keep), paths)
    if len(paths) > 1:
        raise InputError(f"{finished[0]} is a finished analysis and cannot be joined with others; give it alone.")
    if step_ms is not None:
        raise InputError(f"{finished[0]} is a finished analysis; --step-ms needs the run or its traces.")
    if ranks:
        raise InputError(f"{finished[0]} is a finished analysis; --ranks needs the traces.")
    from llmprof.analyzers.diagnosis import Diagnosis

    try:
        text = Path(finished[0]).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UnreadableError(f"{finished[0]} is not valid UTF-8; write it again with `llmprof analyze`.") from None
    return Diagnosis.from_json(text, where=finished[0])


def check_step_ms(step_ms: float | None) -> None:
    """Raise InputError for what no step can take."""
    if step_ms is not None and not 0 < step_ms < float("inf"):
        raise InputError(f"--step-ms {step_ms:g} is no step time; give the mean step of the run in milliseconds.")


def _diagnose_table(
    paths: Sequence[str], table: str, step_ms: float | None, ranks: Sequence[int], burst: int | None
) -> Diagnosis:
    """The diagnosis of a table of pipeline operations, which stands alone and knows its steps and ranks."""
    from llmprof.analyzers.operations import diagnose_operations
    from llmprof.collectors.files.operation_table import read_operations

    if len(paths) > 1:
        raise InputError(f"{table} is a Parquet table and cannot be joined with others; give it alone.")
    if step_ms is not None or ranks or burst is not None:
        raise InputError(
            f"{table} is a Parquet table that knows its steps and ranks; leave the options for traces out."
        )
    return diagnose_operations(read_operations(Path(table)), table)


def _diagnose_recorded(
    paths: Sequence[str],
    step_ms: float | None,
    ranks: Sequence[int],
    engine: EngineChoice,
    scheduler: str | None,
    keep: Callable[[Timeline], None] | None,
) -> Diagnosis:
    """All ranks together in memory, or one by one where there are many, or where that was asked for."""
    from llmprof.analyzers.many_ranks.diagnose import diagnose_files, local_engine
    from llmprof.collectors.files.rank_files import rank_files

    files = rank_files(paths)
    if files is None and engine is EngineChoice.DASK:
        raise InputError(
            f"--engine dask reads run directories and traces of several ranks, which {', '.join(paths)} is not."
        )
    with progress_bar() as progress:
        if files is not None and engine is EngineChoice.DASK:
            from llmprof.analyzers.many_ranks.dask_cluster import DaskCluster

            with DaskCluster(scheduler) as cluster:
                return diagnose_files(files, cluster, step_ms=step_ms, ranks=ranks, progress=progress, keep=keep)
        local = None if files is None else local_engine(files, always=engine is EngineChoice.PROCESSES)
        if files is not None and local is not None:
            return diagnose_files(files, local, step_ms=step_ms, ranks=ranks, progress=progress, keep=keep)
        from llmprof.analyzers.diagnose import diagnose
        from llmprof.collectors.files import load

        timeline = load(list(paths), ranks=ranks)
        if keep is not None:
            keep(timeline)
        return diagnose(timeline, step_ms=step_ms)


def write_results(
    diagnosis: Diagnosis, folder: Path, *, timelines: Sequence[Timeline] = (), redact: bool = True
) -> Path:
    """Write analysis.json and report.html into `folder` (made when missing); returns the path of the report.

    Earlier ones there are replaced: both are derived from the input and can be made again. `timelines` holds what was
    recorded, or nothing; with `redact` the page says nothing of folders, machines and arguments.
    """
    from llmprof.reports import write_report

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder} ({error.strerror}); choose another with -o.") from None
    write_report(diagnosis, folder / "analysis.json")
    timeline = timelines[0] if timelines else None
    write_report(diagnosis, folder / "report.html", timeline=timeline, redact=redact)
    return folder / "report.html"


def is_analysis(path: str) -> bool:
    """Whether the file at this path is an analysis.json, by its beginning."""
    try:
        with open(path, "rb") as file:
            return _ANALYSIS.match(file.read(_HEAD_BYTES)) is not None
    except (OSError, ValueError):
        return False  # the loader says in its own words what is wrong with the path
