"""How does `llmprof run` record a training run, diagnose it, and leave as the training left?"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmprof.cli.console import can_color, note, width_of
from llmprof.cli.live_panel import live_panel
from llmprof.collectors.live.fixes.applying.catalogue import VARIABLE
from llmprof.errors import LlmprofError
from llmprof.timeline import rundir

if TYPE_CHECKING:
    from llmprof.collectors.launch import Ended
    from llmprof.timeline.timeline import Timeline

__all__ = ["run"]

RUNS = Path("llmprof-runs")
Redact = Annotated[
    bool, typer.Option("--redact/--no-redact", help="Leave folders, machines and arguments out of report.html.")
]
TimeKernels = Annotated[
    bool,
    typer.Option(
        "--time-kernels/--no-time-kernels",
        help="Time slow kernels and what fixes would make of them on the idle GPU afterwards (some 10 s).",
    ),
]


def run(
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND...", help="The training command: python, torchrun, a shell script, ..."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="The run directory (default: a new one under llmprof-runs/)."),
    ] = None,
    baseline_steps: Annotated[
        int | None, typer.Option(min=1, help="Steady steps to time before the burst is traced.")
    ] = None,
    trace_steps: Annotated[
        int | None, typer.Option(min=0, help="Steps to trace with the PyTorch profiler; 0 traces none.")
    ] = None,
    burst_at: Annotated[
        int | None, typer.Option(min=1, help="The first step to trace, on every rank (where ranks share no folder).")
    ] = None,
    nsys: Annotated[
        bool, typer.Option("--nsys", help="Record with Nsight Systems instead of the PyTorch profiler (needs nsys).")
    ] = False,
    memory_history: Annotated[
        bool,
        typer.Option("--memory-history", help="Keep the stack of every live allocation, for a run out of memory."),
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Show meanwhile how the run is, in the last rows of the terminal.")
    ] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Only record; diagnose later.")] = False,
    redact: Redact = True,
    time_kernels: TimeKernels = True,
) -> None:
    """Record a training run of any launcher, then diagnose it. Leaves with the exit code of COMMAND."""
    from llmprof.collectors.launch import exit_like, launch

    given = {"baseline_steps": baseline_steps, "trace_steps": trace_steps, "burst_at": burst_at}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if memory_history:
        options["memory_history"] = True
    if (fixes := os.environ.get(VARIABLE)) is not None:  # one of the runs of `llmprof try`
        options["fixes"] = [fix for fix in fixes.split(",") if fix]
    directory = (out or RUNS / _name_of(command)).absolute()
    existed = directory.exists()
    try:
        if nsys:
            from llmprof.collectors.nsys_launch import wrapped

            command = wrapped(command, directory)
            options["trace_steps"] = 0  # the driver serves one profiler at a time
        with live_panel(directory) if live else contextlib.nullcontext():
            ended = launch(command, directory, options)
    except LlmprofError:
        if not existed:  # nothing ran: leave no empty folder behind
            with contextlib.suppress(OSError):
                directory.rmdir()
        raise
    _conclude(directory, command, ended, nsys=nsys, report=not no_report, redact=redact, timing=time_kernels)
    exit_like(ended.returncode)


def _conclude(
    directory: Path,
    command: Sequence[str],
    ended: Ended,
    *,
    nsys: bool,
    report: bool,
    redact: bool = True,
    timing: bool = True,
) -> None:
    """What comes after the command; nothing of it changes how the wrapper leaves."""
    later = f"`llmprof analyze {directory}`"
    try:
        if nsys:
            _export(directory)
        if ended.elsewhere:
            hosts = ", ".join(ended.elsewhere)
            note(f"recorded in {directory}; it is diagnosed when {hosts} has ended too, or with {later}.")
        elif not report or ended.elsewhere is None:
            note(f"recorded in {directory}; diagnose it with {later}.")
        else:
            _diagnose(directory, command, ended.returncode, redact, timing=timing and ended.returncode == 0)
    except LlmprofError as error:
        note(f"warning: {error}")
    except KeyboardInterrupt:
        note(f"warning: the diagnosis was interrupted; {later} does it later.")
    except Exception as error:
        note(
            f"warning: the diagnosis failed ({type(error).__name__}: {error}); the recording is in {directory}, "
            f"`llmprof --debug analyze {directory}` shows where."
        )


def _name_of(command: Sequence[str]) -> str:
    """The name of a new run directory: `20261122T130835Z-train_gpt-3fa2c1`."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return f"{stamp}-{_subject_of(command)}-{secrets.token_hex(3)}"


def _subject_of(command: Sequence[str]) -> str:
    """What is trained, in one word: the script, else the module after -m, else the program."""
    word = next((word for word in command if word.endswith((".py", ".sh"))), None)
    if word is None and "-m" in command[:-1]:
        word = command[command.index("-m") + 1].rpartition(".")[2] + ".py"
    stem = Path(word or command[0]).stem
    return "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in stem)[:40] or "run"


def _export(directory: Path) -> None:
    """Make what nsys recorded readable; a warning when it recorded nothing."""
    from llmprof.collectors.files.nsys.convert import export_report
    from llmprof.collectors.nsys_launch import report_of

    report = report_of(directory)
    if report is None:
        note(f"warning: nsys left no report in {directory}; see what it printed above.")
        return
    note("exporting the report of nsys ...")
    export_report(report, directory)


def _diagnose(
    directory: Path, command: Sequence[str], returncode: int, redact: bool = True, *, timing: bool = True
) -> None:
    """Diagnose the finished run; the verdict goes to standard error, since standard output is the child's."""
    exported = (directory / rundir.NSYS_EXPORT).is_file()
    if not exported and not any(_has_something(folder) for _, _, folder in rundir.rank_dirs(directory)):
        from llmprof.collectors.hints import why_nothing
        from llmprof.collectors.wrappers import exit_code_of

        note(f"nothing was recorded: {why_nothing(directory, command, exit_code_of(returncode))}")
        return
    from llmprof.cli.diagnosing import diagnose_paths, write_results
    from llmprof.cli.kernel_times import with_kernel_times
    from llmprof.reports.terminal import render_plain, render_terminal

    note("reading the recording ...")
    recorded: list[Timeline] = []
    diagnosis = diagnose_paths([str(directory)], keep=recorded.append)
    timelines: Sequence[Timeline] = recorded
    if timing:
        diagnosis, timelines = with_kernel_times(diagnosis, directory, timelines)
    report = str(write_results(diagnosis, directory, timelines=timelines, redact=redact))
    (directory / "verdict.txt").write_text(render_plain(diagnosis, report_path=report), encoding="utf-8")
    text = render_terminal(diagnosis, width=width_of(sys.stderr), color=can_color(sys.stderr), report_path=report)
    with contextlib.suppress(OSError):  # the terminal is gone; the files are there
        sys.stderr.write(text if text.endswith("\n") else text + "\n")
        sys.stderr.flush()


def _has_something(rank: Path) -> bool:
    """Whether a step was recorded, or why there was none: the device was full."""
    try:
        return (rank / rundir.OUT_OF_MEMORY).is_file() or (rank / rundir.STEPS).stat().st_size > 0
    except OSError:
        return False
