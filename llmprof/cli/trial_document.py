"""What does the document of a trial say: of each run as it ends, of both sides together, and what to be wary of?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmprof.errors import NotEnoughDataError
from llmprof.units import format_ms

if TYPE_CHECKING:
    from llmprof.analyzers.diagnosis import Diagnosis
    from llmprof.analyzers.trial import Floats, LossComparison, RunSteps
    from llmprof.cli.trial_runs import SideRun

__all__ = ["SCHEMA", "Wanted", "about_run", "compare_recorded", "goes_on", "measure", "new_document"]

SCHEMA = "llmprof.trial/1"
_ONE_EACH = "one run of each side: what runs differ by from one to the next is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One --fix."""

    id: str
    value: str | None
    numerics: bool

    @property
    def text(self) -> str:
        """As on the command line."""
        return self.id if self.value is None else f"{self.id}={self.value}"


def new_document(run: Path, number: int, wanted: Sequence[Wanted]) -> dict[str, Any]:
    """The document of a trial of which nothing is known yet."""
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


def about_run(one: SideRun, run: Path) -> dict[str, Any]:
    """What the document says of one run."""
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


def goes_on(document: dict[str, Any], run: SideRun) -> bool:
    """Note what a run says of its fixes; False, with the reason, when it failed, had no effect, or was too short.

    A script that always leaves with a code other than 0 has not failed by the fix: its steps count, when there are
    enough of them and the fixed run ends as the plain one did, or was ended here.
    """
    from llmprof.analyzers.trial import MIN_STEPS
    from llmprof.cli.trial_runs import last_lines, log_of

    code = NotEnoughDataError.exit_code
    failed, plain = _failed(run), _code_of_plain(document)
    unlike = run.exit_code != plain and not run.stopped
    broken = (failed and _count(run) < MIN_STEPS) or unlike
    applied = run.side == "plain" or (broken and not run.fixes) or _took_effect(document, run)
    if broken:
        other = f", the plain one with {plain}" if plain else ", and the plain one did not"
        alone = other if unlike else f" after {_count(run)} steady steps, and {MIN_STEPS} are needed"
        text = f"the {run.side} run ended with exit code {run.exit_code}{alone}; the end of {log_of(run.directory)}:"
        document.update(exit_code=run.exit_code or code, error=f"{text}\n{last_lines(run)}")
    elif not applied:
        missing = [told for told in document["fixes"] if told["status"] != "applied"]
        words = [f"{told['id']} ({'; '.join(told['reasons'])})" for told in missing]
        document.update(exit_code=code, error=f"never applied, so that nothing was measured: {', '.join(words)}.")
    elif _count(run) < MIN_STEPS:
        ended, advice = (
            ("was ended after --duration", "raise --duration.")
            if run.stopped
            else ("ended by itself", "record a command that trains for longer, and try the fix there.")
        )
        text = f"the {run.side} run {ended} with {_count(run)} steady steps, and {MIN_STEPS} are needed; {advice}"
        document.update(exit_code=code, error=text)
    return document["error"] is None


def _failed(run: SideRun) -> bool:
    return run.exit_code != 0 and not run.stopped


def _code_of_plain(document: dict[str, Any]) -> int:
    """With which code the plain run that stands in the document last ended by itself; 0 when it did not fail."""
    plain = [one for one in document["runs"] if one["side"] == "plain"]
    return 0 if not plain or plain[-1]["stopped"] else int(plain[-1]["exit_code"])


def _count(run: SideRun) -> int:
    return 0 if run.steps is None else int(run.steps.number.size)


def _took_effect(document: dict[str, Any], run: SideRun) -> bool:
    """Note what a fixed run says of each fix; False when one of them has not been applied."""
    unknown = {"status": "never", "times": 0, "what": [], "reasons": ["no step was recorded"]}
    for told in document["fixes"]:
        told.update({key: run.fixes.get(told["id"], unknown).get(key) for key in unknown})
    return all(told["status"] == "applied" for told in document["fixes"])


