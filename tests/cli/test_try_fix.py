"""`llmprof try` runs both sides, ends them, says what the fix did, and never takes a fix without effect for a proof."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.analyzers.trial import RunSteps
from llmprof.cli import trial_runs
from llmprof.cli.app import main
from llmprof.cli.trial_runs import SideRun
from llmprof.cli.trial_sources import read_recorded
from llmprof.errors import InputError, NotFoundError
from llmprof.timeline import rundir
from tests.cli.conftest import ROOT, InProcess, Llmprof, assert_one_sentence, make_diagnosis

LOOP = """
import time, torch
from torch.utils.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self): return 1_000_000
    def __getitem__(self, index):
        time.sleep(0.02)
        return torch.full((8,), float(index % 7))

torch.manual_seed(0)
model = torch.nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
for batch in DataLoader(Slow(), batch_size=1):
    model(batch).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
"""


def recorded(folder: Path, *command: str, fix: str = "dataloader-workers", how: str = "") -> Path:
    """A run directory of this command whose analysis promises 40 to 60 ms of 100 for one fix."""
    run = folder / "run"
    run.mkdir()
    rundir.write_json_atomic(run / rundir.RUN, {**rundir.new_run(command, {}, "0"), "cwd": str(folder)})
    diagnosis = make_diagnosis(bound="data")
    item = replace(diagnosis.recommendations[0], id=fix, how=how or "num_workers=0) -> DataLoader(num_workers=2)")
    (run / "analysis.json").write_text(replace(diagnosis, recommendations=(item,)).to_json())
    return run


def test_a_fix_is_measured_on_real_training(llmprof: Llmprof, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "loop.py").write_text(LOOP)
    run = recorded(tmp_path, sys.executable, "loop.py")
    done = llmprof("try", "--fix", "dataloader-workers", "--pairs", "1", "--steps", "8", run)
    assert done.returncode == 0, done.stderr
    document = rundir.read_json(run / "trials" / "1.json")
    (fix,) = document["fixes"]
    assert (fix["status"], fix["value"], fix["what"]) == ("applied", "2", ["num_workers 0 -> 2"])
    assert [(one["side"], one["stopped"]) for one in document["runs"]] == [("plain", True), ("fixed", True)]
    assert all(one["steady_steps"] >= 8 for one in document["runs"])
    fixed = rundir.read_json(run / "trials/1/fixed-1/ranks/r00000/rank.json")["environment"]["loaders"]
    assert fixed[0]["num_workers"] == 2
    # A sample sleeps 20 ms: two workers halve the wait, whatever else the machine does.
    assert document["comparison"]["saved_ms"] > 0
    assert document["losses"]["difference"] == 0
    assert "num_workers 0 -> 2" in done.stdout
    assert "predicted" in done.stdout
    assert processes_in(run) == []


def processes_in(run: Path) -> list[str]:
    """Command lines of processes that still record into this run."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if str(run) in line]


# What follows needs no training: the sides are given.

Sides = Callable[..., list[list[str]]]


def side(name: str, pair: int, directory: Path, mean_ms: float, **others: Any) -> SideRun:
    number = np.arange(5, 25)
    walls = (mean_ms * 1e6 * (1 + 0.01 * np.sin(number))).astype(np.int64)
    values: dict[str, Any] = {"exit_code": 143, "stopped": True, "losses": [2.0, 1.0, 0.5, 0.5], **others}
    values.setdefault("steps", RunSteps(number=number, wall_ns=walls))
    return SideRun(side=name, pair=pair, directory=directory, **values)


@pytest.fixture
def sides(monkeypatch: pytest.MonkeyPatch) -> Sides:
    """`sides(plain={...}, fixed={...})` gives what runs shall say; returns the fixes of each run, as it is started."""

    def give(plain: dict[str, Any], fixed: dict[str, Any]) -> list[list[str]]:
        started: list[list[str]] = []

        def run_side(recorded: Any, directory: Path, *, fixes: list[str], side: str, pair: int, **_: Any) -> SideRun:
            started.append(list(fixes))
            name, values = side, dict(plain if side == "plain" else fixed)
            return make(name, pair, directory, **values)

        monkeypatch.setattr(trial_runs, "run_side", run_side)
        return started

    make = side
    return give


APPLIED = {"status": "applied", "times": 1, "what": ["changed"], "reasons": []}


