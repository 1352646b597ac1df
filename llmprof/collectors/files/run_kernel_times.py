"""Which kernels were timed after a run, and how long did they take? The records in kernel_times.json."""

from __future__ import annotations

import math
from pathlib import Path

from llmprof.errors import LlmprofError, NotFoundError
from llmprof.timeline import rundir
from llmprof.timeline.kernel_times import SCHEMA, KernelCall, KernelTimes, call_of_json

__all__ = ["read_kernel_times"]

MOST_BYTES = 4 << 20
MOST_TIMED = 1000
MOST_NS = 1e11
"""A hundred seconds: no call is timed that takes as long."""
REASON_SIGNS = 200


def read_kernel_times(path: Path, warnings: list[str]) -> KernelTimes | None:
    """What the file of a run directory says; None without one, and with a warning where it is damaged.

    What is no call that could have been timed, and what is no time, is left out.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            warnings.append(f"{path} is too large for times of kernels and is left out; remove it.")
            return None
        found = rundir.read_json(path)
    except (OSError, NotFoundError):
        return None
    except LlmprofError as error:
        warnings.append(str(error))
        return None
    device, rows, torch = found.get("device"), found.get("timed"), found.get("torch")
    if found.get("schema") != SCHEMA or not isinstance(device, str) or not isinstance(rows, list):
        warnings.append(f"{path} holds no times of kernels that this llmprof can read, and is left out.")
        return None
    ns: dict[KernelCall, float] = {}
    failed: dict[KernelCall, str] = {}
    for row in rows[:MOST_TIMED]:
        call = call_of_json(row.get("call")) if isinstance(row, dict) else None
        if call is None:
            continue
        value, reason = row.get("ns"), row.get("failed")
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and 0 < value < MOST_NS
        ):
            ns[call] = float(value)
        elif isinstance(reason, str):
            failed[call] = reason[:REASON_SIGNS]
    return KernelTimes(device=device, torch=torch if isinstance(torch, str) else None, ns=ns, failed=failed)
