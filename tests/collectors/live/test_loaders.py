"""Where epochs start, and what that costs: making the iterator, its workers, and waiting for the first batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402
from torch.utils.data import DataLoader, Dataset, Sampler  # noqa: E402

from llmprof.collectors.live import api  # noqa: E402
from tests.collectors.live.conftest import Recorded  # noqa: E402
from tests.collectors.live.slow_data import PAUSE_S, Samples  # noqa: E402
from tests.collectors.live.training_loops import loader, loss, model, sgd  # noqa: E402

Record = Callable[[Callable[[], None]], Recorded]
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

MS = 1_000_000


def train(batches: Any) -> None:
    net = model()
    optimizer = sgd(net)
    for batch in batches:
        loss(net, batch[0] if isinstance(batch, list) else batch).backward()
        optimizer.step()


def epochs(recorded: Recorded) -> list[dict[str, Any]]:
    return [event for event in recorded.events if event["kind"] == "epoch"]


class FirstIsSlow(Dataset[Tensor]):
    """40 ms for the first sample."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Tensor:
        time.sleep(0.04 if index == 0 else 0)
        return torch.randn(8)


class SlowStart(Sampler[int]):
    """A sampler that shuffles for 30 ms."""

    def __iter__(self) -> Iterator[int]:
        time.sleep(0.03)
        return iter(range(6))

    def __len__(self) -> int:
        return 6


def test_every_epoch_is_an_event_at_its_first_step(record: Record) -> None:
    batches = DataLoader(FirstIsSlow(), sampler=SlowStart())
    recorded = record(lambda: [train(batches) for _ in range(3)] and None)
    assert [event["step"] for event in epochs(recorded)] == [0, 6, 12]
    for event in epochs(recorded):
        assert event["iterator"] >= 0
        assert event["first_batch"] >= 40 * MS
        assert event["ns"] == event["ending"] + event["iterator"] + event["first_batch"]
    assert {step["n"]: step["epoch_start"] for step in recorded.steps if "epoch_start" in step} == {
        event["step"]: event["ns"] for event in epochs(recorded)
    }
    assert all(step["epoch_start"] <= step["wall"] for step in recorded.steps if step["n"] in (6, 12))


@pytest.mark.parametrize("keep", [False, True])
def test_starting_workers_is_a_part_of_it(keep: bool, record: Record) -> None:
    batches = DataLoader(
        Samples(16), batch_size=2, num_workers=2, multiprocessing_context="fork", persistent_workers=keep
    )
    recorded = record(lambda: [train(batches) for _ in range(2)] and None)
    first, second = epochs(recorded)
    assert (first["step"], second["step"]) == (0, 8)
    assert second["first_batch"] >= 2 * PAUSE_S * 1e9  # nothing was prepared before it
    assert second["ending"] > 0
    assert all(event["iterator"] > 0 for event in (first, second))


def test_evaluations_start_no_epochs(record: Record) -> None:
    held_out = loader(3)

    def run() -> None:
        train(loader(4))
        list(held_out)
        train(loader(4))

    assert [event["step"] for event in epochs(record(run))] == [0, 4]


def test_a_loader_of_another_kind_has_epochs_too(record: Record) -> None:
    def run() -> None:
        wrapped = api.wrap([torch.randn(2, 8) for _ in range(5)])
        train(wrapped)
        train(wrapped)

    assert [event["step"] for event in epochs(record(run))] == [0, 5]


def test_several_batches_a_step_are_counted(record: Record) -> None:
    def run() -> None:
        net = model()
        optimizer = sgd(net)
        batches = iter(loader(12))
        for _ in range(4):
            group = [next(batches)[0] for _ in range(3)]
            loss(net, torch.cat(group)).backward()
            optimizer.step()

    assert [step["batches"] for step in record(run).steps] == [3, 3, 3, 3]


def test_one_batch_a_backward_goes_without_saying(record: Record) -> None:
    assert not any("batches" in step for step in record(lambda: train(loader(6))).steps)
