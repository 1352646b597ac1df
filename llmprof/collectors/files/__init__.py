"""From files on disk to a timeline: one format, one module, recognised by content and not by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from llmprof.collectors.files.kineto import KinetoTrace, parse_kineto
from llmprof.collectors.files.streams import STANDARD_INPUT, is_remote
from llmprof.errors import InputError, NotFoundError, UnknownFormatError, UnreadableError
from llmprof.timeline.timeline import RankTimeline, Timeline

__all__ = ["load"]

TRACE_SUFFIXES = (".json", ".json.gz", ".json.zst")


def load(paths: str | Path | Sequence[str | Path]) -> Timeline:
    """The timeline of a run directory, of a folder of traces, or of one or more trace files (one a rank).

    A trace may also be an fsspec URL (`s3://…`), or `-` for standard input.

    The rank of a file is what it says (distributedInfo), else the number in its name (`rank0`, `rank-0`, `r00000`),
    else its place among the files.

    Raises InputError when the paths do not fit together, NotFoundError, UnknownFormatError or UnreadableError when one
    of them cannot be used. In a folder, files that are no traces are passed over with a warning.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    streams = [str(path) for path in given if str(path) == STANDARD_INPUT or is_remote(path)]
    chosen = [Path(path) for path in given if str(path) not in streams]
    if not given:
        raise InputError("no input was given; give a trace file, a folder of traces or a run directory.")
    for path in chosen:
        if not os.path.exists(path):  # unlike Path.exists, False for a path that may not be looked at
            raise NotFoundError(f"{path} does not exist; check the path.")
    if any(_is_run_directory(path) for path in chosen):
        return _read_run([*chosen, *map(Path, streams)])
    reports = _nsys_reports(chosen)
    if reports and streams:
        raise InputError(f"{reports[0]} is an Nsight Systems report and {streams[0]} is not; give reports of one kind.")
    if reports:
        from llmprof.collectors.files.nsys import read_nsys

        return read_nsys(reports)
    traces = [parse_kineto(address) for address in streams]
    warnings: list[str] = []
    for path in chosen:
        if path.is_dir():
            traces += _parse_folder(path, warnings)
        else:
            traces.append(parse_kineto(path))
    ranks = _in_order(traces, warnings)
    return Timeline(
        ranks=ranks,
        kind="kineto",
        paths=tuple(str(path) for path in given),
        world_size=_world_size(ranks, warnings),
        warnings=tuple(warnings),
    )


def _is_run_directory(path: Path) -> bool:
    return path.is_dir() and ((path / "run.json").is_file() or (path / "ranks").is_dir())


def _read_run(paths: Sequence[Path]) -> Timeline:
    if len(paths) > 1:
        run = next(filter(_is_run_directory, paths))
        raise InputError(f"{run} is a run directory and has to be given alone; drop the other paths.")
    from llmprof.collectors.files.nsys.run import read_nsys_run, report_in_run
    from llmprof.collectors.files.run_directory import read_run_directory

    report = report_in_run(paths[0])
    return read_run_directory(paths[0]) if report is None else read_nsys_run(paths[0], report)


def _nsys_reports(paths: Sequence[Path]) -> list[Path]:
    """The Nsight Systems reports that the paths are or hold; none when they are something else."""
    from llmprof.collectors.files.nsys import is_nsys, reports_in

    found: list[Path] = []
    others: list[Path] = []
    for path in paths:
        if is_nsys(path):
            found.append(path)
        elif path.is_dir() and (inside := reports_in(path)):
            found += inside
        else:
            others.append(path)
    if found and others:
        raise InputError(
            f"{found[0]} is an Nsight Systems report and {others[0]} is not; give reports of one kind, of one run."
        )
    return found


def _parse_folder(folder: Path, warnings: list[str]) -> list[KinetoTrace]:
    """The traces directly in a folder; NotFoundError or the file's own error when there is none."""
    try:
        files = sorted(path for path in folder.iterdir() if path.name.endswith(TRACE_SUFFIXES) and path.is_file())
    except OSError as error:
        raise UnreadableError(f"{folder} cannot be listed ({error.strerror}); check its permissions.") from error
    traces: list[KinetoTrace] = []
    damaged: UnreadableError | None = None
    for path in files:
        try:
            traces.append(parse_kineto(path))
        except UnknownFormatError:  # noqa: PERF203 - a handful of files
            warnings.append(f"{path.name} is no trace and was passed over.")
        except UnreadableError as error:
            damaged = damaged or error
            warnings.append(f"passed over: {error}")
    if traces:
        return traces
    if damaged is not None:
        raise damaged
    raise UnknownFormatError(
        f"{folder} holds no trace (*.json, *.json.gz, *.json.zst) and is no run directory; give a trace file or a "
        "folder of them."
    )


def _in_order(traces: Sequence[KinetoTrace], warnings: list[str]) -> tuple[RankTimeline, ...]:
    """The timelines, ascending by rank; InputError when two files claim one rank."""
    claimed: dict[int, KinetoTrace] = {}
    unclaimed: list[KinetoTrace] = []
    for trace in traces:
        rank = trace.claimed_rank
        if rank is None:
            unclaimed.append(trace)
        elif rank in claimed:
            raise InputError(
                f"{claimed[rank].path} and {trace.path} both say they are rank {rank}; give the traces of one run, one "
                "file a rank."
            )
        else:
            claimed[rank] = trace
    free = (number for number in range(len(traces)) if number not in claimed)
    for rank, trace in zip(free, unclaimed, strict=False):
        claimed[rank] = trace
        if len(traces) > 1:
            warnings.append(f"nothing says which rank {trace.path.name} is; it is taken as rank {rank}.")
    return tuple(claimed[rank].timeline(rank) for rank in sorted(claimed))


def _world_size(ranks: Sequence[RankTimeline], warnings: list[str]) -> int | None:
    """The number of ranks in the job as the files say; the largest, with a warning, where they disagree."""
    sizes = sorted({size for rank in ranks if (size := rank.environment.world_size)})
    if len(sizes) > 1:
        warnings.append(f"the files disagree on the number of ranks ({sizes}): they may be of different runs.")
    return sizes[-1] if sizes else None
