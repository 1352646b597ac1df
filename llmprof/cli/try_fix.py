"""How does `llmprof try` prove a fix? Plain and fixed runs of the recorded command in turns, and the promise beside."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmprof.cli.completing import fix_ids
from llmprof.cli.console import answer, note
from llmprof.cli.trial_document import Wanted
from llmprof.errors import InputError, NotEnoughDataError
from llmprof.units import format_ms

if TYPE_CHECKING:
    from llmprof.analyzers.diagnosis import Diagnosis, Recommendation
    from llmprof.cli.trial_runs import SideRun

__all__ = ["try_fix"]

INTERRUPTED = 130
"""As a shell says it of a command that Ctrl-C has ended."""


def try_fix(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a finished `llmprof run`.")],
    fix: Annotated[
        list[str],
        typer.Option(
            "--fix",
            metavar="ID[=VALUE]",
            help="The fix to apply; several are applied together.",
            autocompletion=fix_ids,
        ),
    ],
    pairs: Annotated[int, typer.Option(min=1, help="Plain and fixed runs, in turns.")] = 2,
    steps: Annotated[int, typer.Option(min=3, help="Steady steps after which a run is ended.")] = 40,
    duration: Annotated[
        float | None, typer.Option(min=1, metavar="SECONDS", help="End each run after this time at the latest.")
    ] = None,
    allow_numerics: Annotated[
        bool, typer.Option("--allow-numerics", help="Allow fixes that change the numbers; losses are compared.")
    ] = False,
    against: Annotated[
        Path | None, typer.Option(metavar="RUN2", help="Run nothing: compare with this run, which has the fix.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the trial's document and nothing else.")] = False,
) -> None:
    """Run the recorded command again with a fix applied at run time: measured gain against predicted."""
    diagnosis = _diagnosis_of(run)
    recommendations = {item.id: item for item in diagnosis.recommendations} if diagnosis is not None else {}
    wanted = [_wanted(text, recommendations) for text in dict.fromkeys(fix)]
    _refuse_what_does_not_go_together(wanted)
    if against is None:
        _refuse_what_cannot_be_applied(run, wanted, recommendations)
        _refuse_what_needs_a_gpu(run, wanted)
        numeric = [one.id for one in wanted if one.numerics]
        if numeric and not allow_numerics:
            raise InputError(
                f"{', '.join(numeric)} changes the numbers that the training computes; add --allow-numerics to try it, "
                "and look at the losses."
            )
    if against is not None:
        document = _compared(run, against, wanted, diagnosis)
    else:
        document = _tried(run, wanted, diagnosis, pairs=pairs, steps=steps, duration=duration)
    for one in wanted:
        missing = set(recommendations[one.id].requires if one.id in recommendations else ()) - {w.id for w in wanted}
        if missing:
            names = ", ".join(sorted(missing))
            document["warnings"].append(f"the promise of {one.id} counts on {names}, which is not applied here.")
    _finish(run, document, as_json=as_json)


def _finish(run: Path, document: dict[str, Any], *, as_json: bool) -> None:
    """Write the document, show it, bring the run's results up to date, and leave as its outcome demands."""
    import json

    from llmprof.cli.trial_results import renew_results
    from llmprof.cli.trial_text import trial_text
    from llmprof.cli.trials import write_trial

    path = write_trial(run, document["number"], document)
    answer(json.dumps(document, indent=1) if as_json else trial_text(document, str(path)))
    if document["error"]:
        note(document["error"])
    written = renew_results(run) if document["comparison"] is not None else []
    if written:
        page = next((path for path in written if path.suffix == ".html"), written[0])
        (note if as_json else answer)(f"report     {page}, which tells of it now")
    if document["exit_code"]:
        raise typer.Exit(document["exit_code"])


def _diagnosis_of(run: Path) -> Diagnosis | None:
    """What the run's analysis.json says; None where there is none."""
    from llmprof.analyzers.diagnosis import Diagnosis
    from llmprof.errors import NotFoundError
    from llmprof.timeline import rundir

    if not run.is_dir():
        raise NotFoundError(f"{run} is no folder; give the run directory that `llmprof run` printed.")
    if not (run / rundir.RUN).is_file():
        raise NotFoundError(f"{run} is no run directory; give the folder that `llmprof run` printed.")
    path = run / "analysis.json"
    if not path.is_file():
        note(f"{run} has no analysis.json and so no promise; `llmprof analyze {run} -o {run}` makes one.")
        return None
    return Diagnosis.from_json(path.read_text(encoding="utf-8", errors="replace"), where=str(path))


def _wanted(text: str, recommendations: dict[str, Recommendation]) -> Wanted:
    from llmprof.analyzers.rules.fixes import FIXES
    from llmprof.collectors.live.fixes.applying.catalogue import about

    name, _, value = text.partition("=")
    known = about(name)
    if known is None and name not in FIXES and name not in recommendations:
        raise InputError(_no_such_fix(name, recommendations))
    if not re.fullmatch(r"[\w.+:-]*", value):
        raise InputError(f"--fix {text}: the value may have letters, digits and . + : - only.")
    if known is None:
        return Wanted(id=name, value=value or None, numerics=False)
    if value and not known.value:
        raise InputError(f"--fix {text}: {name} takes no value; give --fix {name}.")
    if value and not (value.isdecimal() and int(value) > 0):
        raise InputError(f"--fix {text}: {name} takes a whole number above 0.")
    if not value and known.value and name in recommendations:
        how = recommendations[name].how
        found = re.search(known.value, how.rpartition("->")[2]) or re.search(known.value, how)
        value = found[1] if found else ""
    return Wanted(id=name, value=value or None, numerics=known.numerics)


