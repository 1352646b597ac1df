"""A script that records itself: the same run directory, and nothing where nothing records."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from llmprof.collectors.live import aftermath, injection  # noqa: E402
from llmprof.collectors.live.api import phase, profile, step, wrap  # noqa: E402
from llmprof.timeline import rundir  # noqa: E402
from tests.collectors.live.conftest import Recorded, read  # noqa: E402
from tests.collectors.live.training_loops import loader, loss, model, sgd  # noqa: E402

pytestmark = pytest.mark.usefixtures("no_collectors")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    yield
    found = injection.current()
    if found is not None:
        found.remove()


def train(count: int, after: Callable[[int], Any] = lambda number: None) -> None:
    net = model()
    optimizer = sgd(net)
    for number, (batch,) in enumerate(loader(count)):
        loss(net, batch).backward()
        optimizer.step()
        after(number)


def test_a_block_is_recorded(tmp_path: Path) -> None:
    train(3)
    with profile(tmp_path / "x", diagnose=False, trace_steps=0) as prof:
        train(10)
        assert prof.run_dir == tmp_path / "x"
    train(3)
    recorded = read(tmp_path / "x")
    assert len(recorded.steps) == 10
    assert recorded.rank["ended"] == "exit"
    run = rundir.read_json(tmp_path / "x" / rundir.RUN)
    assert (run["exit_code"], run["options"]) == (0, {"trace_steps": 0})
    assert run["end_unix_ns"] > run["start_unix_ns"]
    assert injection.current() is None


def test_a_run_never_goes_over_another(tmp_path: Path) -> None:
    for count in (4, 5, 6):
        with profile(tmp_path / "x", diagnose=False):
            train(count)
    assert [len(read(tmp_path / name).steps) for name in ("x", "x-2", "x-3")] == [4, 5, 6]


def test_other_ranks_find_the_folder_of_rank_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / rundir.RUN).write_text("{}")
    first = aftermath.Place(tmp_path / "x", {})
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with profile(tmp_path / "x", diagnose=False):
        train(4)
    assert first.claim() == tmp_path / "x-2"
    assert len(read(tmp_path / "x-2", rank=1).steps) == 4


def test_a_function_can_be_recorded(tmp_path: Path) -> None:
    @profile(tmp_path / "x", diagnose=False)
    def run(count: int) -> int:
        train(count)
        return count

    assert (run(4), run(5)) == (4, 5)
    assert len(read(tmp_path / "x-2").steps) == 5


def test_an_exception_passes_through_and_is_noted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="out of data"), profile(tmp_path / "x", diagnose=False):
        train(6)
        raise ValueError("out of data")
    recorded = read(tmp_path / "x")
    assert len(recorded.steps) == 6
    assert (recorded.rank["ended"], recorded.rank["reason"]) == ("exception", "ValueError: out of data")


def test_a_block_inside_a_recording_joins_it(tmp_path: Path, record: Callable[[Callable[[], None]], Recorded]) -> None:
    def run() -> None:
        train(5)
        with profile(tmp_path / "other") as prof:
            train(5, lambda number: prof.step())
        train(5)

    recorded = record(run)
    assert not (tmp_path / "other").exists()
    assert len(recorded.steps) == 15  # inferred, marked, and inferred again when the block with the marks is over


def test_a_folder_that_cannot_be_made_is_one_line_and_training_goes_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with profile(tmp_path / "file" / "x"):
        train(3)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "not recorded" in lines[0]


def test_marks_of_the_script_override_what_is_inferred(tmp_path: Path) -> None:
    with profile(tmp_path / "x", diagnose=False) as prof:
        train(20, lambda number: prof.step() if number % 2 else None)
    micro = [one["micro"] for one in read(tmp_path / "x").steps]
    assert micro == [1, 1] + [2] * 9  # one step was inferred before the first mark


def test_named_phases_are_parts_of_their_step(tmp_path: Path) -> None:
    def after(number: int) -> None:
        if number == 5:
            with phase("evaluation"):
                for (batch,) in loader(3):
                    batch.sum()
            with phase("logging"):
                pass

    with profile(tmp_path / "x", diagnose=False) as prof:
        train(10, lambda number: (after(number), prof.step()))
    steps = read(tmp_path / "x").steps
    assert [one["n"] for one in steps if "evaluation" in one] == [5]
    assert steps[5]["evaluation"] <= steps[5]["wall"]
    assert steps[5]["regions"]["logging"] > 0


def test_another_kind_of_loader_is_measured_when_wrapped(tmp_path: Path) -> None:
    class Batches:
        extra = "passed through"

        def __len__(self) -> int:
            return 12

        def __iter__(self) -> Iterator[Any]:
            yield from (torch.randn(2, 8) for _ in range(12))

    with profile(tmp_path / "x", diagnose=False) as prof:
        batches = prof.wrap(Batches())
        assert (len(batches), batches.extra) == (12, "passed through")
        net = model()
        optimizer = sgd(net)
        for batch in batches:
            loss(net, batch).backward()
            optimizer.step()
    steps = read(tmp_path / "x").steps
    assert len(steps) == 12
    assert all(one["data_wait"] > 0 for one in steps)


def test_where_nothing_records_nothing_happens() -> None:
    batches = [1, 2, 3]
    step()
    with phase("evaluation"):
        assert wrap(batches) is batches
    torch_loader = loader(2)
    assert wrap(torch_loader) is torch_loader


def test_the_verdict_of_the_child_goes_to_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    commands = []

    def analyze(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command[1:])
        return subprocess.CompletedProcess(command, 0, "the verdict\n", "")

    monkeypatch.setattr(aftermath.subprocess, "run", analyze)
    with profile(tmp_path / "x"):
        train(5)
    assert commands == [["-m", "llmprof", "analyze", str(tmp_path / "x"), "-o", str(tmp_path / "x")]]
    assert capfd.readouterr() == ("", "the verdict\n")


def test_a_diagnosis_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.CompletedProcess([], 4, "", "note\nerror: too few steps\n")
    monkeypatch.setattr(aftermath.subprocess, "run", lambda *args, **options: done)
    with profile(tmp_path / "x"):
        train(5)
    assert capfd.readouterr().err == f"llmprof: recorded in {tmp_path}/x, but not diagnosed: error: too few steps\n"
