"""An evaluation without a loader lasts from a model's eval() to its train(); what is trained in between is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tests.collectors.live.conftest import Recorded  # noqa: E402
from tests.collectors.live.training_loops import loader, loss, model, sgd  # noqa: E402

Record = Callable[[Callable[[], None]], Recorded]
MS = 1_000_000


def evaluate(net: nn.Module, batches: Any = ()) -> None:
    net.eval()
    with torch.no_grad():
        for batch in batches or [torch.randn(2, 8)] * 4:
            net(batch[0] if isinstance(batch, list) else batch)
            time.sleep(0.005)
    net.train()


def stalls(recorded: Recorded) -> dict[int, int]:
    found = {step["n"]: step["evaluation"] for step in recorded.steps if "evaluation" in step}
    events = [event["ns"] for event in recorded.events if event["kind"] == "evaluation"]
    assert sum(found.values()) == sum(events)
    return found


def loop(after: Callable[[nn.Module, int], None], *, fetched: bool) -> None:
    net = nn.Sequential(model(), nn.Dropout(0.1), model())
    optimizer = sgd(net)
    batches = iter(loader(20))
    for number in range(12):
        loss(net, next(batches)[0] if fetched else None).backward()
        optimizer.step()
        after(net, number)


@pytest.mark.parametrize("fetched", [True, False])
def test_from_eval_to_train(fetched: bool, record: Record) -> None:
    recorded = record(lambda: loop(lambda net, number: evaluate(net) if number == 5 else None, fetched=fetched))
    assert list(stalls(recorded)) == [5]
    assert 20 * MS <= recorded.steps[5]["evaluation"] <= recorded.steps[5]["wall"]
    assert len(recorded.steps) == 12


def test_one_with_a_loader_is_counted_once(record: Record) -> None:
    held_out = loader(4)
    recorded = record(lambda: loop(lambda net, n: evaluate(net, held_out) if n == 5 else None, fetched=True))
    found = stalls(recorded)
    assert sum(found.values()) >= 20 * MS
    assert all(found[n] <= recorded.steps[n]["wall"] for n in found)
    assert len(recorded.steps) == 12


def test_a_frozen_part_is_no_evaluation(record: Record) -> None:
    recorded = record(lambda: loop(lambda net, number: net[1].train().eval() and None, fetched=True))
    assert stalls(recorded) == {}
    assert nn.Module.train.__qualname__ == "Module.train"


def test_training_in_evaluation_mode_is_training(record: Record) -> None:
    def after(net: nn.Module, number: int) -> None:
        if number in (3, 6):
            (net.eval if number == 3 else net.train)()

    assert stalls(record(lambda: loop(after, fetched=True))) == {}


def test_train_is_hooked_during_evaluations_alone(record: Record) -> None:
    plain = nn.Module.train
    seen: list[bool] = []

    def after(net: nn.Module, number: int) -> None:
        net.eval()
        seen.append(nn.Module.train is not plain)
        net.train()
        seen.append(nn.Module.train is not plain)

    record(lambda: loop(after, fetched=True))
    assert seen == [True, False] * 12
    assert nn.Module.train is plain
