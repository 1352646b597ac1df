"""Running the command line as a user does: arguments in; exit code, standard output and standard error out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmprof.analyzers.diagnosis import (
    Capture,
    Diagnosis,
    Finding,
    Gain,
    Recommendation,
    Source,
    StepSummary,
    Verdict,
)

ROOT = Path(__file__).resolve().parents[2]

Llmprof = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def llmprof(tmp_path: Path) -> Llmprof:
    """`llmprof(*arguments)`, started in an empty folder with a plain environment."""

    def start(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LLMPROF_", "PYTEST_"))}
        environment = {**kept, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "TERM": "dumb", **variables}
        command = [sys.executable, "-m", "llmprof", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=150
        )

    return start


InProcess = Callable[..., "Done"]


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def in_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """`in_process(*arguments)`: as `llmprof`, without the second that another interpreter takes to start."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LLMPROF_")]:
        monkeypatch.delenv(name)
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)

    def start(*arguments: str | Path) -> Done:
        from llmprof.cli.app import main

        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        code = left.value.code
        shown = capsys.readouterr()
        return Done(code if isinstance(code, int) else 0, shown.out, shown.err)

    return start


def make_diagnosis(*, bound: str | None) -> Diagnosis:
    """A small diagnosis of a step of 100 ms, 60 of them waiting for data; without a verdict when `bound` is None."""
    verdict = (
        Verdict(bound="data", sentence="The step waits 60 ms for data.", share=0.6, confidence=0.9)
        if bound == "data"
        else Verdict(bound=None, sentence="No verdict.", reason="no step was recorded")
    )
    gain = Gain(expected_ms=55.0, low_ms=40.0, high_ms=60.0, step_ms_after=45.0, speedup=2.2)
    return Diagnosis(
        source=Source(kind="run", paths=("runs/one",), ranks=(0,), world_size=1),
        capture=Capture(steps_measured=40, steps_excluded=5, steps_traced=4, basis="unprofiled"),
        step=StepSummary(mean_ms=100.0, median_ms=99.0, p95_ms=110.0),
        partition={"compute": 35.0, "data": 60.0, "host": 5.0},
        partition_rank=0,
        verdict=verdict,
        findings=(
            Finding(rule="input-starvation", status="fired", title="The step waits for data", summary="", cost_ms=60.0),
        ),
        recommendations=(
            Recommendation(
                id="dataloader-workers",
                rule="input-starvation",
                action="Use more workers",
                why="The loader runs in the training process.",
                how="DataLoader(..., num_workers=4)",
                gain=gain,
                verify="run again",
            ),
        ),
    )


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """An analysis.json with a verdict."""
    path = tmp_path / "finished.json"
    path.write_text(make_diagnosis(bound="data").to_json(), encoding="utf-8")
    return path


@pytest.fixture
def undecided(tmp_path: Path) -> Path:
    """An analysis.json that abstains."""
    path = tmp_path / "undecided.json"
    path.write_text(make_diagnosis(bound=None).to_json(), encoding="utf-8")
    return path


def assert_one_sentence(stderr: str) -> None:
    """An error is one line that begins with the program's name, and no traceback."""
    assert stderr.startswith("llmprof: "), stderr
    assert stderr.count("\n") == 1, stderr
    assert "Traceback" not in stderr
