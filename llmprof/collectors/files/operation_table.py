"""How is a table of pipeline operations read (one Parquet file, one row an operation)? Needs pyarrow.

The columns are those of the public straggler traces of ByteDance-Seed/StragglerAnalysis: dp_rank, stage, rank, step,
optype, seq_id, mc, and start_ts and duration in seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from llmprof.errors import InputError, UnreadableError
from llmprof.timeline.intervals import Int64
from llmprof.timeline.operations import OperationTable
from llmprof.units import NS_PER_S

__all__ = ["read_operations"]

_INTEGERS = {
    "replica": "dp_rank",
    "stage": "stage",
    "rank": "rank",
    "step": "step",
    "sequence": "seq_id",
    "chunk": "mc",
}
_TIMES = {"start_ns": "start_ts", "dur_ns": "duration"}


def read_operations(path: Path) -> OperationTable:
    """The table in a Parquet file.

    Raises InputError without pyarrow, UnreadableError for a file that is damaged or has other columns.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise InputError(f"{path} is a Parquet file and needs pyarrow to be read; `pip install pyarrow`.") from None
    wanted = [*_INTEGERS.values(), *_TIMES.values(), "optype"]
    try:
        table: Any = parquet.read_table(path, columns=wanted)
        missing = [name for name in wanted if name not in table.column_names]
        if missing:
            raise UnreadableError(
                f"{path} is no table of pipeline operations: it has no column {', '.join(missing)}; give a file with "
                f"the columns {', '.join(wanted)}."
            )
        numbers = {name: _integers(arrow, table.column(column)) for name, column in _INTEGERS.items()}
        times = {name: _nanoseconds(arrow, table.column(column)) for name, column in _TIMES.items()}
        words = table.column("optype").cast(arrow.string()).combine_chunks().dictionary_encode()
        if words.null_count:
            raise ValueError("an operation without a kind")
        kind = words.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return OperationTable(kinds=tuple(words.dictionary.to_pylist()), kind=kind, **numbers, **times)
    except (arrow.ArrowException, OSError, TypeError, ValueError) as error:
        reason = str(error).split("\n", 1)[0]
        raise UnreadableError(f"{path} cannot be read as a table of operations ({reason}); copy it again.") from error


def _integers(arrow: Any, column: Any) -> Int64:
    if column.null_count:
        raise ValueError("a cell is empty")
    return np.ascontiguousarray(column.cast(arrow.int64()).to_numpy(), dtype=np.int64)


def _nanoseconds(arrow: Any, column: Any) -> Int64:
    """Integer ns of a column of seconds."""
    seconds = column.cast(arrow.float64()).to_numpy()
    if not np.isfinite(seconds).all() or np.abs(seconds).max(initial=0.0) > 1e9:
        raise ValueError("a time is no number of seconds")
    result: Int64 = np.rint(seconds * NS_PER_S).astype(np.int64)
    return result