def call(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(one) for one in arguments])
    return int(left.value.code or 0)


def test_runs_take_turns_and_the_value_comes_from_the_recommendation(sides: Sides, tmp_path: Path) -> None:
    run = recorded(tmp_path, "train")
    started = sides({"mean_ms": 100}, {"mean_ms": 55, "fixes": {"dataloader-workers": APPLIED}})
    assert call("try", "--fix", "dataloader-workers", run) == 0
    assert started == [[], ["dataloader-workers=2"]] * 2
    assert rundir.read_json(run / "trials" / "1.json")["comparison"]["outcome"] == "kept"


def test_the_value_of_the_command_line_wins(sides: Sides, tmp_path: Path) -> None:
    started = sides({"mean_ms": 100}, {"mean_ms": 55, "fixes": {"dataloader-workers": APPLIED}})
    call("try", "--fix", "dataloader-workers=7", "--pairs", "1", recorded(tmp_path, "train"))
    assert started == [[], ["dataloader-workers=7"]]


def test_a_gain_that_may_be_none_does_not_let_a_promise_of_perhaps_none_come_true(
    sides: Sides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = recorded(tmp_path, "train")
    analysis = rundir.read_json(run / "analysis.json")
    analysis["recommendations"][0]["gain"]["low_ms"] = 0.0
    rundir.write_json_atomic(run / "analysis.json", analysis)
    sides({"mean_ms": 100}, {"mean_ms": 100, "fixes": {"dataloader-workers": APPLIED}})
    assert call("try", "--fix", "dataloader-workers", run) == 0
    assert rundir.read_json(run / "trials" / "1.json")["comparison"]["outcome"] == "kept"
    assert "as no gain would be" in capsys.readouterr().out


def test_a_step_that_has_become_longer_is_called_so(
    sides: Sides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides({"mean_ms": 100}, {"mean_ms": 120, "fixes": {"dataloader-workers": APPLIED}})
    assert call("try", "--fix", "dataloader-workers", recorded(tmp_path, "train")) == 0
    assert "less than was promised: the step has become longer" in capsys.readouterr().out


@pytest.mark.parametrize(("pairs", "told"), [(1, True), (2, False)])
def test_a_single_pair_is_told_to_know_nothing_of_other_runs(
    sides: Sides, tmp_path: Path, pairs: int, told: bool
) -> None:
    run = recorded(tmp_path, "train")
    sides({"mean_ms": 100}, {"mean_ms": 55, "fixes": {"dataloader-workers": APPLIED}})
    assert call("try", "--fix", "dataloader-workers", "--pairs", str(pairs), run) == 0
    warnings = rundir.read_json(run / "trials" / "1.json")["warnings"]
    assert any("one run of each side" in text for text in warnings) == told


def test_the_document_alone_is_printed_on_request(
    sides: Sides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = recorded(tmp_path, "train")
    sides({"mean_ms": 100}, {"mean_ms": 55, "fixes": {"dataloader-workers": APPLIED}})
    assert call("try", "--json", "--fix", "dataloader-workers", run) == 0
    assert json.loads(capsys.readouterr().out) == rundir.read_json(run / "trials" / "1.json")


@pytest.mark.parametrize(
    ("fixes", "reason"),
    [
        ({"dataloader-workers": {**APPLIED, "status": "never", "reasons": ["no loader"]}}, "no loader"),
        ({"dataloader-workers": {**APPLIED, "status": "failed", "reasons": ["KeyError: 1"]}}, "KeyError: 1"),
        ({}, "no step was recorded"),
    ],
)
def test_a_fix_that_was_never_applied_is_no_measurement(
    sides: Sides, tmp_path: Path, capsys: pytest.CaptureFixture[str], fixes: dict[str, Any], reason: str
) -> None:
    run = recorded(tmp_path, "train")
    started = sides({"mean_ms": 100}, {"mean_ms": 55, "fixes": fixes})
    assert call("try", "--fix", "dataloader-workers", run) == 4
    assert len(started) == 2, "what has no effect once is not run again"
    assert rundir.read_json(run / "trials" / "1.json")["comparison"] is None
    assert reason in capsys.readouterr().err


def test_the_code_of_a_run_that_failed_is_passed_on(
    sides: Sides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = recorded(tmp_path, "train")
    sides({"mean_ms": 100}, {"mean_ms": 55, "exit_code": 3, "stopped": False})
    (run / "trials" / "1").mkdir(parents=True)
    (run / "trials" / "2").mkdir()
    assert call("try", "--fix", "dataloader-workers", run) == 3
    assert rundir.read_json(run / "trials" / "3.json")["exit_code"] == 3
    told = capsys.readouterr().err
    assert "the fixed run ended with exit code 3, and the plain one did not" in told
    assert str(run / "trials" / "3" / "fixed-1.log") in told


def test_the_end_of_a_log_is_what_the_command_printed_last(tmp_path: Path) -> None:
    one = side("fixed", 1, tmp_path / "fixed-1", 50.0)
    trial_runs.log_of(one.directory).write_text("ValueError: no\n\nllmprof: recorded in x; diagnose it with `y`.\n")
    assert trial_runs.last_lines(one) == "ValueError: no"


def test_what_a_launcher_says_of_a_failed_process_does_not_hide_why_it_failed(tmp_path: Path) -> None:
    one = side("fixed", 1, tmp_path / "fixed-1", 50.0)
    launcher = [
        "Traceback (most recent call last):",
        *['  File "torch/distributed/run.py", line 1'] * 20,
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ",
        *["  exitcode  : 1"] * 20,
    ]
    trial_runs.log_of(one.directory).write_text(
        "\n".join(["[rank1]: ValueError: no", "E1123 failed (exitcode: 1) local_rank: 1", *launcher])
    )
    assert trial_runs.last_lines(one).splitlines()[0] == "[rank1]: ValueError: no"
    assert "exitcode  :" not in trial_runs.last_lines(one)


@pytest.mark.parametrize(("stopped", "advice"), [(False, "trains for longer"), (True, "raise --duration")])
def test_a_run_without_steady_steps_ends_the_trial_with_what_to_do(
    sides: Sides, tmp_path: Path, capsys: pytest.CaptureFixture[str], stopped: bool, advice: str
) -> None:
    run = recorded(tmp_path, "train")
    started = sides({"mean_ms": 100, "steps": None, "exit_code": 0, "stopped": stopped}, {"mean_ms": 50})
    assert call("try", "--fix", "dataloader-workers", run) == 4
    assert started == [[]], "a second run would be as short"
    assert rundir.read_json(run / "trials" / "1.json")["runs"][0]["steady_steps"] == 0
    assert advice in capsys.readouterr().err


def test_a_trial_that_is_interrupted_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = recorded(tmp_path, "train")

    def run_side(recorded: Any, directory: Path, **_: Any) -> SideRun:
        directory.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(trial_runs, "run_side", run_side)
    assert call("try", "--fix", "dataloader-workers", run) == 130
    assert not (run / "trials").exists()
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("begun", [4, 5])
def test_whole_pairs_of_a_trial_that_is_interrupted_are_kept(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], begun: int
) -> None:
    """Hours of training may lie in them; a plain run without its fixed one says nothing."""
    run = recorded(tmp_path, "train")
    started = sides({"mean_ms": 100}, {"mean_ms": 55, "fixes": {"dataloader-workers": APPLIED}})
    run_side = trial_runs.run_side

    def interrupted(*args: Any, **named: Any) -> SideRun:
        if len(started) == begun:
            raise KeyboardInterrupt
        return run_side(*args, **named)

    monkeypatch.setattr(trial_runs, "run_side", interrupted)
    assert call("try", "--fix", "dataloader-workers", "--pairs", "5", run) == 130
    document = rundir.read_json(run / "trials" / "1.json")
    assert [one["side"] for one in document["runs"]] == ["plain", "fixed"] * 2
    assert document["comparison"]["outcome"] == "kept"
    (tried,) = Diagnosis.from_json((run / "analysis.json").read_text()).recommendations
    assert tried.tried is not None
    assert "2 of 5 pairs" in capsys.readouterr().out


def test_a_machine_that_has_drifted_is_told_of_and_promised_the_share(
    sides: Sides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """40 to 60 ms, expected 50, were promised of 100; the plain step takes 120 now."""
    run = recorded(tmp_path, "train")
    analysis = rundir.read_json(run / "analysis.json")
    gain = analysis["recommendations"][0]["gain"]
    sides({"mean_ms": 120}, {"mean_ms": 62, "fixes": {"dataloader-workers": APPLIED}})
    assert call("try", "--fix", "dataloader-workers", run) == 0
    result = rundir.read_json(run / "trials" / "1.json")["comparison"]
    step, plain = analysis["step"]["mean_ms"], result["plain"]["mean_ms"]
    assert result["promise"] == {
        **{key: gain[key] for key in ("expected_ms", "low_ms", "high_ms")},
        "step_ms": step,
    }
    expected = plain * (1 - gain["expected_ms"] / step)
    assert result["predicted_ms"][0] == pytest.approx(expected)
    assert result["predicted_ms"][1:] == pytest.approx(
        [plain - (gain["high_ms"] + plain - step), plain - gain["low_ms"]]
    )
    assert "promised share" in capsys.readouterr().out


def test_what_changes_the_numbers_has_to_be_allowed(llmprof: Llmprof, tmp_path: Path) -> None:
    done = llmprof("try", "--fix", "bf16-autocast", recorded(tmp_path, "train"))
    assert done.returncode == 2
    assert "--allow-numerics" in done.stderr


def test_what_needs_a_gpu_is_not_run_where_none_was_recorded(
    sides: Sides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = recorded(tmp_path, "train")
    started = sides({"mean_ms": 100}, {"mean_ms": 55})
    rank = {"device": None, "environment": {"torch_version": "2.13.0", "device": {}}}
    rundir.write_json_atomic(rundir.claim_rank_dir(run, 0) / rundir.RANK, rank)
    assert call("try", "--fix", "pin-memory", "--fix", "gc-policy", run) == 4
    told = capsys.readouterr().err
    assert_one_sentence(told)
    assert "pin-memory is not applicable" in told
    assert started == []
    assert not (run / "trials").exists()


@pytest.mark.parametrize(
    ("fixes", "said"),
    [
        (["dataloader-workers=many"], "takes a whole number above 0"),
        (["gc-policy=0"], "takes a whole number above 0"),
        (["fused-optimizer=2"], "takes no value"),
        (["dataloader-workers=2", "dataloader-workers=4"], "is given twice"),
        (["fused-optimizer", "foreach-optimizer"], "only one can be done"),
    ],
)
def test_what_cannot_take_effect_as_it_was_said_is_refused(
    in_process: InProcess, tmp_path: Path, fixes: list[str], said: str
) -> None:
    arguments = [part for fix in fixes for part in ("--fix", fix)]
    done = in_process("try", *arguments, recorded(tmp_path, "train"))
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_sentence(done.stderr)
    assert said in done.stderr


@pytest.mark.parametrize("epochs", [0, 1])
def test_workers_that_stay_are_not_judged_where_none_would_have_gone(sides: Sides, tmp_path: Path, epochs: int) -> None:
    run = recorded(tmp_path, "train", fix="persistent-workers")
    sides({"mean_ms": 100, "epochs": epochs}, {"mean_ms": 100, "fixes": {"persistent-workers": APPLIED}})
    assert call("try", "--fix", "persistent-workers", run) == 0
    told = " ".join(rundir.read_json(run / "trials" / "1.json")["warnings"])
    assert ("no epoch began in the measured steps" in told) is (epochs == 0)


def test_a_promise_that_counts_on_another_fix_is_told_of(
    sides: Sides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = recorded(tmp_path, "train", fix="cuda-graphs")
    known = Diagnosis.from_json((run / "analysis.json").read_text())
    item = replace(known.recommendations[0], requires=("remove-sync",))
    (run / "analysis.json").write_text(replace(known, recommendations=(item,)).to_json())
    sides({"mean_ms": 100}, {"mean_ms": 55, "fixes": {"cuda-graphs": APPLIED}})
    assert call("try", "--fix", "cuda-graphs", "--allow-numerics", run) == 0
    warning = "the promise of cuda-graphs counts on remove-sync, which is not applied here."
    assert warning in rundir.read_json(run / "trials" / "1.json")["warnings"]
    told = capsys.readouterr().out
    assert warning in told
    assert "cuda-graphs (changes the numbers): applied" in told


def test_what_cannot_be_applied_is_printed_as_a_patch(llmprof: Llmprof, tmp_path: Path) -> None:
    run = recorded(tmp_path, "train", fix="remove-sync", how="loss.item() -> loss.detach()")
    done = llmprof("try", "--fix", "remove-sync", run)
    assert done.returncode == 4
    assert "loss.item() -> loss.detach()" in done.stdout
    assert f"llmprof try --fix remove-sync {run} --against RUN2" in done.stdout
    assert not (run / "trials").exists()


def write_steps(run: Path, mean_ms: float, count: int = 20) -> None:
    folder = rundir.claim_rank_dir(run, 0)
    lines = [
        {"n": n, "wall": int(1e6 * (mean_ms + n % 3)), "phase": "baseline" if 4 < n < count else "warmup"}
        for n in range(count + 5)
    ]
    (folder / rundir.STEPS).write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_two_recorded_runs_are_compared(llmprof: Llmprof, tmp_path: Path) -> None:
    run = recorded(tmp_path, "train", fix="remove-sync")
    write_steps(run, 100)
    other = tmp_path / "other"
    write_steps(other, 50)
    done = llmprof("try", "--fix", "remove-sync", run, "--against", other)
    assert done.returncode == 0, done.stderr
    document = rundir.read_json(run / "trials" / "1.json")
    assert document["comparison"]["saved_ms"] == pytest.approx(50)
    assert document["comparison"]["outcome"] == "kept"
    assert "the promise came true" in done.stdout


@pytest.mark.parametrize(("other", "said"), [("run", "is the run itself"), ("gone", "is no folder")])
def test_a_run_is_compared_with_another_one(in_process: InProcess, tmp_path: Path, other: str, said: str) -> None:
    run = recorded(tmp_path, "train")
    done = in_process("try", "--fix", "remove-sync", run, "--against", tmp_path / other)
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_sentence(done.stderr)
    assert said in done.stderr
    assert not (run / "trials").exists()


def test_a_run_without_steps_cannot_be_compared(llmprof: Llmprof, tmp_path: Path) -> None:
    run = recorded(tmp_path, "train", fix="remove-sync")
    write_steps(run, 100)
    done = llmprof("try", "--fix", "remove-sync", run, "--against", tmp_path)
    assert done.returncode == 4
    assert_one_sentence(done.stderr)


def test_a_rule_that_is_given_as_a_fix_names_its_fixes(llmprof: Llmprof, tmp_path: Path) -> None:
    done = llmprof("try", "--fix", "python-overhead", recorded(tmp_path, "train"))
    assert done.returncode == 2
    assert_one_sentence(done.stderr)
    assert "hoist-python" in done.stderr


@pytest.mark.parametrize("fix", ["no-such-fix", "../x", "dataloader-workers=$(id)"])
def test_a_fix_that_does_not_exist_is_refused(llmprof: Llmprof, tmp_path: Path, fix: str) -> None:
    done = llmprof("try", "--fix", fix, recorded(tmp_path, "train"))
    assert done.returncode == 2
    assert_one_sentence(done.stderr)


def test_a_run_that_is_none_is_refused(llmprof: Llmprof, tmp_path: Path) -> None:
    done = llmprof("try", "--fix", "tf32", tmp_path / "nothing")
    assert done.returncode == 2
    assert_one_sentence(done.stderr)


# Reading how a run was started


def test_recorded_variables_come_along_but_those_of_the_launcher(tmp_path: Path) -> None:
    run = recorded(tmp_path, "python", "train.py")
    folder = rundir.claim_rank_dir(run, 0)
    variables = {"NCCL_DEBUG": "WARN", "LOCAL_RANK": "0", "RANK": "3", "TORCH_HOME": "~/x", "OMP_NUM_THREADS": "4"}
    rundir.write_json_atomic(folder / rundir.RANK, {"environment": {"variables": variables}})
    found = read_recorded(run)
    assert found.variables == {"NCCL_DEBUG": "WARN", "OMP_NUM_THREADS": "4"}
    assert (found.command, found.cwd) == (("python", "train.py"), tmp_path)


@pytest.mark.parametrize(("hosts", "reason"), [("ab", "on 2 nodes"), ("aa", "by 2 commands")])
def test_a_run_that_took_several_commands_cannot_be_tried_with_one(tmp_path: Path, hosts: str, reason: str) -> None:
    """srun and mpirun start one `llmprof run` for each rank, and give each its number."""
    run = recorded(tmp_path, "train")
    for host in hosts:
        rundir.claim_wrapper_file(run, host).write_text(json.dumps({"host": host}))
    with pytest.raises(InputError, match=reason):
        read_recorded(run)


def test_a_run_under_nsys_is_not_run_again(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without --nsys"):
        read_recorded(recorded(tmp_path, "/opt/nsys/bin/nsys", "profile", "python", "train.py"))


def test_a_folder_that_is_gone_is_told_of(tmp_path: Path) -> None:
    run = recorded(tmp_path, "train")
    header = rundir.read_json(run / rundir.RUN)
    rundir.write_json_atomic(run / rundir.RUN, {**header, "cwd": str(tmp_path / "gone")})
    with pytest.raises(InputError, match="does not exist"):
        read_recorded(run)
    with pytest.raises(NotFoundError):
        read_recorded(tmp_path)


def test_what_does_not_end_by_itself_is_killed_with_all_that_it_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_runs, "GRACE_S", 0.5)
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "inner = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "print(inner.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    with process.stdout:
        inner = int(process.stdout.readline())
    trial_runs._end(process)
    assert process.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while trial_runs._started(inner) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert trial_runs._started(inner) is None


def test_what_a_shell_leaves_running_is_asked_to_end_and_not_waited_for(tmp_path: Path) -> None:
    """`bash -c "python train.py | tee log"`: the shell ends, and Python would train on until it is killed."""
    code = (
        "import pathlib, signal, sys, time\n"
        "def leave(*_): pathlib.Path('asked').touch(); sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave)\n"
        "pathlib.Path('up').touch()\n"
        "time.sleep(600)\n"
    )
    (tmp_path / "train.py").write_text(code)
    shell = f"{sys.executable} train.py | cat; true"
    process = subprocess.Popen(["sh", "-c", shell], cwd=tmp_path, start_new_session=True)
    deadline = time.monotonic() + 30
    while not (tmp_path / "up").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    trial_runs._end(process)
    assert (tmp_path / "asked").exists()


def test_a_second_interruption_kills_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trial_runs._end(process)
    assert process.returncode == -signal.SIGKILL


def trial_under_way(tmp_path: Path) -> tuple[Path, subprocess.Popen[bytes]]:
    """A run that never ends by itself, and the trial of a fix for it, whose first training is up."""
    (tmp_path / "hang.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(600)\n")
    run = recorded(tmp_path, sys.executable, "hang.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "llmprof", "try", "--fix", "gc-policy", str(run)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    log = run / "trials" / "1" / "plain-1.log"
    wait_for(lambda: log.is_file() and "up" in log.read_text())
    return run, process


def test_a_trial_that_is_ended_ends_its_runs(tmp_path: Path) -> None:
    run, process = trial_under_way(tmp_path)
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert processes_in(run) == []


def test_a_trial_that_is_killed_leaves_no_training_behind(tmp_path: Path) -> None:
    run, process = trial_under_way(tmp_path)
    process.kill()
    process.wait(60)
    wait_for(lambda: processes_in(run) == [])
    assert processes_in(run) == []


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


DDP = """
import os, time, torch
import torch.distributed as dist
dist.init_process_group("gloo")
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
while True:
    model(torch.randn(4, 8)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    time.sleep(0.01)
"""


@pytest.mark.slow
def test_ranks_of_torchrun_are_fixed_and_ended(llmprof: Llmprof, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "ddp.py").write_text(DDP)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "ddp.py"]
    run = recorded(tmp_path, *torchrun, fix="ddp-bucket-size", how="bucket_cap_mb=25) -> bucket_cap_mb=10")
    fixes = ["--fix", "ddp-bucket-size", "--fix", "compress-gradients", "--allow-numerics"]
    done = llmprof("try", *fixes, "--pairs", "1", "--steps", "10", run)
    assert done.returncode == 0, done.stderr
    document = rundir.read_json(run / "trials" / "1.json")
    assert [one["what"] for one in document["fixes"]] == [
        ["bucket_cap_mb 25 -> 10"],
        ["fp16_compress_hook registered"],
    ]
    ranks = rundir.rank_dirs(run / "trials/1/fixed-1")
    assert [rank for rank, _, _ in ranks] == [0, 1]
    told = [rundir.read_json(folder / "trial.json")["fixes"] for _, _, folder in ranks]
    assert {one["status"] for rank in told for one in rank.values()} == {"applied"}
    assert processes_in(run) == []
