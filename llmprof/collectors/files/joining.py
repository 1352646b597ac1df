"""Which rank does a memory snapshot belong to? Snapshots beside traces join their rank; alone they are the ranks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from llmprof.collectors.files.memory_snapshot import SUFFIXES, SnapshotFile, is_snapshot, read_snapshot
from llmprof.errors import LlmprofError
from llmprof.timeline.timeline import RankTimeline

__all__ = ["join_snapshots", "read_snapshots", "snapshots_among"]


def snapshots_among(paths: Sequence[Path]) -> dict[Path, bool]:
    """The snapshots that the paths are (True: named by the user) or that lie directly in a folder among them."""
    found: dict[Path, bool] = {}
    for path in paths:
        if path.is_dir():
            names = sorted(one for one in path.iterdir() if one.name.endswith(SUFFIXES)) if _listable(path) else []
            found.update({one: False for one in names if one.is_file() and is_snapshot(one)})
        elif path.is_file() and is_snapshot(path):
            found[path] = True
    return found


def read_snapshots(paths: dict[Path, bool], warnings: list[str]) -> list[SnapshotFile]:
    """Read them; one that the user has named raises its error, one in a folder is passed over with a warning."""
    found = []
    for path, named in paths.items():
        try:
            found.append(read_snapshot(path))
        except LlmprofError as error:  # noqa: PERF203 - a handful of files
            if named:
                raise
            warnings.append(f"passed over: {error}")
    return found


def join_snapshots(
    ranks: Sequence[RankTimeline], snapshots: Sequence[SnapshotFile], warnings: list[str]
) -> tuple[RankTimeline, ...]:
    """The ranks with their snapshots: by the rank in the file's name, else the only rank there is."""
    joined = {rank.rank: rank for rank in ranks}
    numbers = _numbers(snapshots, [rank.rank for rank in ranks])
    for file, number in zip(snapshots, numbers, strict=True):
        known = joined.get(number) if number is not None else None
        if number is None or (known is None and ranks):
            warnings.append(f"nothing says which rank {file.path.name} is of; it is left out.")
        elif known is None:
            joined[number] = RankTimeline(rank=number, events=None, memory=file.stats())
        elif known.memory is not None and known.memory.snapshot is not None:
            warnings.append(f"rank {number} has several memory snapshots; {file.path.name} is left out.")
        else:
            joined[number] = replace(known, memory=file.stats())
    return tuple(joined[number] for number in sorted(joined))


def _numbers(snapshots: Sequence[SnapshotFile], ranks: Collection[int]) -> list[int | None]:
    """The rank of each: what its name says, the only rank, or without any rank its place among the files."""
    claimed = [file.claimed_rank for file in snapshots]
    if len(ranks) == 1:
        return [next(iter(ranks)) if number is None else number for number in claimed]
    if ranks:
        return claimed
    free = (number for number in range(len(snapshots)) if number not in claimed)
    return [next(free) if number is None else number for number in claimed]


def _listable(folder: Path) -> bool:
    try:
        next(folder.iterdir(), None)
    except OSError:
        return False
    return True
