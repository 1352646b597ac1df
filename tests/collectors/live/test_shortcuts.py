"""The short way through the hooks records what the long one does, is as well guarded, and is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from llmprof.collectors.live import injection, shortcuts  # noqa: E402
from llmprof.collectors.live.recorder import Recorder  # noqa: E402
from tests.collectors.live.conftest import Recorded, read  # noqa: E402
from tests.collectors.live.training_loops import LOOPS, loss, model, sgd  # noqa: E402

WAYS = ("fetch", "backward", "optimizer_begins", "optimizer_ends")
BY_CHANCE = {
    "t",
    "wall",
    "phase",
    "gc",
    "forward",
    "backward",
    "optimizer",
    "data_wait",
    "epoch_start",
    "evaluation",
    "queue",
}
"""Keys whose values are times, or depend on them."""


@pytest.fixture(autouse=True)
def soon_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly every step may go the short way: five of warm-up, one of ten on the device, no hook that is watched."""
    monkeypatch.setattr("llmprof.collectors.live.finished.next_sampled", lambda number: number // 10 * 10 + 10)
    monkeypatch.setattr("llmprof.collectors.live.warmup.STEADY_SPREAD", 1e9)
    monkeypatch.setattr("llmprof.collectors.live.hooks.WATCHED_CALLS", 0)


@pytest.fixture
def long_way(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Takes the shortcuts away."""

    def take_away() -> None:
        for name in WAYS:
            monkeypatch.setattr(shortcuts, name, lambda recorder, hook, slow: slow)

    return take_away


def told(recorded: Recorded) -> list[Any]:
    """What is certain of each step, and which times it has."""
    return [
        ({key: value for key, value in step.items() if key not in BY_CHANCE}, sorted(step.keys() - {"gc"}))
        for step in recorded.steps
    ]


@pytest.mark.parametrize("name", LOOPS)
def test_both_ways_record_the_same(name: str, tmp_path: Any, no_collectors: None, long_way: Any) -> None:
    found = []
    for folder in ("short", "long"):
        torch.manual_seed(0)
        recording = injection.record(lambda folder=folder: tmp_path / folder, {})  # type: ignore[misc]
        try:
            LOOPS[name][0]()
        finally:
            recording.stop()
        found.append(told(read(tmp_path / folder)))
        long_way()
    assert found[0] == found[1]


def train(items: int = 200, fails_at: int | None = None) -> Any:
    """Returns the weights."""

    def collate(rows: Any) -> Any:
        if rows[0][1] == fails_at:
            raise KeyError("no such row")
        return torch.stack([row[0] for row in rows])

    torch.manual_seed(0)
    net = model()
    optimizer = sgd(net)
    data = TensorDataset(torch.randn(items, 8), torch.arange(items))
    for batch in DataLoader(data, batch_size=1, collate_fn=collate):
        optimizer.zero_grad()
        loss(net, batch).backward()
        optimizer.step()
    return net.weight.detach().clone()


def test_most_steps_take_the_short_way(record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {name: 0 for name in ("fetch_begins", "backward_begins", "optimizer_begins", "optimizer_ends")}

    def counted(name: str) -> Any:
        original = getattr(Recorder, name)

        def call(*args: Any) -> Any:
            slow[name] += 1
            return original(*args)

        return call

    for name in slow:
        monkeypatch.setattr(Recorder, name, counted(name))
    assert len(record(train).steps) == 200
    assert max(slow.values()) < 100, slow  # the warm-up, around every tenth step, and around every sixteenth


@pytest.mark.parametrize(
    ("what", "broken", "hook"),
    [("OpenStep", None, "loader"), ("get_ident", None, "backward"), ("FETCHLESS_STEPS", None, "optimizer")],
)
def test_a_shortcut_that_fails_is_not_felt(
    record: Any, monkeypatch: pytest.MonkeyPatch, what: str, broken: Any, hook: str
) -> None:
    plain = train()
    monkeypatch.setattr(shortcuts, what, broken)
    weights = []
    recorded = record(lambda: weights.append(train()))
    assert torch.equal(weights[0], plain)
    state = recorded.rank["collectors"][hook]
    assert (state["status"], state["reason"].partition(":")[0]) == ("disarmed", "TypeError")


def test_an_error_of_the_dataset_passes_through(record: Any) -> None:
    def run() -> None:
        with pytest.raises(KeyError, match="no such row"):
            train(fails_at=150)

    recorded = record(run)
    assert len(recorded.steps) == 150
    assert not any(state["reason"] for state in recorded.rank["collectors"].values())


def test_an_error_in_a_backward_passes_through(record: Any) -> None:
    def explode(gradient: Any) -> Any:
        raise ArithmeticError("on purpose")

    def run() -> None:
        net = model()
        optimizer = sgd(net)
        for number, (batch,) in enumerate(DataLoader(TensorDataset(torch.randn(200, 8)))):
            value = loss(net, batch)
            if number % 20 == 19:
                value.register_hook(explode)
                with pytest.raises(ArithmeticError, match="on purpose"):
                    value.backward()
                continue
            value.backward()
            optimizer.step()

    recorded = record(run)
    assert len(recorded.steps) == 190
    assert [step["micro"] for step in recorded.steps].count(2) == 9  # the tenth is never completed
    assert not any(state["reason"] for state in recorded.rank["collectors"].values())


def test_the_kill_switch_sees_what_the_short_way_costs(record: Any) -> None:
    costs = record(train).rank["collectors"]
    assert all(costs[hook]["calls"] >= 200 and costs[hook]["cost_ns"] > 0 for hook in ("loader", "backward"))
    assert costs["optimizer"]["calls"] >= 400
