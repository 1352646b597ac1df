"""A step costs the training few Python calls: each is slow there, because the training has emptied the caches."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from llmprof.collectors.live import injection  # noqa: E402
from llmprof.collectors.live.device_timer import DeviceTimer  # noqa: E402
from tests.collectors.live.training_loops import model, sgd  # noqa: E402

PACKAGE = str(Path(injection.__file__).resolve().parents[2])
STEPS = 200


class Event:
    """An event of a device that is 1 us behind."""

    marks = 0

    def record(self, stream: Any) -> None:
        Event.marks += 1
        self.at = time.perf_counter_ns()

    def query(self) -> bool:
        return time.perf_counter_ns() > self.at + 1000

    def elapsed_time(self, end: Event) -> float:
        return (end.at - self.at) / 1e6


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A training step of a recorded process that seems to have a GPU, 40 of which are over."""
    timer = DeviceTimer(Event, lambda: None, lambda: False)
    monkeypatch.setattr(DeviceTimer, "of", lambda device, blocked: timer)
    monkeypatch.setenv("WORLD_SIZE", "1")
    recording = injection.record(lambda: tmp_path, {"trace_steps": 0})
    net = model()
    optimizer = sgd(net)
    data = TensorDataset(torch.randn(1000, 8), torch.zeros(1000, 8, dtype=torch.long))
    batches = iter(DataLoader(data, batch_size=2))

    def run() -> None:
        inputs, _ = next(batches)
        net(inputs).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(40):
        run()
    yield run
    recording.stop()


def test_calls_a_step(step: Any) -> None:
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            calls[frame.f_code.co_name] += 1

    before = Event.marks
    sys.setprofile(count)
    try:
        for _ in range(STEPS):
            step()
    finally:
        sys.setprofile(None)
    own_batches = 4  # without workers this process times the batches that it makes, which costs far more than these
    assert sum(calls.values()) / STEPS < 42 + own_batches, calls.most_common()
    assert Event.marks - before == pytest.approx(0.75 * STEPS, rel=0.1)