def _no_such_fix(name: str, recommendations: Collection[str]) -> str:
    from llmprof.analyzers.rules import registry

    rule = next((rule for rule in registry.all_rules() if rule.id == name), None)
    if rule is not None and rule.fixes:
        return f"{name} is a rule and no fix; what it recommends is {' or '.join(rule.fixes)}."
    here = f"this run's are {', '.join(recommendations)}, and " if recommendations else ""
    return f"there is no fix {name!r}; {here}`llmprof rules --json` lists them all."


def _refuse_what_does_not_go_together(wanted: list[Wanted]) -> None:
    """InputError for a fix with two values, and for two of which only one can be done."""
    from llmprof.analyzers.replay.exclusive import excluding

    names = [one.id for one in wanted]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"--fix {twice} is given twice; try one value after the other.")
    if pair := excluding(names):
        raise InputError(f"of {pair[0]} and {pair[1]} only one can be done; try each alone.")


def _refuse_what_cannot_be_applied(run: Path, wanted: list[Wanted], known: dict[str, Recommendation]) -> None:
    """Fixes that need another script: print what to change, and leave with 4, since nothing was measured."""
    from llmprof.analyzers.rules.fixes import FIXES
    from llmprof.collectors.live.fixes.applying.catalogue import about

    others = [one.id for one in wanted if about(one.id) is None]
    if not others:
        return
    lines = []
    for name in others:
        what = known[name].action if name in known else FIXES[name].does if name in FIXES else ""
        lines += [f"{name} cannot be applied from outside: {what}"]
        lines += [f"    {line}" for line in known[name].how.splitlines()] if name in known else []
    fixes = " ".join(f"--fix {one.text}" for one in wanted)
    lines += [
        "Change it, record the changed run with `llmprof run -- COMMAND`, and compare:",
        f"    llmprof try {fixes} {run} --against RUN2",
    ]
    answer("\n".join(lines))
    raise typer.Exit(NotEnoughDataError.exit_code)


def _refuse_what_needs_a_gpu(run: Path, wanted: list[Wanted]) -> None:
    """NotEnoughDataError for what has nothing to change in a run without a GPU: nothing need be run to know it."""
    from llmprof.cli.trial_sources import trained_without_gpu
    from llmprof.collectors.live.fixes.applying.catalogue import about

    names = [one.id for one in wanted if (known := about(one.id)) is not None and known.needs_gpu]
    if names and trained_without_gpu(run):
        raise NotEnoughDataError(
            f"{', '.join(names)} is not applicable: {run} was recorded without a GPU, so that there is nothing to "
            "change; try another fix."
        )


def _tried(
    run: Path, wanted: list[Wanted], diagnosis: Diagnosis | None, *, pairs: int, steps: int, duration: float | None
) -> dict[str, Any]:
    """Run the sides in turns; the document of the trial."""
    from llmprof.cli.trial_document import about_run, goes_on, measure, new_document
    from llmprof.cli.trial_runs import run_side
    from llmprof.cli.trial_sources import read_recorded
    from llmprof.cli.trials import begin_trial, drop_trial

    recorded = read_recorded(run)
    number, folder = begin_trial(run.absolute())
    document = new_document(run, number, wanted)
    runs: list[SideRun] = []
    try:
        for pair in range(1, pairs + 1):
            for side in ("plain", "fixed"):
                note(f"{side} run {pair} of {pairs} ...")
                fixes = [one.text for one in wanted] if side == "fixed" else []
                directory = folder / f"{side}-{pair}"
                one = run_side(recorded, directory, fixes=fixes, side=side, pair=pair, steps=steps, duration_s=duration)
                runs.append(one)
                document["runs"].append(about_run(one, run))
                if not goes_on(document, one):
                    return document
                told = document["runs"][-1]
                note(f"  {format_ms(told['mean_ms'])} a step, of {told['steady_steps']} steady ones")
    except (KeyboardInterrupt, SystemExit) as left:
        whole = len(runs) // 2
        if not whole or isinstance(left, SystemExit):
            drop_trial(folder)
            note("interrupted: nothing of this trial is kept.")
            raise
        note(f"interrupted: what {whole} of {pairs} pairs have measured is kept.")
        document["warnings"].append(f"it was interrupted after {whole} of {pairs} pairs.")
        document["exit_code"] = INTERRUPTED
        del runs[2 * whole :], document["runs"][2 * whole :]
    measure(document, runs, wanted, diagnosis, run)
    return document


def _compared(run: Path, other: Path, wanted: list[Wanted], known: Diagnosis | None) -> dict[str, Any]:
    """The document of a trial that runs nothing: two recorded runs, the second with the fix."""
    from llmprof.analyzers.trial import MIN_STEPS
    from llmprof.cli.trial_document import compare_recorded, new_document
    from llmprof.cli.trial_sources import read_steps
    from llmprof.cli.trials import begin_trial
    from llmprof.errors import NotFoundError

    if not other.is_dir():
        raise NotFoundError(f"{other} is no folder; give the run directory of the changed run.")
    if other.samefile(run):
        raise InputError(f"{other} is the run itself; give --against a run that was recorded with the fix.")
    found = []
    for path in (run, other):
        steps = read_steps(path)
        if steps is None or steps.number.size < MIN_STEPS:
            raise NotEnoughDataError(
                f"{path} has fewer than {MIN_STEPS} steady unprofiled steps; record a longer run with `llmprof run`."
            )
        found.append(steps)
    document = new_document(run, begin_trial(run.absolute())[0], wanted)
    compare_recorded(document, run, other, found, wanted, known)
    return document
