"""From files on disk to a timeline: one format, one module, recognised by content and not by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from llmprof.collectors.files.joining import join_snapshots, read_snapshots, snapshots_among
from llmprof.collectors.files.kineto import KinetoTrace, parse_kineto
from llmprof.collectors.files.remote import remote_traces
from llmprof.collectors.files.streams import STANDARD_INPUT, is_remote
from llmprof.collectors.files.trace_folder import traces_in
from llmprof.collectors.files.trace_ranks import in_order, world_size_of
from llmprof.errors import InputError, NotFoundError, UnknownFormatError, UnreadableError
from llmprof.timeline.timeline import Timeline

__all__ = ["load"]


def load(paths: str | Path | Sequence[str | Path], *, ranks: Sequence[int] = (), burst: int | None = None) -> Timeline:
    """The timeline of a run directory, of a folder of traces, or of one or more trace files (one a rank).

    Memory snapshots (torch.cuda.memory._dump_snapshot) among them join the ranks, or stand alone. A trace may also be
    an fsspec URL (`s3://…`), or `-` for standard input.

    The rank of a file is the one in `ranks` (in the order of the files), else what it says (distributedInfo), else the
    number in its name (`rank0`, `rank-0`, `r00000`), else its place among the files. Of a folder that the profiler's
    TensorBoard handler filled, the latest trace of each worker is read.

    `burst` is the number of the burst of a run directory that is read, by default the latest complete one.

    Raises InputError when the paths do not fit together, NotFoundError, UnknownFormatError or UnreadableError when one
    of them cannot be used. In a folder, files that are no traces are passed over with a warning.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    given = [one for path in given for one in (remote_traces(str(path)) if is_remote(path) else [path])]
    streams = [str(path) for path in given if str(path) == STANDARD_INPUT or is_remote(path)]
    chosen = [Path(path) for path in given if str(path) not in streams]
    if not given:
        raise InputError("no input was given; give a trace file, a folder of traces or a run directory.")
    for path in chosen:
        if not os.path.exists(path):  # unlike Path.exists, False for a path that may not be looked at
            raise NotFoundError(f"{path} does not exist; check the path.")
    reports = [] if any(map(_is_run_directory, chosen)) else _nsys_reports(chosen)
    if ranks and (reports or any(map(_is_run_directory, chosen))):
        raise InputError("--ranks is for PyTorch profiler traces; a run directory and Nsight Systems know their ranks.")
    if any(map(_is_run_directory, chosen)):
        return _read_run([*chosen, *map(Path, streams)], burst)
    if burst is not None:
        raise InputError(f"{given[0]} is no run directory, only those have bursts; leave --burst out.")
    if reports and streams:
        raise InputError(f"{reports[0]} is an Nsight Systems report and {streams[0]} is not; give reports of one kind.")
    if reports:
        from llmprof.collectors.files.nsys import read_nsys

        return read_nsys(reports)
    warnings: list[str] = []
    left_out: list[str] = []
    traces: list[KinetoTrace] = []
    found: list[Path] = []
    pickled = snapshots_among(chosen)
    snapshots = read_snapshots(pickled, warnings)
    for place in given:
        if str(place) in streams or not Path(place).is_dir():
            traces += [] if Path(place) in pickled else [parse_kineto(place)]
        else:
            inside = _parse_folder(Path(place), warnings, left_out, alone=not snapshots)
            found += [trace.path for trace in inside]
            traces += inside
    timelines = join_snapshots(in_order(traces, warnings, found=found, ranks=ranks), snapshots, warnings)
    return Timeline(
        ranks=timelines,
        kind="kineto" if traces else "snapshot",
        paths=tuple(str(path) for path in given),
        world_size=world_size_of(timelines, warnings),
        warnings=tuple(warnings),
        left_out=tuple(left_out),
    )


def _is_run_directory(path: Path) -> bool:
    return path.is_dir() and ((path / "run.json").is_file() or (path / "ranks").is_dir())


def _read_run(paths: Sequence[Path], burst: int | None) -> Timeline:
    if len(paths) > 1:
        run = next(filter(_is_run_directory, paths))
        raise InputError(f"{run} is a run directory and has to be given alone; drop the other paths.")
    from llmprof.collectors.files.nsys.run import read_nsys_run, report_in_run
    from llmprof.collectors.files.run_directory import read_run_directory

    report = report_in_run(paths[0])
    return read_run_directory(paths[0], burst=burst) if report is None else read_nsys_run(paths[0], report)


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


def _parse_folder(folder: Path, warnings: list[str], left_out: list[str], *, alone: bool) -> list[KinetoTrace]:
    """The traces of a folder; an error, or the file's own, when there is none and it is `alone`."""
    try:
        runs = [path for path in folder.iterdir() if _is_run_directory(path)]
    except OSError as error:
        raise UnreadableError(f"{folder} cannot be listed ({error.strerror}); check its permissions.") from error
    if runs:
        newest = max(runs, key=lambda run: run.stat().st_mtime_ns)
        raise InputError(f"{folder} holds {len(runs)} run directories; give one of them, the newest is {newest}.")
    files = traces_in(folder, warnings)
    traces: list[KinetoTrace] = []
    damaged: UnreadableError | None = None
    for path in files:
        try:
            traces.append(parse_kineto(path))
        except UnknownFormatError:  # noqa: PERF203 - a handful of files
            warnings.append(f"{path.name} is no trace and was passed over.")
        except UnreadableError as error:
            damaged = damaged or error
            left_out.append(path.name)
            warnings.append(f"passed over: {error}")
    if traces or not alone:
        return traces
    if damaged is not None:
        raise damaged
    raise UnknownFormatError(
        f"{folder} holds no trace (*.json, *.json.gz, *.json.zst) and is no run directory; give a trace file or a "
        "folder of them."
    )
