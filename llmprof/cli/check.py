"""How does `llmprof check` hold a run to a budget or to a baseline?"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmprof.cli.completing import run_directories
from llmprof.cli.console import answer
from llmprof.errors import BudgetError, InputError, NotEnoughDataError, NotFoundError

if TYPE_CHECKING:
    from llmprof.analyzers.budget import Limit

__all__ = ["check"]

DEFAULT_BUDGET = Path("llmprof.toml")


def check(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="A run, an analysis.json, or the traces of all ranks.",
            autocompletion=run_directories,
        ),
    ],
    budget: Annotated[
        Path | None,
        typer.Option("--budget", metavar="FILE", help="The limits, a TOML file with [budget] (default: llmprof.toml)."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="RUN", help="A run or analysis.json to be no slower than.")
    ] = None,
    limit: Annotated[
        str, typer.Option("--limit", metavar="SHARE", help="How much slower than the baseline is allowed.")
    ] = "5%",
    step_ms: Annotated[
        float | None,
        typer.Option("--step-ms", help="Mean unprofiled step in ms, for traces that come without a baseline."),
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Also write JUnit XML there.")] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Also append a Markdown table there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the limits as JSON and nothing else.")] = False,
) -> None:
    """Hold a run to a budget or a baseline, for CI: leaves with 3 when a limit is broken, 4 when one is not known."""
    from llmprof.analyzers.budget import against_baseline, against_budget, share_of
    from llmprof.cli.diagnosing import diagnose_paths
    from llmprof.reports.junit import limits_json, limits_junit, limits_markdown, limits_text

    allowed = share_of(limit)
    limits_of = _read_budget(budget, needed=baseline is None)
    diagnosis, subject = diagnose_paths(paths, step_ms), paths[0]
    found: list[Limit] = []
    try:
        if limits_of is not None:
            found += against_budget(diagnosis, limits_of)
        if baseline is not None:
            found += against_baseline(diagnosis, diagnose_paths([baseline]), allowed, (baseline, subject))[0]
    except NotEnoughDataError as error:
        found += _unknown(error)
    if junit is not None:
        _write(junit, limits_junit(found, subject), "w")
    if markdown is not None:
        _write(markdown, limits_markdown(found, subject), "a")
    answer((limits_json if as_json else limits_text)(found, subject))
    _leave(found)


def _leave(found: Sequence[Limit]) -> None:
    """3 when any limit is broken, else 4 when any is not known."""
    states = {one.status for one in found}
    if "broken" in states:
        raise typer.Exit(BudgetError.exit_code)
    if "no_data" in states:
        raise typer.Exit(NotEnoughDataError.exit_code)


def _unknown(error: NotEnoughDataError) -> list[Limit]:
    from llmprof.analyzers.budget import Limit

    return [Limit(name="step", status="no_data", sentence=str(error))]


def _read_budget(path: Path | None, *, needed: bool) -> Mapping[str, Any] | None:
    """The table [budget] of this file, or of llmprof.toml here; None where there is none and none is needed."""
    chosen = path or DEFAULT_BUDGET
    try:
        text = chosen.read_text(encoding="utf-8")
    except FileNotFoundError:
        if path is None and not needed:
            return None
        raise NotFoundError(
            f"there is no budget {chosen}; write one (docs/ci.md), or give a run to be no slower than with --baseline."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the budget {chosen} ({error}); it is a TOML file.") from None
    document = _parsed(text, chosen)
    table = document.get("budget")
    if table is None and path is None and not needed:
        return None
    if not isinstance(table, dict):
        raise InputError(f"{chosen} has no table [budget]; see docs/ci.md for what it may hold.")
    return table


def _parsed(text: str, path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is no TOML ({error}); mend it.") from None


def _write(path: Path, text: str, mode: str) -> None:
    """Appending serves $GITHUB_STEP_SUMMARY, which is there and may hold something."""
    try:
        with open(path, mode, encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}); choose another place for it.") from None
