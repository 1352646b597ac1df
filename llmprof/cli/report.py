"""How does `llmprof report` write the report of a run?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmprof.cli.console import answer
from llmprof.errors import InputError

if TYPE_CHECKING:
    from llmprof.timeline.timeline import Timeline

__all__ = ["report"]


def report(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="A run directory, an analysis.json, or the traces of all ranks."),
    ],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FILE", help="The report; its ending names the format (.html, .json)."),
    ],
    step_ms: Annotated[
        float | None,
        typer.Option("--step-ms", help="Mean unprofiled step in ms, for traces that come without a baseline."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE when it exists.")] = False,
    redact: Annotated[
        bool,
        typer.Option("--redact/--no-redact", help="Leave folders, machines and arguments out of the HTML page."),
    ] = True,
) -> None:
    """Write the report of a run, an analysis.json or traces to a file."""
    from llmprof.cli.diagnosing import diagnose_paths
    from llmprof.reports import write_report

    if out.exists() and not force:
        raise InputError(f"{out} exists already; choose another name or add --force to replace it.")
    if out.name.endswith((".perfetto.json", ".perfetto.json.gz")):
        from llmprof.cli.perfetto import export_perfetto

        export_perfetto(paths, out, step_ms)
    else:
        timelines: list[Timeline] = []
        page = out.suffix.lower() == ".html"
        diagnosis = diagnose_paths(paths, step_ms, keep=timelines.append if page else None)
        write_report(diagnosis, out, timeline=timelines[0] if timelines else None, redact=redact)
    answer(str(out.resolve()))
