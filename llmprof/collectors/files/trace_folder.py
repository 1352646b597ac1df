"""Which files of a folder are the traces of one run? By name alone, without reading them.

The TensorBoard plugin's layout is known: `WORKER.STAMP.pt.trace.json[.gz]`, where every profiler cycle of a worker
leaves one more file, and later runs leave theirs in the same folder or in one beside it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from llmprof.errors import UnreadableError

__all__ = ["TRACE_SUFFIXES", "stamp_of", "traces_in"]

TRACE_SUFFIXES = (".json", ".json.gz", ".json.zst")
DEPTH = 3
"""Folders below the given one that are looked into: `plugins/profile/RUN` is the plugin's oldest layout."""
MOST_FOLDERS = 1000

_STAMPED = re.compile(r"(?P<worker>.+)\.(?P<stamp>\d{10,19})\.pt\.trace\.json(?:\.gz|\.zst)?")
_RANK_FOLDER = re.compile(r"(?:.*[^a-z])?r(?:ank)?[-_.]?\d{1,6}", re.IGNORECASE)


def traces_in(folder: Path, notes: list[str]) -> list[Path]:
    """The traces in a folder, by name; what is passed over, and why, is added to `notes`.

    Where none lie in the folder itself, those of its subfolders: of all when each is named for a rank, else of the one
    with the newest trace. UnreadableError when the folder cannot be listed.
    """
    found = _files_of(folder)
    if not found:
        nested = [(one, files) for one in _below(folder) if (files := _files_of(one))]
        if all(_RANK_FOLDER.fullmatch(one.name) for one, _ in nested):
            found = [path for _, files in nested for path in files]
        else:
            newest, found = max(nested, key=lambda entry: max(map(stamp_of, entry[1])))
            notes.append(_read_instead(folder, newest, len(nested)))
    return _latest_of_each_worker(found, notes)


def stamp_of(path: Path) -> int:
    """When a trace was written, in ns: what its name says, else what the file system says."""
    if match := _STAMPED.fullmatch(path.name):
        return int(match["stamp"].ljust(19, "0"))  # s, ms, µs or ns since 1970
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _files_of(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(TRACE_SUFFIXES) and path.is_file())
    except OSError as error:
        raise UnreadableError(f"{folder} cannot be listed ({error.strerror}); check its permissions.") from error


def _below(folder: Path) -> Iterator[Path]:
    """Readable subfolders, by name, down to DEPTH; links are not followed."""
    depth = len(folder.parts)
    for place, names, _ in islice(os.walk(folder), MOST_FOLDERS):
        names[:] = sorted(name for name in names if not name.startswith("."))
        here = Path(place)
        if len(here.parts) - depth >= DEPTH:
            names.clear()
        if here != folder:
            yield here


def _read_instead(folder: Path, newest: Path, count: int) -> str:
    where = newest.relative_to(folder)
    if count == 1:
        return f"{folder.name} itself holds no trace; those in {where} are read."
    return f"{folder.name} holds traces in {count} folders; only {where}, with the newest one, is read."


def _latest_of_each_worker(paths: Sequence[Path], notes: list[str]) -> list[Path]:
    latest: dict[str, Path] = {}
    for path in sorted(paths, key=stamp_of):
        match = _STAMPED.fullmatch(path.name)
        latest[str(path.parent / match["worker"]) if match else str(path)] = path
    if older := len(paths) - len(latest):
        passed = "earlier one is" if older == 1 else "earlier ones are"
        notes.append(f"of each worker only the latest trace is read; {older} {passed} passed over.")
    return sorted(latest.values())
