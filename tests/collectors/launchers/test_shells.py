"""What starts a training through a shell, or drops its environment on the way."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.collectors.launchers.commands import LOOP, PYTHON, ranks_of, record, recorded, start, under_llmprof

pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("last_line", "last_words", "code"),
    [
        ("{python} train.py; echo left with $?; exit 77", "left with 5\n", 77),
        pytest.param("exec {python} train.py", "", 5, marks=pytest.mark.slow),
    ],
)
def test_a_shell_script_that_execs_or_waits(tmp_path: Path, last_line: str, last_words: str, code: int) -> None:
    (tmp_path / "train.py").write_text(LOOP + "\ntrain()\nprint('trained')\nsys.exit(5)\n")
    (tmp_path / "run.sh").write_text(f"set -u\necho begins\n{last_line.format(python=PYTHON)}\n")
    done = record(["bash", "run.sh"], tmp_path)
    assert (done.stdout, done.returncode) == (f"begins\ntrained\n{last_words}", code)
    assert len(recorded(tmp_path).steps) == 12


MEET = """
import os, time
open(f"here-{os.getpid()}", "w").close()
while len([name for name in os.listdir() if name.startswith("here-")]) < 2:
    time.sleep(0.01)
"""


def test_two_runs_at_once_share_the_folder_of_runs(tmp_path: Path) -> None:
    words = under_llmprof([PYTHON, "-c", MEET])
    place = words.index("-o")  # without it each makes a folder of its own
    done = start(["bash", "-c", '"$@" & "$@"; wait $!', "bash", *words[:place], *words[place + 2 :]], tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "llmprof-runs").iterdir())) == 2


def without_variables(tmp_path: Path) -> list[str]:
    return ["env", "-i", PYTHON]


def stand_in_for_docker(tmp_path: Path) -> list[str]:
    """As a container does: nothing of the caller's environment arrives."""
    program = tmp_path / "docker"
    program.write_text('#!/bin/sh\nshift 2\nexec env -i "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return [str(program), "run", "image", PYTHON]


@pytest.mark.parametrize(
    ("launcher", "words"),
    [
        (without_variables, ["env -i", "PYTHONPATH"]),
        (lambda _: [PYTHON, "-E"], ["python -E", "PYTHONPATH"]),
        (lambda _: [PYTHON, "-I"], ["-I", "PYTHONPATH"]),
        (stand_in_for_docker, ["docker", "-v RUN:RUN", "-e PYTHONPATH=RUN/bootstrap"]),
    ],
)
def test_where_the_recorder_does_not_arrive_one_sentence_says_why(
    tmp_path: Path, launcher: Callable[[Path], list[str]], words: list[str]
) -> None:
    command = [*launcher(tmp_path), "-c", "print('trained')"]
    done = start(under_llmprof(command), tmp_path)
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert done.stderr.startswith("llmprof: nothing was recorded: ") and done.stderr.count("\n") == 1
    assert [word for word in words if word not in done.stderr] == []


@pytest.mark.parametrize(("command", "code"), [("no-such-command", 127), ("/tmp", 126)])
def test_a_command_that_cannot_start_has_the_code_of_a_shell(tmp_path: Path, command: str, code: int) -> None:
    done = start(under_llmprof([command]), tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert not (tmp_path / "run").exists()


SRUN = """
import os, subprocess, sys
tasks = int(sys.argv[1])
kept = {name: value for name, value in os.environ.items() if not name.startswith("LLMPROF_")}
processes = [
    subprocess.Popen(sys.argv[2:], env={**kept, "SLURM_PROCID": str(task), "SLURM_LOCALID": str(task),
                                        "SLURM_NTASKS": str(tasks), "SLURM_STEP_NUM_TASKS": str(tasks)})
    for task in range(tasks)
]
sys.exit(max(process.wait() for process in processes))
"""
"""Starts the command once a task, as srun does; variables with our name do not arrive."""


def test_a_launcher_that_numbers_its_tasks_as_slurm_does(tmp_path: Path) -> None:
    (tmp_path / "srun.py").write_text(SRUN)
    (tmp_path / "train.py").write_text(LOOP + "\ntrain(12)\nprint(os.environ.get('RANK'))\n")
    done = record([PYTHON, "srun.py", "2", PYTHON, "train.py"], tmp_path)
    assert (done.returncode, done.stdout) == (0, "None\nNone\n"), done.stderr
    assert ranks_of(tmp_path) == ["r00000", "r00001"]
    for rank in (0, 1):
        header = recorded(tmp_path, rank).rank
        assert (header["rank"], header["local_rank"], header["world_size"]) == (rank, rank, 2)
        assert len(recorded(tmp_path, rank).steps) == 12


@pytest.mark.slow
def test_a_wrapper_in_every_task_makes_one_run(tmp_path: Path) -> None:
    """`srun llmprof run -o RUN -- python train.py`: as many wrappers as tasks, one folder, one diagnosis.

    It lasts a few seconds: a run over in a tenth of one may end before its node is sampled.
    """
    (tmp_path / "srun.py").write_text(SRUN)
    (tmp_path / "train.py").write_text(LOOP + "\ntrain(30, pause=0.1)\n")
    done = start([PYTHON, "srun.py", "2", *under_llmprof([PYTHON, "train.py"])], tmp_path)
    assert done.returncode == 0, done.stderr
    assert ranks_of(tmp_path) == ["r00000", "r00001"]
    assert done.stderr.count("it is diagnosed when") == 1
    assert done.stderr.count("reading the recording") == 1
    assert len(list((tmp_path / "run" / "nodes").iterdir())) == 1


def test_a_crowded_disk_does_not_stop_the_training(tmp_path: Path) -> None:
    """A limit of the file size stands for a full disk: from its import of torch on, every write fails."""
    full = "import resource, torch._dynamo; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
    (tmp_path / "train.py").write_text(f"{LOOP}\n{full}\ntrain(30, pause=0.1)\nprint('trained')\n")
    done = record([PYTHON, "train.py"], tmp_path)
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("llmprof: recorded in")] == []


def test_a_script_that_leaves_through_os_exit_keeps_its_steps(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(LOOP + "\ntrain(12)\nos._exit(3)\n")
    assert record([PYTHON, "train.py"], tmp_path).returncode == 3
    found = recorded(tmp_path)
    assert len(found.steps) >= 11
    assert (found.rank["ended"], found.rank["reason"]) == ("exit", "os._exit(3)")
