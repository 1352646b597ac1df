"""What does a run yield that is too short for the whole burst? Real loops, as long as each says."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from llmprof.collectors.live import crew, injection  # noqa: E402
from llmprof.collectors.live.torch_trace import TorchTrace  # noqa: E402
from tests.collectors.live.conftest import Recorded, read  # noqa: E402
from tests.collectors.live.training_loops import loader, loss, sgd  # noqa: E402


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Trains so many steps, recorded with the burst alone; a loop of several epochs is given their number."""
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setattr(crew, "discover", lambda missing: [TorchTrace()])

    def train(steps: int, epochs: int = 1, sized: bool = True, **options: int) -> Recorded:
        net = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
        optimizer = sgd(net)
        batches = loader(steps)
        recording = injection.record(lambda: tmp_path, options)
        try:
            for _ in range(epochs):
                for (batch,) in batches if sized else unsized(batches):
                    loss(net, batch).backward()
                    optimizer.step()
        finally:
            recording.stop()
        return read(tmp_path)

    yield train
    found = injection.current()
    if found is not None:
        found.remove()


def unsized(batches):
    """The same batches from a loader that knows no length."""

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            yield from (batch for (batch,) in batches)

    return ((batch,) for batch in torch.utils.data.DataLoader(Stream(), batch_size=None))


def phases(recorded: Recorded) -> dict[str, int]:
    found: dict[str, int] = {}
    for step in recorded.steps:
        found[step["phase"]] = found.get(step["phase"], 0) + 1
    return found


def reasons(recorded: Recorded) -> list[str]:
    return [event["reason"] for event in recorded.events if event["kind"].startswith("burst")]


@pytest.mark.parametrize("steps", [3, 8])
def test_of_the_shortest_runs_there_are_times_only(run, steps: int) -> None:
    recorded = run(steps)
    assert len(recorded.steps) == steps
    assert "trace" not in recorded.rank
    assert reasons(recorded) == [f"a run of {steps} steps is too short for one"]


def test_15_steps_have_room_for_a_few_traced_ones(run, tmp_path: Path) -> None:
    recorded = run(15)
    assert recorded.rank["trace"]["steps"] == [12, 13, 14]
    assert recorded.rank["trace"]["complete"]
    assert recorded.rank["trace"]["shapes_file"] is None
    assert phases(recorded)["baseline"] == 5
    [reason] = reasons(recorded)
    for left_out in (
        "baseline steps",
        "the steps with input shapes",
        "the steps after the burst",
        "1 of 4 traced steps",
    ):
        assert left_out in reason


def test_30_steps_lack_only_baseline_steps(run) -> None:
    recorded = run(30)
    assert recorded.rank["trace"]["steps"] == [22, 23, 24, 25]
    assert recorded.rank["trace"]["shapes_file"] == "trace_shapes.json"
    assert phases(recorded)["after"] >= 1
    [reason] = reasons(recorded)
    assert reason.startswith("the run is expected to have 30 steps; left out: ")
    assert reason.endswith("of 20 baseline steps")


@pytest.mark.parametrize("steps", [60, 100])
def test_longer_runs_get_the_whole_burst(run, steps: int) -> None:
    recorded = run(steps)
    trace = recorded.rank["trace"]
    assert len(trace["steps"]) == 4
    assert trace["shapes_file"] == "trace_shapes.json"
    assert phases(recorded)["after"] >= 1
    assert phases(recorded)["baseline"] >= 20
    assert reasons(recorded) == []


def test_a_run_of_unknown_length_says_how_far_it_came(run) -> None:
    recorded = run(15, sized=False)
    assert "trace" not in recorded.rank
    [reason] = reasons(recorded)
    assert reason.startswith("the run ended after ")
    assert reason.endswith(" of 20 baseline steps")


def test_a_run_that_is_longer_than_its_loader_gets_the_whole_burst_later(run) -> None:
    recorded = run(15, epochs=6)
    first, second = recorded.rank["bursts"]
    assert first["steps"] == [12, 13, 14]
    assert (second["cause"], len(second["steps"]), second["file"]) == ("longer", 4, "trace.1.json")
    assert second["shapes_file"] == "trace_shapes.1.json"
    assert recorded.rank["trace"] == second
    before = [step["phase"] for step in recorded.steps if 17 < step["n"] < second["steps"][0] - 2]
    assert len(before) >= 20
    assert set(before[2:]) == {"baseline"}


def test_many_epochs_of_a_loader_too_short_for_a_burst_get_the_whole_one(run) -> None:
    """8 steps have no room; after them the run is known to be longer."""
    recorded = run(8, epochs=8)
    [only] = recorded.rank["bursts"]
    assert (only["cause"], len(only["steps"]), only["file"]) == ("longer", 4, "trace.json")
    assert reasons(recorded) == []
    before = [step["phase"] for step in recorded.steps if 8 < step["n"] < only["steps"][0] - 2]
    assert len(before) >= 15
    assert set(before) == {"baseline"}


def test_a_given_step_is_kept_to(run) -> None:
    assert run(15, burst_at=6).rank["trace"]["steps"] == [6, 7, 8, 9]
