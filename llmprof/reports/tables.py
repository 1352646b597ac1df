"""How is the diagnosis told as a table? One CSV with a kind of record in the first column, for spreadsheets.

Columns: `record`, `rank`, `name`, `ms`, `share`, `low_ms`, `high_ms`, `step_ms_after`, `detail`. Records:

- `step`: mean, median and p95 of the step;
- `part`: one part of the step on one rank, with its share of that rank's step; the parts of a rank sum to its step;
- `class`: one class of compute on the rank that the report is about;
- `fix`: one recommendation; `ms` is the expected gain, `low_ms` to `high_ms` its interval, `detail` the action;
- `combined`: several fixes together; `low_ms` to `high_ms` is the step after them.

An empty cell is unknown. Times are milliseconds per step.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from llmprof.analyzers.diagnosis import PARTS, Diagnosis, RankSummary
from llmprof.reports.text import visible
from llmprof.units import round_ms

__all__ = ["COLUMNS", "render_csv"]

COLUMNS = ("record", "rank", "name", "ms", "share", "low_ms", "high_ms", "step_ms_after", "detail")
Row = dict[str, str | int | float | None]


def render_csv(diagnosis: Diagnosis) -> str:
    """The table as CSV text with a header; text that a spreadsheet would run as a formula begins with an apostrophe."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in _rows(diagnosis):
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return stream.getvalue()


def _rows(diagnosis: Diagnosis) -> Iterator[Row]:
    step, critical = diagnosis.step, diagnosis.partition_rank
    for name in ("mean_ms", "median_ms", "p95_ms"):
        yield {"record": "step", "name": name.removesuffix("_ms"), "ms": getattr(step, name)}
    told = [rank for rank in diagnosis.ranks if rank.partition and rank.rank != critical]
    if diagnosis.partition:
        told.append(RankSummary(rank=critical or 0, step_ms=step.mean_ms, partition=diagnosis.partition))
    for rank in sorted(told, key=lambda item: item.rank):
        yield from _parts(rank)
    for name, value in diagnosis.compute_classes.items():
        yield {"record": "class", "rank": critical, "name": name, "ms": value, "share": _share(value, step.mean_ms)}
    for fix in diagnosis.recommendations:
        gain = fix.gain
        yield {
            "record": "fix",
            "name": fix.id,
            "ms": gain.expected_ms,
            "share": _share(gain.expected_ms, step.mean_ms),
            "low_ms": gain.low_ms,
            "high_ms": gain.high_ms,
            "step_ms_after": gain.step_ms_after,
            "detail": fix.action,
        }
    if diagnosis.combined is not None:
        yield {
            "record": "combined",
            "name": " ".join(diagnosis.combined.of),
            "low_ms": diagnosis.combined.low_ms,
            "high_ms": diagnosis.combined.high_ms,
            "step_ms_after": diagnosis.combined.step_ms_after,
        }


def _parts(rank: RankSummary) -> Iterator[Row]:
    order = [*PARTS, *(name for name in rank.partition if name not in PARTS)]
    for name in order:
        value = rank.partition.get(name)
        yield {"record": "part", "rank": rank.rank, "name": name, "ms": value, "share": _share(value, rank.step_ms)}


def _share(value: float | None, whole: float | None) -> float | None:
    return value / whole if value is not None and whole else None


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return str(round_ms(value))
    if isinstance(value, int):
        return str(value)
    shown = visible(value)
    return f"'{shown}" if shown[:1] in "=+-@" else shown
