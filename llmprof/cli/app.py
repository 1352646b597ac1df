"""Which commands are there, and how does an error reach the user?"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from llmprof._version import __version__
from llmprof.cli.analyze import analyze
from llmprof.cli.check import check
from llmprof.cli.compare import compare
from llmprof.cli.console import note
from llmprof.cli.doctor import doctor
from llmprof.cli.explain import explain
from llmprof.cli.export import export
from llmprof.cli.open import open_
from llmprof.cli.report import report
from llmprof.cli.rules import rules
from llmprof.cli.run import run
from llmprof.cli.trigger import trigger
from llmprof.cli.try_fix import try_fix
from llmprof.cli.watch import watch
from llmprof.cli.what_if import what_if
from llmprof.errors import LlmprofError

__all__ = ["app", "main"]

DEBUG_VARIABLE = "LLMPROF_DEBUG"

app = typer.Typer(
    name="llmprof",
    help="Why a PyTorch training run is slow, and what to do about it.",
    no_args_is_help=True,
    # A pretty traceback prints local variables, which may hold secrets of the training script.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Without interspersed arguments everything after the first word that is no option of ours belongs to the child, while
# a mistyped option of ours is still refused.
app.command(context_settings={"allow_interspersed_args": False}, no_args_is_help=True)(run)
app.command(no_args_is_help=True)(analyze)
app.command(no_args_is_help=True)(report)
app.command()(rules)
app.command(no_args_is_help=True)(explain)
app.command()(doctor)
app.command(no_args_is_help=True)(trigger)
app.command("try", no_args_is_help=True)(try_fix)
app.command("what-if", no_args_is_help=True)(what_if)
app.command(no_args_is_help=True)(compare)
app.command(no_args_is_help=True)(check)
app.command(no_args_is_help=True)(watch)
app.command(no_args_is_help=True)(export)
app.command("open", no_args_is_help=True)(open_)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llmprof {__version__}")
        raise typer.Exit


def _keep(debug: bool) -> bool:
    _Frame.debug = debug
    return debug


class _Frame:
    debug = False
    """Set while the command line is parsed, read when an error arrives: by then its context is gone."""


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", envvar=DEBUG_VARIABLE, callback=_keep, help="Show the traceback of an error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code (0 done, 1 llmprof failed, 2 usage, 4 not enough data)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # An ASCII-only terminal shows "?" for a sign that it lacks, instead of ending in a UnicodeEncodeError.
            stream.reconfigure(errors="replace")
    try:
        app(args=None if arguments is None else list(arguments), prog_name="llmprof")
    except LlmprofError as error:
        _leave(str(error), error.exit_code)
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        _leave(f"internal error ({what}); run `llmprof --debug ...` to see where and report it.", 1)
    sys.exit(0)


def _leave(sentence: str, code: int) -> NoReturn:
    if _Frame.debug:
        traceback.print_exc()
    note(sentence)
    sys.exit(code)
