"""Where are the trials of a run kept, and how do they come onto its diagnosis?"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmprof.errors import InputError, LlmprofError
from llmprof.timeline import rundir

if TYPE_CHECKING:
    from llmprof.analyzers.diagnosis import Diagnosis

__all__ = ["TRIALS", "add_trials", "begin_trial", "drop_trial", "read_trials", "write_trial"]

TRIALS = "trials"
_NAME = re.compile(r"(\d{1,6})(?:\.json)?\Z")


def begin_trial(run: Path) -> tuple[int, Path]:
    """The number of a new trial of this run, and a new folder for its own runs."""
    folder = run / TRIALS
    try:
        folder.mkdir(exist_ok=True)
        numbers = [int(match[1]) for path in folder.iterdir() if (match := _NAME.match(path.name))]
        number = max(numbers, default=0) + 1
        (folder / str(number)).mkdir()
    except OSError as error:
        raise InputError(f"cannot write into {folder} ({error.strerror}); try as the user of the run.") from None
    return number, folder / str(number)


def drop_trial(folder: Path) -> None:
    """Remove what a trial that was interrupted has written."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # others are there
        folder.parent.rmdir()


def write_trial(run: Path, number: int, document: Mapping[str, Any]) -> Path:
    """Write trials/N.json; returns its path."""
    path = run / TRIALS / f"{number}.json"
    try:
        rundir.write_json_atomic(path, document)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}); try as the user of the run.") from None
    return path


def read_trials(run: Path) -> dict[int, dict[str, Any]]:
    """The documents of a run's trials by number; what cannot be read is left out."""
    found: dict[int, dict[str, Any]] = {}
    for path in (run / TRIALS).glob("*.json"):
        match = _NAME.match(path.name)
        if match:
            with contextlib.suppress(LlmprofError):
                found[int(match[1])] = rundir.read_json(path)
    return found


def add_trials(diagnosis: Diagnosis, paths: Sequence[str]) -> Diagnosis:
    """The diagnosis of these paths with what was tried, when they are one run directory."""
    trials = read_trials(Path(paths[0])) if len(paths) == 1 else {}
    if not trials:
        return diagnosis
    from llmprof.analyzers.tried import with_trials

    return with_trials(diagnosis, trials)
