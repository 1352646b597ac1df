"""Does `llmprof run` leave as the training left, keep its streams apart, and diagnose what was recorded?"""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import pytest

from llmprof.cli.run import _name_of
from tests.cli.conftest import Llmprof, assert_one_sentence

TRAIN = """
import torch
from torch.utils.data import DataLoader

model = torch.nn.Linear(64, 64)
optimizer = torch.optim.AdamW(model.parameters())
for batch in DataLoader(torch.randn(4000, 64), batch_size=40):
    model(batch).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
print("trained")
"""


def test_the_child_gets_its_own_exit_code(llmprof: Llmprof) -> None:
    assert llmprof("run", "--", sys.executable, "-c", "import sys; sys.exit(3)").returncode == 3


def test_a_child_that_a_signal_ended_ends_the_wrapper_likewise(llmprof: Llmprof) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    assert llmprof("run", "--", sys.executable, "-c", code).returncode == -signal.SIGTERM


def test_standard_output_is_the_childs(llmprof: Llmprof) -> None:
    done = llmprof("run", "--", sys.executable, "-c", "print('mine')")
    assert done.stdout == "mine\n"
    assert "llmprof" in done.stderr


def test_options_after_the_command_belong_to_the_child(llmprof: Llmprof) -> None:
    code = "import sys; print(sys.argv[1:])"
    for separator in (["--"], []):
        done = llmprof("run", *separator, sys.executable, "-c", code, "--json", "-o", "x", "--", "--nope")
        assert done.stdout == "['--json', '-o', 'x', '--', '--nope']\n"


def test_a_mistyped_option_of_ours_is_refused(llmprof: Llmprof) -> None:
    done = llmprof("run", "--nope", "--", sys.executable, "-c", "print('ran')")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_run_without_training_says_why_there_is_no_verdict(llmprof: Llmprof) -> None:
    done = llmprof("run", "--", sys.executable, "-c", "pass")
    assert done.returncode == 0
    assert_one_sentence(done.stderr)
    assert "nothing was recorded" in done.stderr


def test_a_directory_that_holds_something_is_refused(llmprof: Llmprof, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    done = llmprof("run", "-o", "mine", "--", sys.executable, "-c", "print('ran')")
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_sentence(done.stderr)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_command_that_is_not_there_leaves_nothing_behind(llmprof: Llmprof, tmp_path: Path) -> None:
    done = llmprof("run", "--", "no-such-command-anywhere")
    assert done.returncode == 127
    assert_one_sentence(done.stderr)
    assert list((tmp_path / "llmprof-runs").iterdir()) == []


def test_a_command_is_needed(llmprof: Llmprof) -> None:
    assert llmprof("run").returncode == 2
    assert llmprof("run", "--").returncode == 2


@pytest.mark.parametrize(
    ("command", "subject"),
    [
        (["python", "train_gpt.py", "--lr", "3"], "train_gpt"),
        (["torchrun", "--nproc-per-node", "2", "dir/train.py"], "train"),
        (["python", "-m", "package.trainer"], "trainer"),
        (["bash", "scripts/go.sh"], "go"),
        (["/opt/bin/my trainer"], "my_trainer"),
    ],
)
def test_a_run_directory_is_named_after_what_is_trained(command: list[str], subject: str) -> None:
    assert re.fullmatch(rf"\d{{8}}T\d{{6}}Z-{subject}-[0-9a-f]{{6}}", _name_of(command))


def test_a_training_run_is_recorded_and_diagnosed(llmprof: Llmprof, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(TRAIN)
    done = llmprof("run", "-o", "run", "--", sys.executable, "train.py", COLUMNS="400")
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr
    assert "warning" not in done.stderr, done.stderr
    document = json.loads((tmp_path / "run" / "analysis.json").read_text())
    assert document["source"]["kind"] == "run"
    assert document["capture"]["steps_measured"] > 0
    assert (tmp_path / "run" / "report.html").stat().st_size > 0
    assert (tmp_path / "run" / "verdict.txt").read_text().strip()
    assert str(tmp_path / "run" / "report.html") in done.stderr
    again = llmprof("analyze", "run", "--json")
    assert json.loads(again.stdout)["partition"] == document["partition"]


def test_a_failure_of_the_diagnosis_leaves_the_childs_code_alone(llmprof: Llmprof, tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; d = pathlib.Path('run/ranks/r00000'); d.mkdir(parents=True); "
        "(d / 'steps.jsonl').write_bytes(bytes(range(256))); (d / 'rank.json').write_text('{'); sys.exit(5)"
    )
    done = llmprof("run", "-o", "run", "--", sys.executable, "-c", code)
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
