"""How was the run started that a fix is tried on, on what did it run, and which steps and losses does it hold?"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmprof.collectors.live.fixes.applying.catalogue import VARIABLE
from llmprof.errors import InputError, LlmprofError
from llmprof.timeline import rundir

if TYPE_CHECKING:
    from llmprof.analyzers.trial import RunSteps

__all__ = [
    "Recorded",
    "environment_of",
    "losses_of",
    "read_recorded",
    "read_steps",
    "steady_lines",
    "steps_of",
    "told_of",
    "trained_without_gpu",
    "versions_of",
]

_TRIAL = "trial.json"
_OF_ONE_RANK = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_OF_THE_LAUNCHER = ("RANK", "LOCAL_", "WORLD_SIZE", "SLURM_", "OMPI_", "LD_PRELOAD", "PYTHON", "TORCHELASTIC_")
"""Beginnings of variables that a launcher gives each rank anew, or that the recorder has no business with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """How the run was started that a fix is tried on."""

    command: tuple[str, ...]
    cwd: Path
    variables: Mapping[str, str]
    """Recorded environment variables that this shell does not have."""
    search: Mapping[str, str] = field(default_factory=dict)
    """Where programs were looked up (rundir.SEARCH); empty where the run does not say."""


def read_recorded(run: Path) -> Recorded:
    """How this run was started. Raises LlmprofError when it cannot be started again here."""
    header = rundir.read_json(run / rundir.RUN)
    command = header.get("command")
    if not isinstance(command, list) or not command:
        raise InputError(f"{run / rundir.RUN} holds no command; only a run of `llmprof run` can be tried again.")
    if Path(str(command[0])).name == "nsys":
        raise InputError(
            f"{run} was recorded under nsys, which would run again; record it without --nsys, and try the fix there."
        )
    hosts = []
    for path in rundir.wrapper_files(run):
        with contextlib.suppress(LlmprofError):
            hosts.append(rundir.read_json(path).get("host"))
    if len(hosts) > 1:
        where = f"on {len(set(hosts))} nodes" if len(set(hosts)) > 1 else f"by {len(hosts)} commands side by side"
        raise InputError(
            f"{run} was recorded {where}, and a fix is tried with one command on one node; record a run that one "
            "command starts (torchrun), or apply the fix, record again and give that run with --against."
        )
    cwd = Path(header.get("cwd") or os.getcwd())
    if not cwd.is_dir():
        raise InputError(f"{cwd}, where the command of {run} was started, does not exist; start llmprof where it is.")
    return Recorded(command=tuple(map(str, command)), cwd=cwd, variables=_variables(run), search=_search(header))


def environment_of(recorded: Recorded, fixes: Sequence[str]) -> dict[str, str]:
    """The environment of this shell with what the run adds; a bare `python` is the one that the run had found."""
    environment = {**recorded.variables, **os.environ, VARIABLE: ",".join(fixes)}
    if not recorded.search:
        return environment
    today = environment.get("PATH", "").split(os.pathsep)
    for name in rundir.SEARCH:
        environment.pop(name, None)
    environment.update(recorded.search)
    places = [*environment.get("PATH", "").split(os.pathsep), *today]
    environment["PATH"] = os.pathsep.join(place for place in dict.fromkeys(places) if place)
    return environment


def trained_without_gpu(run: Path) -> bool:
    """Whether every rank that tells its settings tells of no GPU."""
    told = []
    for _, _, folder in rundir.rank_dirs(run):
        with contextlib.suppress(LlmprofError):
            header = rundir.read_json(folder / rundir.RANK)
            environment = header.get("environment")
            if isinstance(environment, dict) and environment.get("torch_version"):
                told.append(header.get("device") or environment.get("device"))
    return bool(told) and not any(told)


def versions_of(run: Path) -> dict[str, str]:
    """What the first rank that tells it ran on: Python, torch and CUDA with their versions."""
    for _, _, folder in rundir.rank_dirs(run):
        with contextlib.suppress(LlmprofError):
            found = rundir.read_json(folder / rundir.RANK).get("environment")
            if isinstance(found, dict) and found.get("torch_version"):
                names = {"Python": "python_version", "torch": "torch_version", "CUDA": "cuda_version"}
                return {name: str(found[key]) for name, key in names.items() if found.get(key)}
    return {}


def read_steps(run: Path) -> RunSteps | None:
    """The steady unprofiled steps of a run's first rank; None when there are none."""
    return steps_of(steady_lines(run))


def steady_lines(run: Path) -> list[dict[str, Any]]:
    """The lines of the steady steps of the first rank that has any."""
    for _, _, folder in rundir.rank_dirs(run):
        with contextlib.suppress(LlmprofError):
            lines = rundir.read_json_lines(folder / rundir.STEPS)
            if steady := [line for line in lines if line.get("phase") == "baseline"]:
                return steady
    return []


def steps_of(lines: Sequence[Mapping[str, Any]]) -> RunSteps | None:
    """These lines as steps; None for none."""
    from llmprof.analyzers.trial import RunSteps

    return RunSteps.of([(line["n"], line["wall"]) for line in lines]) if lines else None


def losses_of(run: Path) -> list[float]:
    """The losses that this run has kept; none of a usual one."""
    kept: list[float] = told_of(run)["losses"]
    return kept


def told_of(run: Path) -> dict[str, Any]:
    """Losses and fixes of the first rank, and which fix has failed on any."""
    losses: list[float] = []
    fixes: dict[str, dict[str, Any]] = {}
    for _, _, folder in rundir.rank_dirs(run):
        with contextlib.suppress(LlmprofError):
            told = rundir.read_json(folder / _TRIAL)
            losses = losses or [float(value) for value in told.get("losses") or ()]
            for name, report in (told.get("fixes") or {}).items():
                if name not in fixes or report.get("status") == "failed":
                    fixes[name] = report
    return {"losses": losses, "fixes": fixes}


def _search(header: Mapping[str, Any]) -> dict[str, str]:
    found = header.get("search")
    known = found if isinstance(found, dict) else {}
    return {name: known[name] for name in rundir.SEARCH if isinstance(known.get(name), str)}


def _variables(run: Path) -> dict[str, str]:
    """Of the recorded variables those that are whole and the same on every rank; launchers set theirs again."""
    ranks: list[dict[str, str]] = []
    for _, _, folder in rundir.rank_dirs(run):
        with contextlib.suppress(LlmprofError):
            environment = rundir.read_json(folder / rundir.RANK).get("environment")
            found = environment.get("variables") if isinstance(environment, dict) else None
            ranks.append({str(name): str(value) for name, value in (found or {}).items()})
    left_out = _OF_THE_LAUNCHER if len(ranks) < 2 else (*_OF_THE_LAUNCHER, *_OF_ONE_RANK)
    return {
        name: value
        for name, value in (ranks[0] if ranks else {}).items()
        if not name.startswith(left_out)
        and "~" not in value
        and not value.endswith("...")
        and all(rank.get(name) == value for rank in ranks)
    }
