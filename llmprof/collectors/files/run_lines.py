"""What do the small files of a run directory say, where some may be damaged? Objects, lines, and steps as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llmprof.errors import LlmprofError, NotFoundError
from llmprof.timeline import rundir
from llmprof.timeline.events import NONE
from llmprof.timeline.intervals import Int64
from llmprof.timeline.steps import StepPhase, StepTimes

__all__ = ["Record", "integer_of", "lines_of", "mapping_of", "object_of", "step_times"]

Record = Mapping[str, Any]

PHASES = {phase.name.lower(): phase for phase in StepPhase}
STRUCTURE = frozenset({"n", "t", "wall", "phase", "micro", "tokens"})
STALLS = ("checkpoint", "evaluation", "gc")
"""Parts that are left out of a line when they are 0; of every other part, left out means unknown."""
LIMIT = 1 << 62
"""No time and no count of a run is as large; a number beyond it is damage."""


def step_times(lines: Sequence[Record]) -> StepTimes | None:
    """One row a line that has n, t and a wall time; None when no line has. A step that takes no time is damage."""
    rows = [line for line in lines if all(integer_of(line.get(key)) is not None for key in ("n", "t", "wall"))]
    rows = [line for line in rows if line["wall"] > 0]
    if not rows:
        return None
    names = dict.fromkeys(key for line in rows for key, value in line.items() if integer_of(value) is not None)
    parts = {name: _column(rows, name, NONE) for name in names if name not in STRUCTURE and name not in STALLS}
    parts.update({name: _column(rows, name, 0) for name in STALLS})
    phases = [PHASES.get(line.get("phase", ""), StepPhase.UNSTEADY) for line in rows]
    return StepTimes(
        number=_column(rows, "n", NONE),
        start_ns=_column(rows, "t", NONE),
        wall_ns=_column(rows, "wall", NONE),
        phase=np.array(phases, dtype=np.uint8),
        parts=parts,
        tokens=_column(rows, "tokens", NONE) if "tokens" in names else None,
        microbatches=_column(rows, "micro", NONE) if "micro" in names else None,
    )


def _column(rows: Iterable[Record], key: str, absent: int) -> Int64:
    values = (integer_of(row.get(key)) for row in rows)
    return np.array([absent if value is None else value for value in values], dtype=np.int64)


def object_of(path: Path, warnings: list[str]) -> Record:
    """The object in a file; empty without one, and with a warning where it is damaged."""
    try:
        return rundir.read_json(path)
    except NotFoundError:
        return {}
    except LlmprofError as error:
        warnings.append(str(error))
        return {}


def lines_of(path: Path, warnings: list[str]) -> list[Record]:
    """The objects of an append-only file; the unfinished last line of a killed process is nothing to warn about."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        warnings.append(f"{path} cannot be read ({error.strerror}); what it holds is left out.")
        return []
    found: list[Record] = []
    damaged = 0
    for line in data.split(b"\n")[:-1]:
        try:
            value = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            damaged += 1
            continue
        if isinstance(value, dict):
            found.append(value)
    if damaged:
        warnings.append(f"{path}: {damaged} damaged lines are left out.")
    return found


def mapping_of(value: Any) -> Record:
    """A JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def integer_of(value: Any) -> int | None:
    """A JSON integer of a believable size, else None."""
    return value if type(value) is int and -LIMIT < value < LIMIT else None