def measure(
    document: dict[str, Any], runs: Sequence[SideRun], wanted: Sequence[Wanted], known: Diagnosis | None, run: Path
) -> None:
    """Compare the runs, plain and fixed in turns, put the promise beside them, and say what to be wary of."""
    from llmprof.analyzers.trial import common_steps

    walls, aligned = common_steps([one.steps for one in runs if one.steps is not None])
    losses = _beside(document, walls, [one.losses for one in runs], wanted, known)
    warn = document["warnings"].append
    if len(walls) == 2:
        warn(f"{_ONE_EACH}; --pairs 2 and more show it.")
    if code := next((one.exit_code for one in runs if _failed(one)), 0):
        warn(f"the command ends with exit code {code} by itself, with the fix and without; the steps before it count.")
    if not aligned:
        warn("the runs became steady at different steps, so that not the same ones are compared.")
    epochs = any(one.epochs for one in runs)
    if any(one.id == "persistent-workers" for one in wanted) and not epochs:
        warn(
            "no epoch began in the measured steps, and persistent-workers saves where one does; give --steps more than "
            "an epoch has."
        )
    unlike = losses is not None and losses.difference > (losses.plain_difference or 0.0)
    if unlike and epochs and _keeps_workers(document):
        warn(
            "workers that stay draw no seed at an epoch's start, so that what is shuffled comes in another order from "
            "the second epoch on, and losses differ by it."
        )
    _warn_of_versions(document, run, runs[0].directory, "the runs of this trial")
    _warn_of_drift(document, known)


def _beside(
    document: dict[str, Any],
    walls: Sequence[Floats],
    losses: Sequence[Sequence[float]],
    wanted: Sequence[Wanted],
    known: Diagnosis | None,
) -> LossComparison | None:
    """Put the sides and the promise beside each other, and their losses, which are returned.

    walls, losses    of each run, plain and fixed in turns
    """
    from llmprof.analyzers.promise import promise_of
    from llmprof.analyzers.trial import compare, compare_losses

    promise = promise_of(known, [one.id for one in wanted]) if known is not None else None
    result = compare(walls[0::2], walls[1::2], promise)
    document["comparison"] = {**asdict(result), "predicted_ms": result.predicted_ms}
    found = compare_losses(losses[0::2], losses[1::2])
    document["losses"] = None if found is None else {key: _finite(value) for key, value in asdict(found).items()}
    return found


def _keeps_workers(document: Mapping[str, Any]) -> bool:
    """Whether a fix has workers stay; DataLoader draws one number less then (_BaseDataLoaderIter of PyTorch)."""
    return any(
        fix["id"] == "persistent-workers" or any(text.startswith("num_workers 0") for text in fix["what"])
        for fix in document["fixes"]
    )


def _finite(value: float | None) -> float | None:
    """JSON has no infinity, and no "not a number"."""
    return value if value is not None and isfinite(value) else None


def _warn_of_versions(document: dict[str, Any], run: Path, other: Path, name: str) -> None:
    """Say so when it was another Python or torch that ran: a promise is about the one that was recorded."""
    from llmprof.cli.trial_sources import versions_of

    before, now = versions_of(run), versions_of(other)
    changed = [f"{key} {now[key]} and not {before[key]}" for key in before if now.get(key, before[key]) != before[key]]
    if changed:
        document["warnings"].append(f"{name} used {', '.join(changed)}, which was recorded.")


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
                "sharper one"
            )
        document["warnings"].append(f"{text}.")


def compare_recorded(
    document: dict[str, Any],
    run: Path,
    other: Path,
    steps: Sequence[RunSteps],
    wanted: Sequence[Wanted],
    known: Diagnosis | None,
) -> None:
    """Compare the steps of two recorded runs, the second with the fix; nothing is run."""
    from llmprof.cli.trial_sources import losses_of

    document["against"] = str(other)
    for told in document["fixes"]:
        told["status"] = "by hand"
    _beside(document, [one.wall_ns / 1e6 for one in steps], [losses_of(run), losses_of(other)], wanted, known)
    document["warnings"].append(f"{_ONE_EACH}.")
    _warn_of_versions(document, run, other, str(other))
