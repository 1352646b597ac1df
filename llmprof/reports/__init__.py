"""How is it told? Pure functions of a diagnosis, and the one function that writes a report to a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from llmprof.errors import InputError

if TYPE_CHECKING:
    from llmprof.analyzers.diagnosis import Diagnosis
    from llmprof.timeline.timeline import Timeline

__all__ = ["FORMATS", "write_report"]

FORMATS = (".html", ".md", ".csv", ".json", ".txt")
"""Endings that `write_report` knows, beside .parquet; `llmprof report` also writes .perfetto.json."""


def write_report(diagnosis: Diagnosis, path: Path, *, timeline: Timeline | None = None, redact: bool = False) -> None:
    """Write the report that the ending of `path` asks for; an older file there is replaced, and never half.

    timeline    what was recorded; a page (.html) then shows its events
    redact      leave folders, machines and arguments out of a page, so that it can be passed on

    Raises InputError for an unknown ending, or when the file cannot be written.
    """
    from llmprof.timeline.rundir import write_text_atomic

    if path.suffix.lower() == ".parquet":
        from llmprof.reports.tables import write_parquet

        write_parquet(diagnosis, path)
        return
    if path.suffix.lower() == ".html":
        from llmprof.reports.html import render_html
        from llmprof.reports.redact import redacted

        text = render_html(redacted(diagnosis) if redact else diagnosis, timeline, redact=redact)
    else:
        text = _renderer(path)(diagnosis)
    # A lone surrogate in a name has no UTF-8; spelled out as \ud800 it is text, and in JSON still the same string.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    try:
        write_text_atomic(path, text)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}); choose another place for the report.") from None


def _renderer(path: Path) -> Callable[[Diagnosis], str]:
    """The function for this ending, imported only when asked for: rich is not needed to write a CSV."""
    ending = path.suffix.lower()
    if ending == ".md":
        from llmprof.reports.markdown import render_markdown

        return render_markdown
    if ending == ".csv":
        from llmprof.reports.tables import render_csv

        return render_csv
    if ending == ".json":
        from llmprof.reports.document import render_json

        return render_json
    if ending == ".txt":
        from llmprof.reports.terminal import render_plain

        return render_plain
    raise InputError(
        f"{path} has no ending that names a report; use one of {', '.join(FORMATS)}, .parquet, .perfetto.json."
    )
