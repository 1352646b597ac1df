"""How does `llmprof try` prove a fix? Plain and fixed runs of the recorded command in turns, and the promise beside."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmprof.cli.completing import fix_ids
from llmprof.cli.console import answer, note
from llmprof.errors import InputError, NotEnoughDataError
from llmprof.units import format_ms

if TYPE_CHECKING:
    from llmprof.analyzers.diagnosis import Diagnosis, Recommendation
    from llmprof.cli.trial_runs import SideRun

__all__ = ["SCHEMA", "try_fix"]

SCHEMA = "llmprof.trial/1"
_ONE_EACH = "one run of each side: what runs differ by from one to the next is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """One --fix."""

    id: str
    value: str | None
    numerics: bool

    @property
    def text(self) -> str:
        return self.id if self.value is None else f"{self.id}={self.value}"


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
    """Write the document, show it, and leave as its outcome demands."""
    import json

    from llmprof.cli.trial_text import trial_text
    from llmprof.cli.trials import write_trial

    path = write_trial(run, document["number"], document)
    answer(json.dumps(document, indent=1) if as_json else trial_text(document, str(path)))
    if document["error"]:
        note(document["error"])
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


def _wanted(text: str, recommendations: dict[str, Recommendation]) -> _Wanted:
    from llmprof.analyzers.rules.fixes import FIXES
    from llmprof.collectors.live.fixes.applying.catalogue import about

    name, _, value = text.partition("=")
    known = about(name)
    if known is None and name not in FIXES and name not in recommendations:
        raise InputError(f"there is no fix {name!r}; `llmprof rules` lists them all.")
    if not re.fullmatch(r"[\w.+:-]*", value):
        raise InputError(f"--fix {text}: the value may have letters, digits and . + : - only.")
    if known is None:
        return _Wanted(id=name, value=value or None, numerics=False)
    if value and not known.value:
        raise InputError(f"--fix {text}: {name} takes no value; give --fix {name}.")
    if value and not (value.isdecimal() and int(value) > 0):
        raise InputError(f"--fix {text}: {name} takes a whole number above 0.")
    if not value and known.value and name in recommendations:
        how = recommendations[name].how
        found = re.search(known.value, how.rpartition("->")[2]) or re.search(known.value, how)
        value = found[1] if found else ""
    return _Wanted(id=name, value=value or None, numerics=known.numerics)


def _refuse_what_does_not_go_together(wanted: list[_Wanted]) -> None:
    """InputError for a fix with two values, and for two of which only one can be done."""
    from llmprof.analyzers.replay.gains import excluding

    names = [one.id for one in wanted]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"--fix {twice} is given twice; try one value after the other.")
    if pair := excluding(names):
        raise InputError(f"of {pair[0]} and {pair[1]} only one can be done; try each alone.")


def _refuse_what_cannot_be_applied(run: Path, wanted: list[_Wanted], known: dict[str, Recommendation]) -> None:
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


def _tried(
    run: Path, wanted: list[_Wanted], diagnosis: Diagnosis | None, *, pairs: int, steps: int, duration: float | None
) -> dict[str, Any]:
    """Run the sides in turns; the document of the trial."""
    from llmprof.cli.trial_runs import read_recorded, run_side
    from llmprof.cli.trials import begin_trial, drop_trial

    recorded = read_recorded(run)
    number, folder = begin_trial(run.absolute())
    document = _document(run, number, wanted)
    runs: list[SideRun] = []
    try:
        for pair in range(1, pairs + 1):
            for side in ("plain", "fixed"):
                note(f"{side} run {pair} of {pairs} ...")
                fixes = [one.text for one in wanted] if side == "fixed" else []
                directory = folder / f"{side}-{pair}"
                one = run_side(recorded, directory, fixes=fixes, side=side, pair=pair, steps=steps, duration_s=duration)
                runs.append(one)
                document["runs"].append(_about_run(one, run))
                if not _usable(document, one):
                    return document
                note(f"  {format_ms(document['runs'][-1]['mean_ms'])} a step, of {_count(one)} steady ones")
    except (KeyboardInterrupt, SystemExit):
        drop_trial(folder)
        note("interrupted: nothing of this trial is kept.")
        raise
    _measure(document, runs, wanted, diagnosis)
    return document


def _usable(document: dict[str, Any], run: SideRun) -> bool:
    """Note what a run says of its fixes; False, with the reason, when it failed, had no effect, or was too short."""
    from llmprof.analyzers.trial import MIN_STEPS
    from llmprof.cli.trial_runs import last_lines, log_of

    failed = run.exit_code != 0 and not run.stopped
    applied = run.side == "plain" or (failed and not run.fixes) or _took_effect(document, run)
    if failed:
        alone = ", and the plain one did not" if run.side == "fixed" else ""
        text = f"the {run.side} run ended with exit code {run.exit_code}{alone}; the end of {log_of(run.directory)}:"
        document.update(exit_code=run.exit_code, error=f"{text}\n{last_lines(run)}")
    elif not applied:
        missing = [told for told in document["fixes"] if told["status"] != "applied"]
        words = [f"{told['id']} ({'; '.join(told['reasons'])})" for told in missing]
        document["error"] = f"never applied, so that nothing was measured: {', '.join(words)}."
        document["exit_code"] = NotEnoughDataError.exit_code
    elif _count(run) < MIN_STEPS:
        ended = "was ended after --duration" if run.stopped else "ended by itself"
        document["error"] = (
            f"the {run.side} run {ended} with {_count(run)} steady steps, and {MIN_STEPS} are needed; "
            + (
                "raise --duration."
                if run.stopped
                else "record a command that trains for longer, and try the fix there."
            )
        )
        document["exit_code"] = NotEnoughDataError.exit_code
    return document["error"] is None


def _count(run: SideRun) -> int:
    return 0 if run.steps is None else int(run.steps.number.size)


def _took_effect(document: dict[str, Any], run: SideRun) -> bool:
    """Note what a fixed run says of each fix; False when one of them has not been applied."""
    unknown = {"status": "never", "times": 0, "what": [], "reasons": ["no step was recorded"]}
    for told in document["fixes"]:
        told.update({key: run.fixes.get(told["id"], unknown).get(key) for key in unknown})
    return all(told["status"] == "applied" for told in document["fixes"])


def _measure(document: dict[str, Any], runs: list[SideRun], wanted: list[_Wanted], known: Diagnosis | None) -> None:
    from llmprof.analyzers.trial import common_steps, compare, compare_losses, promise_of

    walls, aligned = common_steps([one.steps for one in runs if one.steps is not None])
    promise = promise_of(known, [one.id for one in wanted]) if known is not None else None
    result = compare(walls[0::2], walls[1::2], promise)
    document["comparison"] = {**asdict(result), "predicted_ms": result.predicted_ms}
    losses = compare_losses([one.losses for one in runs[0::2]], [one.losses for one in runs[1::2]])
    document["losses"] = None if losses is None else {key: _finite(value) for key, value in asdict(losses).items()}
    if len(walls) == 2:
        document["warnings"].append(f"{_ONE_EACH}; --pairs 2 and more show it.")
    if not aligned:
        document["warnings"].append(
            "the runs became steady at different steps, so that not the same ones are compared."
        )
    if any(one.id == "persistent-workers" for one in wanted) and not any(one.epochs for one in runs):
        document["warnings"].append(
            "no epoch began in the measured steps, and persistent-workers saves where one does; give --steps more than "
            "an epoch has."
        )
    _warn_of_drift(document, known)


def _finite(value: float | None) -> float | None:
    """JSON has no infinity, and no "not a number"."""
    return value if value is not None and isfinite(value) else None


def _warn_of_drift(document: dict[str, Any], known: Diagnosis | None) -> None:
    """Say so when the plain run is not what the promise was made for."""
    before = known.step.mean_ms if known is not None else None
    now = document["comparison"]["plain"]["mean_ms"]
    if before and abs(now - before) > 0.1 * before:
        text = (
            f"the plain step takes {format_ms(now)} now, and {format_ms(before)} when it was recorded: the machine, "
            "or the data, is not in the same state"
        )
        if document["comparison"]["promise"] is not None:
            text += (
                "; the prediction takes the promised share, its ends none and all of the change; record again for a "
            )
            text += "sharper one"
        document["warnings"].append(f"{text}.")


def _compared(run: Path, other: Path, wanted: list[_Wanted], known: Diagnosis | None) -> dict[str, Any]:
    """The document of a trial that runs nothing: two recorded runs, the second with the fix."""
    from llmprof.analyzers.trial import MIN_STEPS, compare, promise_of
    from llmprof.cli.trial_runs import read_steps
    from llmprof.cli.trials import begin_trial
    from llmprof.errors import NotFoundError

    if not other.is_dir():
        raise NotFoundError(f"{other} is no folder; give the run directory of the changed run.")
    if other.samefile(run):
        raise InputError(f"{other} is the run itself; give --against a run that was recorded with the fix.")
    walls = []
    for path in (run, other):
        steps = read_steps(path)
        if steps is None or steps.number.size < MIN_STEPS:
            raise NotEnoughDataError(
                f"{path} has fewer than {MIN_STEPS} steady unprofiled steps; record a longer run with `llmprof run`."
            )
        walls.append(steps.wall_ns / 1e6)
    document = _document(run, begin_trial(run.absolute())[0], wanted)
    document["against"] = str(other)
    for told in document["fixes"]:
        told["status"] = "by hand"
    promise = promise_of(known, [one.id for one in wanted]) if known is not None else None
    result = compare(walls[:1], walls[1:], promise)
    document["comparison"] = {**asdict(result), "predicted_ms": result.predicted_ms}
    document["warnings"].append(f"{_ONE_EACH}.")
    return document


def _document(run: Path, number: int, wanted: Sequence[_Wanted]) -> dict[str, Any]:
    from llmprof._version import __version__

    return {
        "schema": SCHEMA,
        "llmprof": __version__,
        "number": number,
        "t": time.time_ns(),
        "run": str(run),
        "against": None,
        "fixes": [{**asdict(one), "status": None, "times": None, "what": [], "reasons": []} for one in wanted],
        "runs": [],
        "comparison": None,
        "losses": None,
        "warnings": [],
        "error": None,
        "exit_code": 0,
    }


def _about_run(one: SideRun, run: Path) -> dict[str, Any]:
    steps = one.steps
    return {
        "side": one.side,
        "pair": one.pair,
        "directory": str(one.directory.relative_to(run.absolute())),
        "exit_code": one.exit_code,
        "stopped": one.stopped,
        "steady_steps": _count(one),
        "mean_ms": None if steps is None else float(steps.wall_ns.mean() / 1e6),
    }
