"""How does `llmprof watch` show a job that is going on, from another terminal or another machine on the same folder?"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from llmprof.cli.completing import run_directories
from llmprof.cli.console import answer, note, width_of
from llmprof.errors import NotFoundError

__all__ = ["watch"]

LOOK_S = 1.0


def watch(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="The folder that `llmprof run` records into.", autocompletion=run_directories
        ),
    ],
    once: Annotated[
        bool, typer.Option("--once", help="Say once how the run is and leave; so it is without a terminal.")
    ] = False,
) -> None:
    """Show a running job: step time, waits, GPUs, and what it looks like."""
    from llmprof.reports.live import panel
    from llmprof.reports.live_run import LiveRun

    if not (run / "run.json").is_file() and not (run / "ranks").is_dir():
        raise NotFoundError(f"{run} is no run directory; give the folder that `llmprof run` records into.")
    live = LiveRun(run)
    if once or not sys.stdout.isatty():
        lines = panel(live.look(), width_of(sys.stdout), ascii_only=not _speaks_unicode())
        answer("\n".join(line.plain for line in lines))
        return
    from rich.console import Console, Group
    from rich.live import Live

    console = Console()
    state = live.look()
    with Live(console=console, refresh_per_second=4, transient=False) as shown:
        while True:
            shown.update(Group(*panel(state, console.width, ascii_only=not _speaks_unicode())))
            if state.ended:
                break
            time.sleep(LOOK_S)
            state = live.look()
    note(f"the run is over; `llmprof analyze {run}` tells why it was as fast as it was.")


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
