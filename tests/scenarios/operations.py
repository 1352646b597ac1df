"""A table of pipeline operations in which it is known who is slow: two stages, two replicas, four micro-batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from llmprof.timeline.operations import OperationTable

__all__ = ["pipeline_table", "write_operations"]

MS = 1_000_000
STAGES, REPLICAS, STEPS, BATCHES = 2, 2, 3, 4
FORWARD, BACKWARD, TRANSFER, TAIL = 10 * MS, 20 * MS, MS // 2, MS


def pipeline_table(
    *,
    slow: tuple[int | None, int | None] | None = None,
    factor: float = 1.0,
    sizes: Callable[[int, int, int], float] = lambda step, replica, batch: 1.0,
) -> OperationTable:
    """One forward, one backward; the compute of `slow` (replica, stage; None for all of them) takes `factor` longer.

    sizes    how many times as long as usual the passes of a micro-batch take, from step, replica and its number
    """
    rows: list[tuple[str, int, int, int, int, int]] = []
    for step in range(STEPS):
        for replica in range(REPLICAS):
            took = {
                stage: factor if slow and slow[0] in (None, replica) and slow[1] in (None, stage) else 1.0
                for stage in range(STAGES)
            }
            large = [sizes(step, replica, batch) for batch in range(BATCHES)]
            rows += [(kind, n, stage, replica, step, *span) for kind, n, stage, *span in _one_replica(took, large)]
    return _table(rows)


def _one_replica(took: dict[int, float], large: list[float]) -> list[tuple[str, int, int, int, int]]:
    """(kind, place, stage, start, duration): stage 1 goes F0 B0 F1 B1 ..., stage 0 F0 F1 B0 F2 B1 F3 B2 B3."""
    rows: list[tuple[str, int, int, int, int]] = []
    free = [0, 0]
    arrived: dict[tuple[str, int], int] = {}

    def run(kind: str, n: int, stage: int, after: int) -> None:
        length = int((FORWARD if kind == "forward" else BACKWARD) * took[stage] * large[n])
        begin = max(free[stage], after)
        rows.append((f"{kind}-compute", n, stage, begin, length))
        free[stage] = begin + length
        sends = (kind == "forward" and stage == 0) or (kind == "backward" and stage == 1)
        if sends:
            arrived[kind, n] = free[stage] + TRANSFER
            rows.append((f"{kind}-send", n, stage, free[stage], TRANSFER))
            rows.append((f"{kind}-recv", n, 1 - stage, free[stage], TRANSFER))

    first = [("forward", 0), ("forward", 1)]
    rest = [("backward", 0), ("forward", 2), ("backward", 1), ("forward", 3), ("backward", 2), ("backward", 3)]
    pending = {0: [*first, *rest], 1: [(kind, n) for n in range(BATCHES) for kind in ("forward", "backward")]}
    while any(pending.values()):
        for stage in (0, 1):
            while pending[stage]:
                kind, n = pending[stage][0]
                needs = (kind == "forward" and stage == 1) or (kind == "backward" and stage == 0)
                if needs and (kind, n) not in arrived:
                    break
                pending[stage].pop(0)
                run(kind, n, stage, arrived[kind, n] if needs else 0)
    end = max(free)
    for stage in (0, 1):
        for kind, begin in (("grads-reduce-scatter", end), ("optimizer-clip-main-grad", end + TAIL)):
            rows.append((kind, 0, stage, begin, TAIL))
        rows.append(("params-all-gather", 0, stage, 0, 0))
        rows.append(("optimizer", 0, stage, end + 2 * TAIL, TAIL))
    return rows


def _table(rows: list[tuple[str, int, int, int, int, int]]) -> OperationTable:
    kinds = tuple(dict.fromkeys(row[0] for row in rows))
    columns = np.array([(kinds.index(kind), *rest) for kind, *rest in rows], dtype=np.int64).T
    kind, sequence, stage, replica, step, start, dur = columns
    return OperationTable(
        kinds=kinds,
        kind=kind,
        replica=replica,
        stage=stage,
        rank=replica * STAGES + stage,
        step=step,
        sequence=sequence,
        chunk=np.zeros_like(kind),
        start_ns=start + step * 10**9,
        dur_ns=dur,
    )


def write_operations(path: Path, table: OperationTable) -> Path:
    """The table as a Parquet file, as frameworks log it. Needs pyarrow."""
    import pyarrow
    import pyarrow.parquet

    columns = {
        "dp_rank": table.replica,
        "stage": table.stage,
        "rank": table.rank,
        "step": table.step,
        "seq_id": table.sequence,
        "mc": table.chunk,
        "optype": [table.kinds[kind] for kind in table.kind],
        "start_ts": table.start_ns / 1e9,
        "duration": table.dur_ns / 1e9,
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path
