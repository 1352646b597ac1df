"""What happened, according to Nsight Systems? Reads its exports (SQLite, Parquet) and reports, of schema 2.9 to 3.28.

Tables and columns are read by what is there, never by version alone, and a report may hold any number of processes:

- Times are integer ns of the report's clock; the timeline's origin is in Unix ns, whatever shift was exported.
- Device work is joined to its API call by (process, correlation id); ids count per process.
- NVTX ranges are annotations, those of `emit_nvtx` operators; a step is told from them or from optimizer kernels.
- Of settings, messages and environments nothing is taken over but what llmprof/collectors/files/nsys names.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from llmprof.collectors.files.nsys.convert import REPORT_HEADER, STREAM_HEADER, export_report, raw_stream
from llmprof.collectors.files.nsys.parquet import ParquetTables
from llmprof.collectors.files.nsys.ranks import natural
from llmprof.collectors.files.nsys.report import Member, Report, read_report
from llmprof.collectors.files.nsys.tables import SqliteTables, Tables
from llmprof.errors import InputError, UnknownFormatError, UnreadableError
from llmprof.timeline.timeline import RankTimeline, Timeline

__all__ = ["is_nsys", "read_nsys", "reports_in"]

_SQLITE_HEADER = b"SQLite format 3\0"
_EXPORTS = (".sqlite", ".sqlite3")
_SUFFIXES = (*_EXPORTS, ".nsys-rep", ".qdrep", ".qdstrm")
_KNOWN = frozenset(
    {
        "CUPTI_ACTIVITY_KIND_KERNEL",
        "CUPTI_ACTIVITY_KIND_RUNTIME",
        "NVTX_EVENTS",
        "OSRT_API",
        "TARGET_INFO_SESSION_START_TIME",
        "ANALYSIS_DETAILS",
        "ThreadNames",
    }
)
"""Tables of which an export has at least one, beside StringIds."""


def is_nsys(path: Path) -> bool:
    """Whether this is a report or an export of Nsight Systems, by its first bytes; or is named like one and empty."""
    if path.is_dir():
        return (path / "StringIds.parquet").is_file() or any((path / f"{name}.parquet").is_file() for name in _KNOWN)
    if not path.is_file():  # a pipe would lose what is read here
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except OSError:
        return False
    if not head or path.name.endswith(_SUFFIXES):
        return path.name.endswith(_SUFFIXES)
    return head.startswith((_SQLITE_HEADER, REPORT_HEADER, STREAM_HEADER))


def reports_in(folder: Path) -> list[Path]:
    """The reports directly in a folder without PyTorch traces, in natural order.

    An export stands for the report of the same name. Empty for a folder that cannot be listed.
    """
    try:
        files = sorted((path for path in folder.iterdir() if path.is_file()), key=natural)
    except OSError:
        return []
    if any(path.name.endswith((".json", ".json.gz")) for path in files):
        return []
    files = [path for path in files if path.name.endswith(_SUFFIXES)]
    exported = {path.stem for path in files if path.suffix in _EXPORTS}
    return [path for path in files if path.suffix in _EXPORTS or path.stem not in exported]


def read_nsys(paths: Sequence[Path]) -> Timeline:
    """The timeline of one or more reports of one run: all ranks in one, or one report a rank or a machine.

    Raises InputError when the reports do not fit together, UnknownFormatError or UnreadableError when one of them
    cannot be used.
    """
    reports = [_read(path) for path in paths]
    warnings = [text for report in reports for text in report.warnings]
    sizes = {report.world_size for report in reports if report.world_size}
    if len(sizes) > 1:
        warnings.append(
            f"the reports disagree on the number of ranks ({sorted(sizes)}): they may be of different runs."
        )
    return Timeline(
        ranks=_in_order(reports, warnings),
        kind="nsys",
        paths=tuple(str(path) for path in paths),
        world_size=max(sizes, default=None),
        warnings=tuple(warnings),
    )


def _read(path: Path) -> Report:
    if path.is_dir():
        return _read_tables(ParquetTables(path), path)
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read ({error.strerror}); check its permissions.") from None
    if head.startswith(_SQLITE_HEADER):
        return _read_tables(SqliteTables(path), path)
    if head.startswith(REPORT_HEADER):
        exported = path.with_suffix(".sqlite")
        if exported.is_file() and exported.stat().st_mtime >= path.stat().st_mtime:
            return _read(exported)  # nsys itself writes the export there, and uses it again
        with tempfile.TemporaryDirectory(prefix="llmprof-nsys-") as folder:
            return _read_tables(SqliteTables(export_report(path, Path(folder))), path)
    if head.startswith(STREAM_HEADER):
        raise raw_stream(path)
    if not head:
        raise UnreadableError(f"{path} is empty; export or copy it again.")
    raise UnknownFormatError(
        f"{path} is neither an SQLite export nor a report of Nsight Systems; give what `nsys profile` or "
        "`nsys export --type sqlite` wrote."
    )


def _read_tables(tables: Tables, path: Path) -> Report:
    try:
        _require_export(tables, path)
        return read_report(tables, path)
    finally:
        tables.close()


def _require_export(tables: Tables, path: Path) -> None:
    """Raise UnknownFormatError for a database that is not an export of Nsight Systems."""
    if "_id_" in tables.columns("CUPTI_ACTIVITY_KIND_KERNEL") | tables.columns("CUPTI_ACTIVITY_KIND_RUNTIME"):
        raise UnknownFormatError(f"{path} was written by nvprof, which is no longer read; record again with nsys.")
    if not tables.columns("StringIds") or not any(tables.columns(name) for name in _KNOWN):
        raise UnknownFormatError(
            f"{path} is a database, but not an export of Nsight Systems; give what `nsys export --type sqlite` wrote."
        )


def _in_order(reports: Sequence[Report], warnings: list[str]) -> tuple[RankTimeline, ...]:
    """The timelines, ascending by rank; InputError when two processes claim one rank."""
    claimed: dict[int, Member] = {}
    unclaimed: list[Member] = []
    ordered = sorted(reports, key=lambda report: natural(report.path))
    for member in (member for report in ordered for member in sorted(report.members, key=_place)):
        rank = member.claimed_rank
        if rank is None:
            unclaimed.append(member)
        elif rank in claimed:
            raise InputError(
                f"{claimed[rank].path} (process {claimed[rank].pid}) and {member.path} (process {member.pid}) both are "
                f"rank {rank}; give the reports of one run, one a rank or one for all."
            )
        else:
            claimed[rank] = member
    count = len(claimed) + len(unclaimed)
    free = (number for number in range(count) if number not in claimed)
    given = list(zip(free, unclaimed, strict=False))
    claimed.update(given)
    if given and count > 1:
        shown = ", ".join(f"{rank} is process {member.pid} of {member.path.name}" for rank, member in given[:3])
        warnings.append(
            f"nothing says which rank is which, so they are numbered in the order of files and GPUs (rank {shown}"
            f"{', …' if len(given) > 3 else ''})."
        )
    if not claimed:
        return tuple(RankTimeline(rank=number, events=None) for number in range(len(reports)))
    return tuple(claimed[rank].timeline(rank) for rank in sorted(claimed))


def _place(member: Member) -> tuple[int, int]:
    """Processes of one report in the order of their GPUs; those without one last."""
    return (1 << 30 if member.gpu is None else member.gpu, member.pid)
