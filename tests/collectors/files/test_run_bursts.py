"""Of several bursts the latest complete one is read, with the baseline before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmprof.collectors.files.run_bursts import burst_warning, chosen_burst, report_of, times_of
from llmprof.errors import InputError
from llmprof.timeline import rundir
from llmprof.timeline.steps import StepPhase, StepTimes


def report(burst: int, steps: list[int], *, complete: bool = True) -> dict[str, Any]:
    return {"burst": burst, "steps": steps, "complete": complete, "file": rundir.trace_files(burst)[0]}


def a_run(path: Path, *reports: dict[str, Any]) -> Path:
    header = {"trace": reports[-1], "bursts": list(reports)} if reports else {}
    rundir.write_json_atomic(rundir.claim_rank_dir(path, 0) / rundir.RANK, header)
    return path


def test_the_latest_that_is_complete_is_chosen(tmp_path: Path) -> None:
    reports = [report(0, [5, 6]), report(1, [30, 31]), report(2, [60], complete=False)]
    run = a_run(tmp_path, *reports)
    assert chosen_burst(run) == 1
    assert chosen_burst(run, 0) == 0
    assert chosen_burst(run, 2) == 2


def test_an_incomplete_one_is_better_than_none(tmp_path: Path) -> None:
    assert chosen_burst(a_run(tmp_path, report(3, [5], complete=False))) == 3


def test_one_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no burst 4; it has 0, 1,"):
        chosen_burst(a_run(tmp_path, report(0, [5]), report(1, [30])), 4)


@pytest.mark.parametrize("header", [{}, {"bursts": "many"}, {"bursts": [1, {"burst": "x"}]}, {"trace": {"steps": [3]}}])
def test_runs_without_a_list_of_bursts_have_one(tmp_path: Path, header: dict[str, Any]) -> None:
    rundir.write_json_atomic(rundir.claim_rank_dir(tmp_path, 0) / rundir.RANK, header)
    assert chosen_burst(tmp_path) == 0
    assert chosen_burst(tmp_path, 0) == 0
    assert report_of(header, 0).get("steps") == ([3] if "trace" in header else None)


def test_a_run_without_rank_0_has_one(tmp_path: Path) -> None:
    assert chosen_burst(tmp_path) == 0


def times(phases: str) -> StepTimes:
    """One step a letter: w(armup), b(aseline), u(nsteady), t(raced), a(fter)."""
    names = {phase.name[0].lower(): phase for phase in StepPhase}
    number = np.arange(len(phases), dtype=np.int64)
    phase = np.array([names[letter] for letter in phases], dtype=np.uint8)
    return StepTimes(number=number, start_ns=number * 10, wall_ns=number * 0 + 10, phase=phase, parts={})


def letters(found: StepTimes) -> str:
    return "".join(StepPhase(value).name[0].lower() for value in found.phase)


def test_each_burst_has_its_own_baseline_and_its_own_traced_steps() -> None:
    header = {"bursts": [report(0, [5, 6]), report(1, [13, 14])]}
    recorded = times("wbbbuttuaabbutta")
    assert letters(times_of(recorded, header, 0)) == "wbbbuttuaaaauuua"
    assert letters(times_of(recorded, header, 1)) == "waaauuuuaabbutta"


def test_with_one_burst_nothing_changes() -> None:
    recorded = times("wbbbuttua")
    assert times_of(recorded, {"bursts": [report(0, [5, 6])]}, 0) is recorded


def test_events_of_another_burst_are_not_told() -> None:
    event = {"kind": "burst_cut_short", "burst": 1, "reason": "why"}
    assert burst_warning(event, 3, 0) is None
    assert burst_warning(event, 3, 1) == "the trace of rank 3 is shorter than planned: why."
    assert burst_warning({"kind": "burst_skipped", "reason": "why"}, 3, 0) == "rank 3 was not traced: why."
    slower = {"kind": "burst_armed", "burst": 1, "cause": "regression", "reason": "why"}
    assert burst_warning(slower, 0, 1) == "the run became slower while it went on: why."
