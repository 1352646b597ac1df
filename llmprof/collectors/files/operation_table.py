"""How is a table of pipeline operations read (one Parquet file, one row an operation)? Needs pyarrow.

The columns are those of the public straggler traces of ByteDance-Seed/StragglerAnalysis: dp_rank, stage, rank, step,
optype, seq_id, mc, and start_ts and duration in seconds.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from llmprof.errors import InputError, UnreadableError
from llmprof.timeline.intervals import Int64
from llmprof.timeline.operations import OperationTable
from llmprof.units import NS_PER_S, format_count

__all__ = ["is_parquet", "read_operations"]

_MAGIC = b"PAR1"
MOST_ROWS = 20_000_000
"""A few bytes can stand for any number of equal rows; 1,024 workers log some 200,000 operations a step."""

_INTEGERS = {
    "replica": "dp_rank",
    "stage": "stage",
    "rank": "rank",
    "step": "step",
    "sequence": "seq_id",
    "chunk": "mc",
}
_TIMES = {"start_ns": "start_ts", "dur_ns": "duration"}


def is_parquet(path: str | Path) -> bool:
    """Whether this is one Parquet file, by its first bytes: a table of operations, if anything that llmprof reads."""
    if not os.path.isfile(path):  # a pipe would lose what is read here; a folder of tables is an Nsight export
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


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
        _refuse(path, parquet.read_metadata(path), wanted)
        table: Any = parquet.read_table(path, columns=wanted)
        numbers = {name: _integers(arrow, table.column(column)) for name, column in _INTEGERS.items()}
        times = {name: _nanoseconds(arrow, table.column(column)) for name, column in _TIMES.items()}
        if (times["dur_ns"] < 0).any():
            raise ValueError("a duration is below zero")
        words = table.column("optype").cast(arrow.string()).combine_chunks().dictionary_encode()
        if words.null_count:
            raise ValueError("an operation without a kind")
        kind = words.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return OperationTable(kinds=tuple(words.dictionary.to_pylist()), kind=kind, **numbers, **times)
    except (arrow.ArrowException, OSError, TypeError, ValueError) as error:
        reason = str(error).split("\n", 1)[0]
        raise UnreadableError(f"{path} cannot be read as a table of operations ({reason}); copy it again.") from error


def _refuse(path: Path, metadata: Any, wanted: list[str]) -> None:
    """Raise UnreadableError for a table that has other columns, or more rows than are read."""
    there = metadata.schema.to_arrow_schema().names
    missing = [name for name in wanted if name not in there]
    if missing:
        raise UnreadableError(
            f"{path} is no table of pipeline operations: it has no column {', '.join(missing)}; give a file with the "
            f"columns {', '.join(wanted)} (of an Nsight Systems export, give its folder)."
        )
    if metadata.num_rows > MOST_ROWS:
        raise UnreadableError(
            f"{path} holds {format_count(metadata.num_rows)} operations, more than are read "
            f"({format_count(MOST_ROWS)}); give a table of fewer steps."
        )


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
