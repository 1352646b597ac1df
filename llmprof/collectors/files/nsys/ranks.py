"""Which rank is each process of a report? Only hints tell, so each is named with how it was found."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmprof.collectors.files.nsys.tables import Tables

__all__ = ["claims", "natural", "world_size"]

_IN_NAME = re.compile(r"(?:^|[^a-z])rank[-_.]?(\d{1,6})(?!\d)|(?:^|[^a-z0-9])r(\d{5})(?!\d)", re.IGNORECASE)
_MPI_MARK = re.compile(r"^MPI Rank (\d{1,6})$")
_ENVIRONMENT = "PROCESS_*:ENVIRONMENT_VARIABLE"
_RANK_VARIABLES = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
_SIZE_VARIABLES = ("WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")


def claims(
    tables: Tables, processes: Sequence[int], marks: Mapping[int, Sequence[str]], nccl: Mapping[int, int]
) -> dict[int, int]:
    """The rank of each process that something tells, in order of trust.

    MPI's own table, the thread names that MPI sets (`marks`), NCCL's communicators (`nccl`); and for a report with one
    process the launch environment and the file's name.
    """
    found: dict[int, int] = {}
    for thread, rank in tables.rows("MPI_RANKS", ("globalTid", "rank"), filled="rank"):
        if isinstance(thread, int) and isinstance(rank, int):
            found[thread >> 24] = rank
    for process, names in marks.items():
        for match in filter(None, map(_MPI_MARK.match, names)):
            found.setdefault(process, int(match[1]))
    for process, rank in nccl.items():
        found.setdefault(process, rank)
    if len(processes) == 1:
        for number in (_variable(tables, _RANK_VARIABLES), _in_name(tables.path)):
            if number is not None:
                found.setdefault(processes[0], number)
    return {process: rank for process, rank in found.items() if process in processes}


def world_size(tables: Tables) -> int | None:
    """The number of ranks in the launch environment, when the recorder was started by the launcher."""
    return _variable(tables, _SIZE_VARIABLES)


def natural(path: Path) -> list[tuple[int, str]]:
    """A sort key under which report_10 follows report_9."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() and len(part) < 18 else (-1, part) for part in parts]


def _variable(tables: Tables, names: Sequence[str]) -> int | None:
    """One of these variables as a number. Nothing else of the environment is ever read."""
    for name in names:
        for text in tables.values("META_DATA_CAPTURE", _ENVIRONMENT, f"{name}=*"):
            number = text.partition("=")[2].strip('"')
            if number.isascii() and number.isdigit() and len(number) < 8:
                return int(number)
    return None


def _in_name(path: Path) -> int | None:
    match = _IN_NAME.search(path.name)
    return int(match[1] or match[2]) if match else None
