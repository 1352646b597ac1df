"""What would today's code predict from the recordings that were kept? The same lines with another prediction."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from lanes import ROOT
from packing import unpack
from run import prediction

__all__ = ["reanalyzed"]


def reanalyzed(lines: list[dict[str, Any]], sources: list[Path], folder: Path) -> list[dict[str, Any]]:
    """The lines whose run is in `sources`, archives or folders of runs, predicted anew; the measurements stay."""
    runs = {path.name: path for path in unpack([one for one in sources if one.is_file()], folder)}
    for source in (one for one in sources if one.is_dir()):
        runs.update({path.name: path for path in source.iterdir() if path.is_dir()})
    result = []
    for line in lines:
        if line["case"] not in runs:
            continue
        done = subprocess.run(
            [sys.executable, "-m", "llmprof", "analyze", str(runs[line["case"]]), "--json"], cwd=ROOT,
            capture_output=True, check=False,
        )  # fmt: skip
        error = done.stderr.decode()[-500:] if done.returncode not in (0, 4) else line["error"]
        found = prediction(json.loads(done.stdout)) if done.returncode in (0, 4) else {}
        result.append({**line, "error": error, "prediction": found, "frozen": None})
    return result
