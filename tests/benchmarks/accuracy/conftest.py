"""The modules of benchmarks/accuracy import each other as a script's neighbours do."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "accuracy"
sys.path += [str(FOLDER), str(FOLDER / "cases"), str(FOLDER.parent)]
