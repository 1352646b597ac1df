"""When was it? The time base of a report: what to add to a time in the file to get Unix time."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.collectors.files.nsys.tables import Tables

__all__ = ["Clock", "read_clock"]

_EXPORT = ("META_DATA_EXPORT", "EXPORT_META_DATA")
"""Where the exporter describes itself, since nsys 2023.3 and before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The clock of one report; all times are integer ns."""

    to_unix_ns: int = 0
    """Unix time of 0 in the file; 0 when the report does not say."""
    capture_end_ns: int | None = None
    """End of the capture in the file's own time."""
    version: str | None = None
    """Version of the schema."""


def read_clock(tables: Tables) -> Clock:
    """The clock of a report.

    Times in the file count from the start of the capture, moved by what the exporter was asked for. `utcEpochNs` is the
    start of the capture in Unix time. `EXPORT_CONFIG_TIME_SHIFT` is all that was added to a time (normalisation to UTC
    and `--ts-shift`), `EXPORT_PARAM_TIME_SHIFT` the second alone, which is meant to correct the clock. Neither exists
    before schema 3.4.
    """
    epoch = _first_integer(tables, "TARGET_INFO_SESSION_START_TIME", "utcEpochNs")
    added = _setting(tables, "EXPORT_CONFIG_TIME_SHIFT") or 0
    asked = _setting(tables, "EXPORT_PARAM_TIME_SHIFT") or 0
    length = _first_integer(tables, "ANALYSIS_DETAILS", "duration")
    versions = [value for table in _EXPORT for value in tables.values(table, "EXPORT_SCHEMA_VERSION")]
    return Clock(
        to_unix_ns=0 if epoch is None else epoch - added + asked,
        capture_end_ns=None if length is None else length + added,
        version=versions[0] if versions else None,
    )


def _setting(tables: Tables, name: str) -> int | None:
    for table in _EXPORT:
        for value in tables.values(table, name):
            if value.lstrip("-").isdecimal():
                return int(value)
    return None


def _first_integer(tables: Tables, table: str, column: str) -> int | None:
    return next((value for (value,) in tables.rows(table, (column,), filled=column) if isinstance(value, int)), None)
