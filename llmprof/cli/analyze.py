"""How does `llmprof analyze` diagnose what was recorded?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmprof.cli.console import answer, can_color, note, width_of
from llmprof.cli.diagnosing import EngineChoice
from llmprof.errors import InputError, NotEnoughDataError

if TYPE_CHECKING:
    from llmprof.timeline.timeline import Timeline

__all__ = ["analyze", "numbers"]


def analyze(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="A run directory, the traces of all ranks of one run, or a table of operations."
        ),
    ],
    step_ms: Annotated[
        float | None,
        typer.Option("--step-ms", help="Mean unprofiled step in ms, for traces that come without a baseline."),
    ] = None,
    ranks: Annotated[
        str | None,
        typer.Option("--ranks", metavar="N,N...", help="Which rank each PATH is, for traces that do not say it."),
    ] = None,
    engine: Annotated[
        EngineChoice,
        typer.Option("--engine", help="Where ranks are read: processes when there are many (auto), or a Dask cluster."),
    ] = EngineChoice.AUTO,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Dask scheduler, such as tcp://host:8786.")
    ] = None,
    burst: Annotated[
        int | None, typer.Option("--burst", min=0, help="Which burst of a run to read (default: the latest complete).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the document (analysis.json) and nothing else.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Also write analysis.json and report.html there.")
    ] = None,
    redact: Annotated[
        bool,
        typer.Option("--redact/--no-redact", help="Leave folders, machines and arguments out of the HTML page."),
    ] = True,
) -> None:
    """Diagnose a run directory or traces: what limits the step, and what to do about it."""
    from llmprof.cli.diagnosing import diagnose_paths, write_results

    timelines: list[Timeline] = []
    keep = timelines.append if out else None
    diagnosis = diagnose_paths(paths, step_ms, numbers(ranks), engine, scheduler, burst, keep)
    report = write_results(diagnosis, out, timelines=timelines, redact=redact) if out else None
    if as_json:
        answer(diagnosis.to_json())
    else:
        from llmprof.reports.terminal import render_terminal

        shown = str(report.resolve()) if report else None
        answer(render_terminal(diagnosis, width=width_of(sys.stdout), color=can_color(sys.stdout), report_path=shown))
    if diagnosis.verdict.bound is None:
        if as_json:
            note(f"no verdict: {diagnosis.verdict.reason or diagnosis.verdict.sentence}")
        raise typer.Exit(NotEnoughDataError.exit_code)


def numbers(text: str | None) -> list[int]:
    """The ranks in `0,1,2`; InputError for anything else."""
    parts = [part.strip() for part in text.split(",")] if text is not None else []
    if not all(part.isdecimal() and len(part) < 7 for part in parts):
        raise InputError(f"--ranks {text} is no list of ranks; give one number for each trace, such as 0,1.")
    return [int(part) for part in parts]
