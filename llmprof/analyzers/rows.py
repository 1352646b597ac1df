"""How is a diagnosis told as a table? Rows with a kind of record in the first column, for spreadsheets and data frames.

Columns: `record`, `rank`, `name`, `ms`, `share`, `low_ms`, `high_ms`, `step_ms_after`, `detail`. Records:

- `step`: mean, median and p95 of the step;
- `part`: one part of the step on one rank, with its share of that rank's step; the parts of a rank sum to its step;
- `class`: one class of compute on the rank that the report is about;
- `kernel`, `collective`: summed time of the longest kernels, of every kind of collective, on that rank;
- `finding`: a rule that fired; `ms` is what it costs, `detail` its title;
- `fix`: one recommendation; `ms` is the expected gain, `low_ms` to `high_ms` its interval, `detail` the action;
- `combined`: several fixes together; `low_ms` to `high_ms` is the step after them.

Unknown is None. Times are milliseconds per step. The rows come from the document, so that they need nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["COLUMNS", "rows_of", "writable"]

COLUMNS = ("record", "rank", "name", "ms", "share", "low_ms", "high_ms", "step_ms_after", "detail")
Row = dict[str, str | int | float | None]


def rows_of(document: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of a document llmprof.analysis/1; what a row does not have is not in it."""
    step, critical = document["step"], document["partition_rank"]
    mean = step["mean_ms"]
    for name in ("mean_ms", "median_ms", "p95_ms"):
        yield {"record": "step", "name": name.removesuffix("_ms"), "ms": step[name]}
    told = [rank for rank in document["ranks"] if rank["partition"] and rank["rank"] != critical]
    if document["partition"]:
        told.append({"rank": critical or 0, "step_ms": mean, "partition": document["partition"]})
    order = list(document["partition"])
    for rank in sorted(told, key=lambda item: item["rank"]):
        for name in dict.fromkeys((*order, *rank["partition"])):
            value = rank["partition"].get(name)
            share = _share(value, rank["step_ms"])
            yield {"record": "part", "rank": rank["rank"], "name": name, "ms": value, "share": share}
    costs = document.get("costs") or {}
    tables = {
        "class": document["compute_classes"],
        "kernel": costs.get("kernels"),
        "collective": costs.get("collectives"),
    }
    for record, table in tables.items():
        for name, value in (table or {}).items():
            yield {"record": record, "rank": critical, "name": name, "ms": value, "share": _share(value, mean)}
    for finding in document["findings"]:
        if finding["status"] == "fired":
            cost = finding["cost_ms"]
            share = _share(cost, mean)
            yield {"record": "finding", "name": finding["rule"], "ms": cost, "share": share, "detail": finding["title"]}
    yield from _fixes(document, mean)


def writable(row: Row) -> Row:
    """The row with a lone surrogate in a name spelled out, since it has no UTF-8."""
    return {
        key: value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value
        for key, value in row.items()
    }


def _fixes(document: Mapping[str, Any], mean: float | None) -> Iterator[Row]:
    for fix in document["recommendations"]:
        gain = fix["gain"]
        yield {
            "record": "fix",
            "name": fix["id"],
            "ms": gain["expected_ms"],
            "share": _share(gain["expected_ms"], mean),
            "low_ms": gain["low_ms"],
            "high_ms": gain["high_ms"],
            "step_ms_after": gain["step_ms_after"],
            "detail": fix["action"],
        }
    combined = document["combined"]
    if combined is not None:
        yield {
            "record": "combined",
            "name": " ".join(combined["of"]),
            "low_ms": combined["low_ms"],
            "high_ms": combined["high_ms"],
            "step_ms_after": combined["step_ms_after"],
        }


def _share(value: float | None, whole: float | None) -> float | None:
    return value / whole if value is not None and whole else None
