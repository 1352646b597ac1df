"""What did the loader's workers of a recorded rank note? The batches in loads.jsonl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmprof.collectors.files.kineto_arguments import integer
from llmprof.timeline.events import NONE
from llmprof.timeline.loading import BatchLoads

__all__ = ["batch_loads"]

NEEDED = ("loader", "worker", "start", "ns")


def batch_loads(lines: Sequence[Mapping[str, Any]]) -> BatchLoads | None:
    """All batches of all lines; a line whose columns do not fit together is left out. None when there is no batch."""
    rows: list[tuple[int, ...]] = []
    for line in lines:
        columns = [line.get(name) for name in NEEDED]
        if not all(isinstance(column, list) and len(column) == len(columns[0] or ()) for column in columns):
            continue
        cpu = line.get("cpu")
        if not isinstance(cpu, list) or len(cpu) != len(columns[0] or ()):
            cpu = [NONE] * len(columns[0] or ())
        for row in zip(*columns, cpu, strict=True):  # type: ignore[arg-type]
            numbers = tuple(number for value in row if (number := integer(value)) is not None)
            if len(numbers) == len(row) and min(numbers[:4]) >= 0:
                rows.append(numbers)
    if not rows:
        return None
    table = np.array(rows, dtype=np.int64)
    table = table[np.argsort(table[:, 2], kind="stable")]
    return BatchLoads(*(np.ascontiguousarray(column) for column in table.T))
