"""How is the diagnosis told as a file of rows? CSV for spreadsheets, Parquet for data frames; rows of analyzers.rows.

An empty cell is unknown. Times are milliseconds per step.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.analyzers.rows import COLUMNS, rows_of
from llmprof.errors import InputError
from llmprof.reports.text import visible
from llmprof.units import round_ms

__all__ = ["COLUMNS", "render_csv", "write_parquet"]


def render_csv(diagnosis: Diagnosis) -> str:
    """The table as CSV text with a header; text that a spreadsheet would run as a formula begins with an apostrophe."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows_of(diagnosis.to_dict()):
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return stream.getvalue()


def write_parquet(diagnosis: Diagnosis, path: Path) -> None:
    """The table as a Parquet file. Raises InputError without pyarrow, or where it cannot be written."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise InputError(
            "a .parquet file needs pyarrow, which is not installed; `pip install llmprof[fast]`."
        ) from None
    try:
        diagnosis.to_pandas().to_parquet(path, index=False)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}); choose another place for the report.") from None


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return str(round_ms(value))
    if isinstance(value, int):
        return str(value)
    shown = visible(value)
    return f"'{shown}" if shown[:1] in "=+-@" else shown
