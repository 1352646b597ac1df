"""After a trial the results that lie in the run directory tell of it, as they were made; a failure changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.cli.trial_results import renew_results
from llmprof.cli.trials import write_trial
from llmprof.reports import write_report
from llmprof.reports.terminal import render_plain
from llmprof.timeline import rundir
from tests.cli.conftest import InProcess, assert_one_sentence, make_diagnosis

TRIED = {
    "fixes": [{"id": "dataloader-workers"}],
    "comparison": {
        "outcome": "kept",
        "plain": {"mean_ms": 100.0},
        "fixed": {"mean_ms": 47.5, "low_ms": 46.0, "high_ms": 49.0},
        "predicted_ms": [45.0, 40.0, 60.0],
    },
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with the three results that `llmprof run` leaves, and a trial that they do not know."""
    folder = tmp_path / "run"
    (folder / "trials").mkdir(parents=True)
    diagnosis = make_diagnosis(bound="data")
    write_report(diagnosis, folder / "analysis.json")
    write_report(diagnosis, folder / "report.html", redact=True)
    (folder / "verdict.txt").write_text(render_plain(diagnosis))
    write_trial(folder, 1, TRIED)
    return folder


def test_all_results_that_are_there_tell_of_the_trial(run: Path) -> None:
    names = ["analysis.json", "report.html", "verdict.txt"]
    assert renew_results(run) == [run / name for name in names]
    item = Diagnosis.from_json((run / "analysis.json").read_text()).recommendations[0]
    assert item.tried is not None and item.tried.step_ms == 47.5
    assert "tried: 100 ms \N{RIGHTWARDS ARROW} 47.5 ms" in (run / "report.html").read_text()
    assert "tried: 100 ms -> 47.5 ms" in (run / "verdict.txt").read_text()


def test_what_was_not_there_is_not_made(run: Path) -> None:
    for name in ("report.html", "verdict.txt"):
        (run / name).unlink()
    assert renew_results(run) == [run / "analysis.json"]
    (run / "analysis.json").unlink()
    assert renew_results(run) == []
    assert sorted(path.name for path in run.iterdir()) == ["trials"]


def test_a_second_time_changes_nothing_more(run: Path) -> None:
    renew_results(run)
    first = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    renew_results(run)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == first


@pytest.mark.parametrize(("name", "text"), [("analysis.json", "{"), ("report.html", "<html></html>")])
def test_what_cannot_be_renewed_is_one_sentence(
    run: Path, name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).write_text(text)
    assert renew_results(run) == []
    told = capsys.readouterr().err
    assert_one_sentence(told)
    assert f"`llmprof analyze {run} -o {run}` does" in told
    assert (run / name).read_text() == text


@pytest.mark.parametrize("broken", [False, True])
def test_the_command_names_the_report_and_leaves_as_the_trial_did(
    in_process: InProcess, run: Path, broken: bool
) -> None:
    rundir.write_json_atomic(run / rundir.RUN, rundir.new_run(["train"], {}, "0"))
    other = run.parent / "other"
    for path, wall in ((run, 100), (other, 50)):
        folder = rundir.claim_rank_dir(path, 0)
        lines = [{"n": n, "wall": int(1e6 * (wall + n % 3)), "phase": "baseline"} for n in range(20)]
        (folder / rundir.STEPS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    if broken:
        (run / "report.html").write_text("mine")
    done = in_process("try", "--fix", "dataloader-workers", run, "--against", other)
    assert done.returncode == 0
    assert "the promise came true" in done.stdout
    assert (f"report     {run / 'report.html'}" in done.stdout) is not broken
    assert ("do not tell of the trial" in done.stderr) is broken
