"""What would today's code predict from the recordings that were kept? The same lines with another prediction."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from lanes import ROOT
from packing import unpack
from run import foretold, prediction

__all__ = ["reanalyzed", "runs_of"]


def runs_of(lines: list[dict[str, Any]], sources: list[Path], folder: Path) -> list[Path | None]:
    """The run directory of every line in `sources`, archives (unpacked below `folder`) or folders of runs.

    Of a case that was recorded more than once it is the recording that was begun closest to the line.
    """
    found: dict[str, list[Path]] = {}
    for number, source in enumerate(sources):
        runs = unpack([source], folder / str(number)) if source.is_file() else source.iterdir()
        for run in runs:
            if (run / "run.json").exists():
                found.setdefault(run.name, []).append(run)

    def far(run: Path, line: dict[str, Any]) -> float:
        started: float = json.loads((run / "run.json").read_text())["start_unix_ns"] / 1e9
        return abs(started - float(line["started_unix"]))

    return [min(found.get(line["case"], ()), key=lambda run: far(run, line), default=None) for line in lines]


def reanalyzed(lines: list[dict[str, Any]], runs: list[Path | None]) -> list[dict[str, Any]]:
    """The lines that have a run, predicted anew; the measurements stay."""
    result = []
    for line, run in zip(lines, runs, strict=True):
        if run is None:
            continue
        done = subprocess.run(
            [sys.executable, "-m", "llmprof", "analyze", str(run), "--json"], cwd=ROOT, capture_output=True, check=False
        )
        error = done.stderr.decode()[-500:] if done.returncode not in (0, 4) else line["error"]
        found = prediction(json.loads(done.stdout)) if done.returncode in (0, 4) else {}
        joint = {side: foretold(side.split("+"), run) for side in line.get("sides") or () if "+" in side}
        found |= {"joint": joint} if joint else {}
        result.append({**line, "error": error, "prediction": found, "frozen": None})
    return result
