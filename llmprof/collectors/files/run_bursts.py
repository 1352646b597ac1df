"""Which of a run's bursts is read, and which steps belong to it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from llmprof.errors import InputError, LlmprofError
from llmprof.timeline import rundir
from llmprof.timeline.steps import StepPhase, StepTimes

__all__ = ["burst_warning", "chosen_burst", "report_of", "times_of"]

Record = Mapping[str, Any]


def chosen_burst(run: Path, wanted: int | None = None) -> int:
    """The burst to read of every rank: the latest that is complete on rank 0, whose plan it was, or the `wanted` one.

    Raises InputError when rank 0 has not written the wanted one.
    """
    firsts = [folder for rank, _, folder in rundir.rank_dirs(run) if rank == 0]
    header: Record = {}
    if firsts:
        try:
            header = rundir.read_json(firsts[-1] / rundir.RANK)
        except LlmprofError:  # without it there is still the trace of the first burst
            header = {}
    reports = _reports(header)
    there = [report["burst"] for report in reports]
    if wanted is not None:
        if wanted in there or (wanted == 0 and not there):
            return wanted
        known = ", ".join(map(str, there)) or "0"
        raise InputError(f"{run} has no burst {wanted}; it has {known}, leave --burst out to read the latest.")
    return max((report["burst"] for report in reports if report.get("complete")), default=there[0] if there else 0)


def report_of(header: Record, burst: int) -> Record:
    """What rank.json says of one burst; empty when it says nothing."""
    found = next((report for report in _reports(header) if report["burst"] == burst), None)
    if found is not None:
        return found
    trace = header.get("trace")
    return trace if isinstance(trace, dict) and burst == 0 and trace.get("burst") in (None, 0) else {}


def times_of(times: StepTimes, header: Record, burst: int) -> StepTimes:
    """The same steps, with the baseline and the traced steps of this burst alone called so.

    The baseline of a burst lies between the burst before it and itself; other steady steps are as those after a burst.
    """
    reports = _reports(header)
    if len(reports) < 2:
        return times
    steps = {report["burst"]: _steps(report) for report in reports}
    mine = steps.get(burst) or [int(times.number[-1]) + 1]
    before = max((number for other, numbers in steps.items() if other < burst for number in numbers), default=-1)
    phase = times.phase.copy()
    foreign = (times.number <= before) | (times.number >= min(mine))
    phase[(phase == StepPhase.BASELINE) & foreign] = StepPhase.AFTER
    phase[(phase == StepPhase.TRACED) & ~np.isin(times.number, mine)] = StepPhase.UNSTEADY
    return replace(times, phase=phase)


def burst_warning(event: Record, rank: int, burst: int) -> str | None:
    """What an event says of this burst that a reader of the report should know."""
    kind, reason = event.get("kind"), event.get("reason")
    if kind == "burst_armed" and event.get("cause") == "regression":
        return f"the run became slower while it went on: {reason}."
    if event.get("burst", burst) != burst:
        return None
    if kind == "burst_skipped":
        return f"rank {rank} was not traced: {reason}."
    if kind == "burst_cut_short":
        return f"the trace of rank {rank} is shorter than planned: {reason}."
    if kind == "burst_shortened":
        return f"the burst is smaller than usual: {reason}."
    return None


def _reports(header: Record) -> Sequence[Record]:
    given = header.get("bursts")
    found = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    return sorted((one for one in found if type(one.get("burst")) is int), key=lambda one: int(one["burst"]))


def _steps(report: Record) -> list[int]:
    steps = report.get("steps")
    return [step for step in steps if type(step) is int] if isinstance(steps, list) else []
