"""How do the paths on a command line become a diagnosis, and how is it put into a folder?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmprof.errors import InputError, UnreadableError

if TYPE_CHECKING:
    from llmprof.analyzers.diagnosis import Diagnosis

__all__ = ["diagnose_paths", "write_results"]

_ANALYSIS = re.compile(rb'\A\s*\{\s*"schema"\s*:\s*"llmprof\.analysis/')
_HEAD_BYTES = 4096


def diagnose_paths(paths: Sequence[str], step_ms: float | None = None) -> Diagnosis:
    """The diagnosis of a run directory, of traces (all ranks of one run), or the one that an analysis.json holds.

    `step_ms` is the mean of the unprofiled step, for traces that come without one. Raises LlmprofError.
    """
    if step_ms is not None and not 0 < step_ms < float("inf"):
        raise InputError(f"--step-ms {step_ms:g} is no step time; give the mean step of the run in milliseconds.")
    finished = [path for path in paths if _is_analysis(path)]
    if not finished:
        from llmprof.analyzers.diagnose import diagnose
        from llmprof.collectors.files import load

        return diagnose(load(list(paths)), step_ms=step_ms)
    if len(paths) > 1:
        raise InputError(f"{finished[0]} is a finished analysis and cannot be joined with others; give it alone.")
    if step_ms is not None:
        raise InputError(f"{finished[0]} is a finished analysis; --step-ms needs the run or its traces.")
    from llmprof.analyzers.diagnosis import Diagnosis

    try:
        text = Path(finished[0]).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UnreadableError(f"{finished[0]} is not valid UTF-8; write it again with `llmprof analyze`.") from None
    return Diagnosis.from_json(text, where=finished[0])


def write_results(diagnosis: Diagnosis, folder: Path) -> Path:
    """Write analysis.json and report.html into `folder` (made when missing); returns the path of the report.

    Earlier ones there are replaced: both are derived from the input and can be made again.
    """
    from llmprof.reports import write_report

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder} ({error.strerror}); choose another with -o.") from None
    write_report(diagnosis, folder / "analysis.json")
    write_report(diagnosis, folder / "report.html")
    return folder / "report.html"


def _is_analysis(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return _ANALYSIS.match(file.read(_HEAD_BYTES)) is not None
    except (OSError, ValueError):
        return False  # the loader says in its own words what is wrong with the path
