"""Which runs count in a trial, and what it warns of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmprof.analyzers.trial import RunSteps
from llmprof.cli.trial_document import Wanted, about_run, compare_recorded, goes_on, measure, new_document
from llmprof.cli.trial_runs import SideRun
from llmprof.cli.trial_text import trial_text
from llmprof.timeline import rundir

FIX = Wanted(id="persistent-workers", value=None, numerics=False)
APPLIED = {FIX.id: {"status": "applied", "times": 1, "what": ["changed"], "reasons": []}}


def steps(count: int, mean_ms: float = 100.0) -> RunSteps:
    number = np.arange(5, 5 + count)
    return RunSteps(number=number, wall_ns=(mean_ms * 1e6 * (1 + 0.01 * np.sin(number))).astype(np.int64))


def side(name: str, folder: Path, code: int, *, stopped: bool = False, count: int = 20, **others: Any) -> SideRun:
    values: dict[str, Any] = {"fixes": APPLIED if name == "fixed" else {}, "epochs": 1, **others}
    return SideRun(
        side=name,
        pair=1,
        directory=folder / f"{name}-1",
        exit_code=code,
        stopped=stopped,
        steps=steps(count) if count else None,
        **values,
    )


def trial(folder: Path, *runs: SideRun) -> tuple[dict[str, Any], bool]:
    """The document after these runs, and whether it goes on."""
    document = new_document(folder, 1, [FIX])
    on = True
    for run in runs:
        document["runs"].append(about_run(run, folder))
        on = on and goes_on(document, run)
    return document, on


def test_a_script_that_always_ends_with_a_code_is_compared_and_warned_of(tmp_path: Path) -> None:
    """A loop that calls sys.exit(3) when its data are over: both sides do, after steps enough."""
    runs = [side("plain", tmp_path, 3), side("fixed", tmp_path, 3)]
    document, on = trial(tmp_path, *runs)
    assert on and document["exit_code"] == 0
    assert document["fixes"][0]["status"] == "applied"
    measure(document, runs, [FIX], None, tmp_path)
    assert document["comparison"]["saved_ms"] == pytest.approx(0)
    assert any("exit code 3 by itself, with the fix and without" in text for text in document["warnings"])


def test_a_fixed_run_that_was_ended_before_the_plain_one_ends_with_a_code_counts(tmp_path: Path) -> None:
    assert trial(tmp_path, side("plain", tmp_path, 3), side("fixed", tmp_path, 143, stopped=True))[1]


@pytest.mark.parametrize(
    ("plain", "fixed", "code", "told"),
    [
        ((0, 20), (3, 20), 3, "the fixed run ended with exit code 3, and the plain one did not"),
        ((3, 20), (1, 20), 1, "the fixed run ended with exit code 1, the plain one with 3"),
        ((3, 20), (0, 20), 4, "the fixed run ended with exit code 0, the plain one with 3"),
        ((3, 20), (3, 2), 3, "the fixed run ended with exit code 3 after 2 steady steps, and 3 are needed; the end of"),
        ((3, 2), None, 3, "the plain run ended with exit code 3 after 2 steady steps, and 3 are needed; the end of"),
        ((3, 0), None, 3, "the plain run ended with exit code 3 after 0 steady steps, and 3 are needed; the end of"),
    ],
)
def test_runs_that_end_in_other_ways_or_before_their_steps_do_not_count(
    tmp_path: Path, plain: tuple[int, int], fixed: tuple[int, int] | None, code: int, told: str
) -> None:
    runs = [side("plain", tmp_path, plain[0], count=plain[1])]
    if fixed is not None:
        runs.append(side("fixed", tmp_path, fixed[0], count=fixed[1]))
    document, on = trial(tmp_path, *runs)
    assert not on
    assert document["exit_code"] == code
    assert document["error"].startswith(told)


def test_a_fix_without_effect_is_none_though_both_runs_end_with_a_code(tmp_path: Path) -> None:
    document, on = trial(tmp_path, side("plain", tmp_path, 3), side("fixed", tmp_path, 3, fixes={}))
    assert not on
    assert document["exit_code"] == 4
    assert "never applied" in document["error"]


def rank(run: Path, torch: str, **trial: Any) -> None:
    folder = rundir.claim_rank_dir(run, 0)
    rundir.write_json_atomic(folder / rundir.RANK, {"environment": {"torch_version": torch, "python_version": "3.11"}})
    if trial:
        rundir.write_json_atomic(folder / "trial.json", trial)


@pytest.mark.parametrize(("now", "warned"), [("2.13.0", False), ("2.4.1", True)])
def test_runs_on_another_torch_are_warned_of(tmp_path: Path, now: str, warned: bool) -> None:
    rank(tmp_path, "2.13.0")
    rank(tmp_path / "plain-1", now)
    runs = [side("plain", tmp_path, 0), side("fixed", tmp_path, 0)]
    document = trial(tmp_path, *runs)[0]
    measure(document, runs, [FIX], None, tmp_path)
    text = "the runs of this trial used torch 2.4.1 and not 2.13.0, which was recorded."
    assert (text in document["warnings"]) is warned


@pytest.mark.parametrize(
    ("fixed", "epochs", "warned"),
    [([2.0, 1.0, 0.9, 0.9], 1, True), ([2.0, 1.0, 0.5, 0.5], 1, False), ([2.0, 1.0, 0.9, 0.9], 0, False)],
)
def test_another_order_of_the_samples_is_told_where_losses_differ_and_an_epoch_began(
    tmp_path: Path, fixed: list[float], epochs: int, warned: bool
) -> None:
    losses = ([2.0, 1.0, 0.5, 0.5], fixed)
    runs = [side(n, tmp_path, 0, losses=x, epochs=epochs) for n, x in zip(("plain", "fixed"), losses, strict=True)]
    document = trial(tmp_path, *runs)[0]
    measure(document, runs, [FIX], None, tmp_path)
    assert any("in another order" in text for text in document["warnings"]) is warned


def against(run: Path, other: Path) -> dict[str, Any]:
    document = new_document(run, 1, [FIX])
    compare_recorded(document, run, other, [steps(20), steps(20, 60.0)], [FIX], None)
    return document


def test_losses_that_were_not_recorded_are_named_as_missing(tmp_path: Path) -> None:
    rank(tmp_path / "a", "2.13.0", losses=[2.0, 1.0], fixes={})
    rank(tmp_path / "b", "2.13.0")
    document = against(tmp_path / "a", tmp_path / "b")
    assert document["losses"] is None
    told = trial_text(document, "x")
    assert "losses     not compared: a usual recording holds none" in told
    assert "LLMPROF_FIXES= llmprof run -- COMMAND" in told


def test_losses_that_both_runs_have_kept_are_compared(tmp_path: Path) -> None:
    rank(tmp_path / "a", "2.13.0", losses=[2.0, 1.0], fixes={})
    rank(tmp_path / "b", "2.13.0", losses=[2.0, 1.1], fixes={})
    document = against(tmp_path / "a", tmp_path / "b")
    assert document["losses"]["difference"] == pytest.approx(0.05)
    assert "losses     plain 1, fixed 1.1 at the end of 2 backwards" in trial_text(document, "x")


def test_recordings_that_differ_too_much_are_not_to_be_tried_in_more_pairs(tmp_path: Path) -> None:
    document = against(tmp_path / "a", tmp_path / "b")
    document["comparison"]["outcome"] = "undecided"
    assert "too much to tell; record longer runs" in trial_text(document, "x")
    document["against"] = None
    assert "too much to tell; add --pairs and --steps" in trial_text(document, "x")
