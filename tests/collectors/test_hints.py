"""When nothing was recorded: is the sentence about what has happened, and does it say what to do?"""

from __future__ import annotations

from pathlib import Path

import pytest

from llmprof.collectors.hints import why_nothing


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "bootstrap").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("docker run --gpus all image python train.py", ["docker", "-v RUN:RUN", "-e PYTHONPATH=RUN/bootstrap"]),
        ("/usr/bin/podman run image train", ["podman", "-v RUN:RUN", "mount"]),
        ("apptainer exec --nv image.sif python train.py", ["apptainer", "--bind RUN", "--env PYTHONPATH"]),
        ("srun --container-image=image python train.py", ["--container-mounts=RUN:RUN", "--container-env=PYTHONPATH"]),
        ("sudo -u me python train.py", ["sudo", "before llmprof run"]),
        ("ssh node2 python train.py", ["ssh", "llmprof run -o RUN"]),
        ("bash run.sh", ["env -i", "python -E", "container", "PYTHONPATH="]),
    ],
)
def test_a_command_that_the_recorder_did_not_reach(run: Path, command: str, words: list[str]) -> None:
    sentence = why_nothing(run, command.split(), 0)
    assert [word for word in words if word not in sentence] == []
    assert "\n" not in sentence


def test_a_python_without_torch(run: Path) -> None:
    (run / "bootstrap" / "python-seen").touch()
    assert "imported PyTorch" in why_nothing(run, ["docker"], 0)


def test_torch_without_a_step(run: Path) -> None:
    for name in ("python-seen", "torch-seen"):
        (run / "bootstrap" / name).touch()
    assert "llmprof.step()" in why_nothing(run, ["python"], 0)


def test_a_recorder_that_could_not_start(run: Path) -> None:
    (run / "bootstrap" / "torch-seen").touch()
    (run / "bootstrap" / "not-recorded.txt").write_text(
        "in /opt/python the recorder could not start (ImportError: x)\n"
    )
    sentence = why_nothing(run, ["python"], 0)
    assert sentence.startswith("in /opt/python") and "install llmprof for that Python" in sentence


def test_a_rank_without_a_step(run: Path) -> None:
    (run / "ranks" / "r00000").mkdir(parents=True)
    (run / "ranks" / "r00000" / "rank.json").write_text("{}")
    assert "no step was completed before the command failed with exit code 9" in why_nothing(run, ["python"], 9)


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    assert "cannot be written (No such file or directory)" in why_nothing(tmp_path / "gone", ["python"], 0)
