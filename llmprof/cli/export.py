"""How does `llmprof export` put the figures of a run into the tools that people watch already?"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from llmprof.cli.completing import run_directories
from llmprof.cli.console import answer

__all__ = ["ExportKind", "export"]


class ExportKind(str, Enum):
    """Where the figures go."""

    PROMETHEUS = "prometheus"
    OPENTELEMETRY = "opentelemetry"
    TENSORBOARD = "tensorboard"
    WANDB = "wandb"
    MLFLOW = "mlflow"


def export(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="The run directory, also of a running job.", autocompletion=run_directories),
    ],
    to: Annotated[ExportKind, typer.Option("--to", help="The tool.")],
    out: Annotated[
        str,
        typer.Option("-o", "--out", metavar="PATH", help="A file, a folder, or the address of an OTLP collector."),
    ],
) -> None:
    """Export step times, waits and GPU readings of a run; nothing is uploaded but to an address that you give."""
    from llmprof.reports.exporters import export as write
    from llmprof.reports.exporters.figures import figures_of

    answer(write(to.value, figures_of(run), out))
