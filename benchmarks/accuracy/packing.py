"""How do recordings come back from another machine? As archives that are small enough, traces compressed."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

__all__ = ["compress", "pack", "unpack"]

LIMIT_BYTES = 14 * 2**20
ARCHIVES = 6
KEPT = (
    "run.json",
    "burst.json",
    "kernel_times.json",
    "ranks/*/*.json",
    "ranks/*/*.json.gz",
    "ranks/*/*.jsonl",
    "ranks/*/*.txt",
    "nodes/*/*",
)


def pack(runs: Path, out: Path) -> list[Path]:
    """Compress every run directory and put it into archives of at most LIMIT_BYTES; whole runs, the smallest first.

    What does not fit into ARCHIVES of them is left out and named in left_out.txt.
    """
    for run in runs.iterdir():
        compress(run)
    packed = [(_members(run), run.name) for run in runs.iterdir() if run.is_dir()]
    packed.sort(key=lambda one: (_size(one[0]), one[1]))
    groups: list[list[tuple[str, list[tuple[str, bytes]]]]] = []
    left: list[str] = []
    room = 0
    for members, name in packed:
        size = _size(members)
        if size > room and (len(groups) == ARCHIVES or size > LIMIT_BYTES):
            left.append(f"{name} {size}\n")
            continue
        if size > room:
            groups.append([])
            room = LIMIT_BYTES
        groups[-1].append((name, members))
        room -= size
    if left:
        (out / "left_out.txt").write_text("".join(left))
    return [_written(out / f"{letter}.tar", group) for letter, group in zip("abcdef", groups, strict=False)]


def _written(path: Path, group: list[tuple[str, list[tuple[str, bytes]]]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, members in group:
            for inside, data in members:
                entry = tarfile.TarInfo(f"{name}/{inside}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return path


def unpack(archives: list[Path], runs: Path) -> list[Path]:
    """The run directories in these archives, below `runs`."""
    names: set[str] = set()
    for archive in archives:
        with tarfile.open(archive) as tar:
            tar.extractall(runs, filter="data")
            names.update(member.name.split("/")[0] for member in tar.getmembers())
    return [runs / name for name in sorted(names)]


def compress(run: Path) -> None:
    """Compress the traces of a run where they lie; llmprof reads them so as well."""
    for path in run.glob("ranks/*/trace*.json"):
        path.with_suffix(".json.gz").write_bytes(gzip.compress(path.read_bytes(), 6, mtime=0))
        path.unlink()


def _members(run: Path) -> list[tuple[str, bytes]]:
    kept = sorted({path for pattern in KEPT for path in run.glob(pattern) if path.is_file()})
    return [(path.relative_to(run).as_posix(), path.read_bytes()) for path in kept]


def _size(members: list[tuple[str, bytes]]) -> int:
    return sum(len(data) + 1024 for _, data in members)
