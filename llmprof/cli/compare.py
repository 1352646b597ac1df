"""How does `llmprof compare` tell what changed between two runs?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmprof.cli.completing import run_directories
from llmprof.cli.console import answer, width_of
from llmprof.errors import InputError

if TYPE_CHECKING:
    from llmprof.analyzers.compare import RunComparison

__all__ = ["compare"]


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="The run before: run directory, analysis.json or trace.", autocompletion=run_directories
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The run after.", autocompletion=run_directories)],
    step_ms: Annotated[
        tuple[float, float] | None,
        typer.Option("--step-ms", metavar="A B", help="Mean unprofiled steps in ms, for traces that have no baseline."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON and nothing else.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="Also write it; the ending names the format (.html, .md, .json)."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE when it exists.")] = False,
    redact: Annotated[
        bool, typer.Option("--redact/--no-redact", help="Leave folders, machines and arguments out of FILE.")
    ] = True,
) -> None:
    """Tell what changed from run A to run B, part by part, and whether it is more than noise."""
    from llmprof.analyzers.compare import compare_runs
    from llmprof.cli.diagnosing import diagnose_paths
    from llmprof.reports.compare import comparison_json, comparison_text

    if out is not None and out.exists() and not force:
        raise InputError(f"{out} exists already; choose another name or add --force to replace it.")
    steps = step_ms or (None, None)
    first, second = (diagnose_paths([path], step) for path, step in zip((a, b), steps, strict=True))
    found = compare_runs(first, second, (a, b))
    if out is not None:
        if redact:
            from llmprof.reports.redact import redacted

            names = (Path(a).resolve().name, Path(b).resolve().name)
            _write(compare_runs(redacted(first), redacted(second), names), out)
        else:
            _write(found, out)
    answer(comparison_json(found) if as_json else comparison_text(found, width=width_of(sys.stdout)))


def _write(found: RunComparison, path: Path) -> None:
    from llmprof.reports.compare import comparison_json, comparison_markdown, comparison_text
    from llmprof.reports.compare_html import comparison_html
    from llmprof.timeline.rundir import write_text_atomic

    writers = {".html": comparison_html, ".md": comparison_markdown, ".json": comparison_json, ".txt": comparison_text}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"{path} has no ending that names a format; use one of {', '.join(writers)}.")
    try:
        write_text_atomic(path, writer(found).encode("utf-8", "backslashreplace").decode("utf-8"))
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}); choose another place for it.") from None
