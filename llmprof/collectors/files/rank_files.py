"""Which files hold the ranks of one run, one rank each? Listed without reading them, so that each can be read alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llmprof.collectors.files.kineto import parse_kineto
from llmprof.collectors.files.nsys import reports_in
from llmprof.collectors.files.nsys.run import report_in_run
from llmprof.collectors.files.remote import remote_traces
from llmprof.collectors.files.run_directory import read_run_directory
from llmprof.collectors.files.streams import is_remote
from llmprof.collectors.files.trace_folder import TRACE_SUFFIXES, traces_in
from llmprof.collectors.files.trace_ranks import TraceMarks, marks_of
from llmprof.errors import UnreadableError
from llmprof.timeline import rundir
from llmprof.timeline.timeline import RankTimeline

__all__ = ["RankFile", "RankFiles", "ReadRank", "rank_files", "read_rank_file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankFile:
    """Where one rank was recorded: a trace (path or fsspec URL), or its folders in a run directory."""

    address: str
    size: int | None = None
    """Bytes as stored, None where that is not known."""
    run: str | None = None
    """The run directory; `folders` are those of this rank's processes in it."""
    folders: tuple[str, ...] = ()
    rank: int | None = None
    """Known beforehand only in a run directory."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.address.rstrip("/").rpartition("/")[2] or self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class RankFiles:
    """All ranks of one input."""

    files: tuple[RankFile, ...]
    kind: str
    """`run` or `kineto`, as `Timeline.kind`."""
    paths: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    listed: bool = False
    """Found in a folder, so that what is no trace may lie among them."""

    @property
    def size(self) -> int:
        """Bytes as stored, of those files whose size is known."""
        return sum(file.size or 0 for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRank:
    """One rank, read alone."""

    timeline: RankTimeline
    """As rank 0 where the recording does not say which rank it is."""
    marks: TraceMarks
    """What tells which rank it is, when those of all others are known."""
    warnings: tuple[str, ...] = ()


def rank_files(paths: Sequence[str | Path]) -> RankFiles | None:
    """The ranks of a run directory, of a folder of traces, of an fsspec folder or glob, or of several trace files.

    None for anything else: one file, standard input, Nsight Systems reports, what does not exist. `load` takes those,
    and says what is wrong with them. Raises NotFoundError or UnreadableError for a URL that cannot be listed.
    """
    found: list[RankFile] = []
    notes: list[str] = []
    listed = False
    for path in map(str, paths):
        if is_remote(path):
            inside = [RankFile(address=address, size=size) for address, size in remote_traces(path).items()]
            found += inside
            listed = listed or [file.address for file in inside] != [path]
        elif os.path.isdir(path):
            folder = Path(path)
            if _is_run(folder):
                return _ranks_of_run(folder) if len(paths) == 1 else None
            if not (inside := _traces_in(folder, notes)):
                return None
            found += inside
            listed = True
        elif path.endswith(TRACE_SUFFIXES) and os.path.isfile(path):
            found.append(RankFile(address=path, size=os.path.getsize(path)))
        else:
            return None
    if len(found) < 2:
        return None
    given = tuple(map(str, paths))
    return RankFiles(files=tuple(found), kind="kineto", paths=given, warnings=tuple(notes), listed=listed)


def read_rank_file(file: RankFile) -> ReadRank:
    """Read one rank; errors as `load`."""
    if file.run is not None and file.rank is not None:
        found = read_run_directory(Path(file.run), only=dict.fromkeys(map(Path, file.folders), file.rank))
        (rank,) = found.ranks
        marks = replace(marks_of(file.address, rank.rank, rank), world_size=found.world_size)
        return ReadRank(timeline=rank, marks=marks, warnings=found.warnings)
    trace = parse_kineto(file.address)
    rank = trace.timeline(trace.claimed_rank or 0)
    return ReadRank(timeline=rank, marks=marks_of(file.address, trace.claimed_rank, rank))


def _is_run(folder: Path) -> bool:
    return (folder / rundir.RUN).is_file() or (folder / "ranks").is_dir()


def _traces_in(folder: Path, notes: list[str]) -> list[RankFile]:
    """The traces of a folder; none when it cannot be listed or holds something else."""
    try:
        if reports_in(folder) or any(_is_run(path) for path in folder.iterdir()):
            return []
        return [RankFile(address=str(path), size=path.stat().st_size) for path in traces_in(folder, notes)]
    except (OSError, UnreadableError):
        return []


def _ranks_of_run(run: Path) -> RankFiles | None:
    if report_in_run(run) is not None:
        return None
    folders: dict[int, list[Path]] = {}
    for rank, _, folder in rundir.rank_dirs(run):
        folders.setdefault(rank, []).append(folder)
    if len(folders) < 2:
        return None
    return RankFiles(
        files=tuple(
            RankFile(address=str(some[0]), size=_size(some), run=str(run), folders=tuple(map(str, some)), rank=rank)
            for rank, some in sorted(folders.items())
        ),
        kind="run",
        paths=(str(run),),
    )


def _size(folders: Sequence[Path]) -> int:
    return sum(entry.stat().st_size for folder in folders for entry in os.scandir(folder) if entry.is_file())
