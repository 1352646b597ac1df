"""How is a burst of traced steps asked for while a run is going on?"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from llmprof.cli.completing import run_directories
from llmprof.cli.console import answer, note
from llmprof.errors import InputError, LlmprofError, NotFoundError
from llmprof.timeline import rundir

__all__ = ["trigger"]

ANSWER_S = 15.0
"""How long to wait for rank 0, which looks every two seconds; a shared folder may be some seconds behind."""
LOOK_S = 0.1


def trigger(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="The run directory of a run that is going on.", autocompletion=run_directories
        ),
    ],
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps to trace for time (default: 4, as long as the run may still trace some)."),
    ] = None,
    shapes: Annotated[
        int | None, typer.Option(min=0, help="Further steps, traced with the shapes of operators' inputs (default: 1).")
    ] = None,
    stacks: Annotated[
        bool, typer.Option("--stacks", help="Record Python stacks too, in the steps with shapes.")
    ] = False,
) -> None:
    """Trace some steps of a running job now, on all ranks."""
    _check(run)
    request: dict[str, Any] = {"id": secrets.token_hex(8), "t": time.time_ns(), "stacks": stacks}
    request.update({name: value for name, value in (("steps", steps), ("shape_steps", shapes)) if value is not None})
    try:
        rundir.write_json_atomic(run / rundir.TRIGGER, request)
    except OSError as error:
        raise InputError(f"cannot write into {run} ({error.strerror}); ask as the user of the run.") from None
    said = _await_answer(run, request["id"])
    if said is None:
        with suppress(OSError):
            os.unlink(run / rundir.TRIGGER)  # nobody is to come across it later
        raise InputError(
            f"rank 0 of {run} did not answer within {ANSWER_S:.0f} s; it may hang, be inside one long step of Python, "
            "or have its own run directory on another machine."
        )
    message = str(said.get("message") or "")
    if not said.get("accepted"):
        raise InputError(message)
    answer(message)
    note(f"when it is done, `llmprof analyze {run}` reads the new burst.")


def _check(run: Path) -> None:
    """Raise when nobody can answer: no run, a run that is over, or one whose rank 0 is."""
    if not run.is_dir():
        raise NotFoundError(f"{run} is no folder; give the run directory that `llmprof run` printed.")
    header = rundir.read_json(run / rundir.RUN)
    if header.get("exit_code") is not None:
        raise InputError(
            f"the run in {run} is over (exit code {header['exit_code']}); only a running one can be traced."
        )
    firsts = [folder for rank, _, folder in rundir.rank_dirs(run) if rank == 0]
    if not firsts:
        raise InputError(f"{run} has no rank 0 yet; a process is recorded after its first step, ask again then.")
    ended = _ending(firsts[-1])
    if ended not in ("running", None):
        raise InputError(f"rank 0 of {run} has ended ({ended}); only a running one can be traced.")


def _ending(rank: Path) -> str | None:
    """What rank.json says of the end; None when it does not say anything."""
    try:
        return str(rundir.read_json(rank / rundir.RANK)["ended"])
    except (LlmprofError, KeyError):  # it is being written for the first time
        return None


def _await_answer(run: Path, request: str) -> dict[str, Any] | None:
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        with suppress(LlmprofError):
            said = rundir.read_json(run / rundir.TRIGGER_ANSWER)
            if said.get("id") == request:
                return said
        time.sleep(LOOK_S)
    return None
