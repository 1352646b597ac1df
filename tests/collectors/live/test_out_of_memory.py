"""When the device is full: one small file, before the error arrives, and nothing else changes for the script."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from llmprof.collectors.live import injection, out_of_memory  # noqa: E402
from llmprof.timeline import rundir  # noqa: E402
from tests.collectors.files.snapshots import MIB, snapshot  # noqa: E402
from tests.collectors.live.test_allocator import STATS  # noqa: E402
from tests.collectors.live.training_loops import model, sgd  # noqa: E402

Numbers = tuple[int, int, int, int]
FULL: Numbers = (0, 40 * MIB, 1000 * MIB, 7 * MIB)


class Device:
    """torch.cuda of a machine with a device that is full: what was attached and asked for."""

    def __init__(self) -> None:
        self.observers: list[Callable[..., None]] = []
        self.queued: list[Callable[[], None]] = []
        self.history: list[dict[str, Any]] = []

    def initialize(self) -> None:
        while self.queued:
            self.queued.pop(0)()

    def run_out(self, numbers: Numbers = FULL) -> None:
        """As torch's allocator does it: the observers, then the error."""
        for observer in self.observers:
            observer(*numbers)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 40.00 MiB.")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    found = Device()
    monkeypatch.setattr(torch._C, "_cuda_attach_out_of_memory_observer", found.observers.append, raising=False)
    monkeypatch.setattr(torch._C, "_cuda_memoryStats", lambda index: STATS, raising=False)
    monkeypatch.setattr(torch.cuda, "_lazy_call", found.queued.append)
    monkeypatch.setattr(torch.cuda, "memory_snapshot", lambda include_traces: snapshot()["segments"])
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda index: types.SimpleNamespace(total_memory=1000 * MIB)
    )
    monkeypatch.setattr(torch.cuda.memory, "_record_memory_history", lambda **given: found.history.append(given))
    return found


@pytest.fixture
def start(tmp_path: Path, device: Device, no_collectors: None) -> Iterator[Callable[..., injection.Injection]]:
    """Starts a recording of this process, on a machine whose device is initialised right away."""

    def record(**options: Any) -> injection.Injection:
        recording = injection.record(lambda: tmp_path, options)
        device.initialize()
        return recording

    yield record
    found = injection.current()
    if found is not None:
        found.remove()


def report(run: Path) -> dict[str, Any]:
    return json.loads((run / "ranks" / "r00000" / rundir.OUT_OF_MEMORY).read_text())


def events(run: Path) -> list[dict[str, Any]]:
    return rundir.read_json_lines(run / "ranks" / "r00000" / rundir.EVENTS)


class Full(torch.autograd.Function):
    """An operation whose backward runs out of memory."""

    run_out: Callable[[], None]

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        Full.run_out()


def train(steps: int, last: Callable[[Any, Any], None]) -> None:
    """A few steps, then one that goes wrong."""
    net = model()
    optimizer = sgd(net)
    for _ in range(steps):
        net(torch.randn(2, 8)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    last(net, optimizer)


def in_backward(device: Device) -> Callable[[Any, Any], None]:
    def last(net: Any, optimizer: Any) -> None:
        Full.run_out = device.run_out
        Full.apply(net(torch.randn(2, 8))).sum().backward()

    return last


def in_optimizer(device: Device) -> Callable[[Any, Any], None]:
    def last(net: Any, optimizer: Any) -> None:
        net(torch.randn(2, 8)).sum().backward()
        optimizer.step(closure=device.run_out)

    return last


@pytest.mark.parametrize(("steps", "step"), [(0, 0), (3, 3)])
@pytest.mark.parametrize(("where", "phase"), [(in_backward, "backward"), (in_optimizer, "optimizer")])
def test_the_step_and_its_phase_are_noted(
    tmp_path: Path, device: Device, start: Any, steps: int, step: int, where: Any, phase: str
) -> None:
    start()
    with pytest.raises(torch.OutOfMemoryError):
        train(steps, where(device))
    found = report(tmp_path)
    assert (found["step"], found["phase"], found["count"]) == (step, phase, 1)


def test_the_report_holds_what_was_asked_for_and_what_filled_the_device(
    tmp_path: Path, device: Device, start: Any
) -> None:
    start()
    with pytest.raises(torch.OutOfMemoryError):
        train(2, in_backward(device))
    found = report(tmp_path)
    assert (found["requested"], found["limit"], found["free"]) == (40 * MIB, 1000 * MIB, 7 * MIB)
    assert (found["allocated"], found["reserved"], found["retries"]) == (10, 30, 1)
    assert found["capacity"] == 1000 * MIB
    assert set(found["held"]) == {"parameters", "gradients", "optimizer"}
    assert found["segments"]["reserved_bytes"] == 160 * MIB
    assert found["segments"]["live"][0] == {
        "bytes": 64 * MIB,
        "blocks": 2,
        "stack": ["project/train.py:42 forward", "project/train.py:90 <module>"],
    }


def test_the_report_is_small_whatever_the_device_holds(
    tmp_path: Path, device: Device, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [{"filename": "/x/" + "f" * 500, "line": n, "name": "g" * 500} for n in range(100)]
    blocks = [
        {"size": n, "state": "active_allocated", "frames": [{**frames[0], "line": n}, *frames]} for n in range(3000)
    ]
    segments = [{"device": 0, "total_size": 5_000_000, "blocks": blocks}]
    monkeypatch.setattr(torch.cuda, "memory_snapshot", lambda include_traces: segments)
    start()
    with pytest.raises(torch.OutOfMemoryError):
        train(1, in_backward(device))
    assert (tmp_path / "ranks" / "r00000" / rundir.OUT_OF_MEMORY).stat().st_size < 64_000


def test_bytes_of_weights_gradients_and_states_count_each_storage_once() -> None:
    class Tensor:
        """A tensor on device 0 that shares memory with others of its key."""

        device = types.SimpleNamespace(type="cuda", index=0)
        is_leaf = True
        grad: Any = None

        def __init__(self, key: int, size: int) -> None:
            self.untyped_storage = lambda: types.SimpleNamespace(data_ptr=lambda: key, nbytes=lambda: size)

    flat = Tensor(1, 100)
    view, other = Tensor(1, 100), Tensor(2, 20)
    flat.grad = Tensor(3, 100)
    adam = types.SimpleNamespace(state={flat: {"step": 1, "exp_avg": Tensor(4, 50), "exp_avg_sq": Tensor(5, 50)}})
    held = out_of_memory._held_bytes([flat, view, other], [adam], 0)
    assert held == {"parameters": 120, "gradients": 100, "optimizer": 100}
    assert set(out_of_memory._held_bytes([flat, other], [adam], 1).values()) == {0}  # another device


def test_a_run_that_dies_in_its_first_step_is_recorded(tmp_path: Path, device: Device, start: Any) -> None:
    recording = start()
    try:
        train(0, in_backward(device))
    except torch.OutOfMemoryError as error:
        recording.stop(error)
    rank = rundir.read_json(tmp_path / "ranks" / "r00000" / rundir.RANK)
    assert rank["ended"] == "exception" and "out of memory" in rank["reason"]
    # Found though it never stepped; other tests in this process may have left theirs.
    assert "SGD" in {one["name"] for one in rank["environment"]["optimizers"]}
    assert [event["kind"] for event in events(tmp_path)] == ["out_of_memory"]


def test_in_the_first_forward_an_optimizer_tells_a_training(tmp_path: Path, device: Device, start: Any) -> None:
    start()
    with pytest.raises(torch.OutOfMemoryError):
        train(0, lambda net, optimizer: device.run_out())
    assert (report(tmp_path)["step"], report(tmp_path)["phase"]) == (None, None)


def test_a_process_that_does_not_train_leaves_nothing(
    tmp_path: Path, device: Device, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_of_memory, "_trained_objects", lambda: ([], []))
    recording = start()
    with pytest.raises(torch.OutOfMemoryError):
        device.run_out()
    recording.stop()  # it caught the error
    assert not list(tmp_path.iterdir())


def test_a_process_that_the_error_ends_is_recorded_all_the_same(
    tmp_path: Path, device: Device, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the model itself does not fit: there is no optimizer yet."""
    monkeypatch.setattr(out_of_memory, "_trained_objects", lambda: ([], []))
    recording = start()
    try:
        device.run_out()
    except torch.OutOfMemoryError as error:
        recording.stop(error)
    assert report(tmp_path)["requested"] == 40 * MIB


def test_an_allocator_without_observers_leaves_at_least_the_error(
    tmp_path: Path, device: Device, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = start()
    device.observers.clear()
    try:
        train(0, in_backward(device))
    except torch.OutOfMemoryError as error:
        recording.stop(error)
    assert (report(tmp_path)["requested"], report(tmp_path)["step"]) == (None, 0)


def test_a_script_that_catches_the_error_goes_on_and_is_recorded(tmp_path: Path, device: Device, start: Any) -> None:
    def last(net: Any, optimizer: Any) -> None:
        for _ in range(5):
            with contextlib.suppress(torch.OutOfMemoryError):
                in_backward(device)(net, optimizer)
        optimizer.zero_grad()
        train(4, lambda net, optimizer: None)

    recording = start()
    train(0, last)
    recording.stop()
    assert [event["count"] for event in events(tmp_path) if event["kind"] == "out_of_memory"] == [1, 2, 3, 4, 5]
    assert len(rundir.read_json_lines(tmp_path / "ranks" / "r00000" / rundir.STEPS)) >= 4


def test_details_are_read_only_for_a_while(
    tmp_path: Path, device: Device, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_of_memory, "DETAIL_NS", -1)
    start()
    with pytest.raises(torch.OutOfMemoryError):
        train(1, in_backward(device))
    assert "segments" not in report(tmp_path) and report(tmp_path)["allocated"] == 10


@pytest.mark.parametrize("broken", ["memory_snapshot", "get_device_properties", "_lazy_call"])
def test_nothing_that_fails_here_reaches_the_script(
    tmp_path: Path, device: Device, start: Any, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ValueError(broken)

    monkeypatch.setattr(torch.cuda, broken, fail)
    start()
    with pytest.raises(torch.OutOfMemoryError):
        train(1, in_backward(device))


def test_a_full_disk_is_not_the_script_s_trouble(
    tmp_path: Path, device: Device, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(path: Path, value: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rundir, "write_json_atomic", no_space)
    start()
    with pytest.raises(torch.OutOfMemoryError):
        train(1, in_backward(device))


def test_it_may_come_from_any_thread(tmp_path: Path, device: Device, start: Any) -> None:
    """Autograd runs the backward pass of a device in a thread of its own."""
    start()

    def last(net: Any, optimizer: Any) -> None:
        def other() -> None:
            with contextlib.suppress(torch.OutOfMemoryError):
                device.run_out()

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    train(2, last)
    assert report(tmp_path)["phase"] in ("forward", "between steps")


def test_nothing_is_attached_before_the_device_is_in_use(tmp_path: Path, device: Device, no_collectors: None) -> None:
    """Attaching would initialise CUDA, which breaks scripts that fork afterwards."""
    recording = injection.record(lambda: tmp_path, {})
    assert not device.observers and len(device.queued) == 1
    recording.remove()
    device.initialize()
    assert not device.observers  # let go before


def test_an_observer_of_a_recording_that_has_ended_does_nothing(tmp_path: Path, device: Device, start: Any) -> None:
    start().remove()
    for observer in device.observers:
        observer(*FULL)
    assert len(device.observers) == 1 and not list(tmp_path.iterdir())


def test_history_is_recorded_on_request_only_and_only_of_live_blocks(device: Device, start: Any) -> None:
    start().remove()
    assert device.history == []
    recording = start(memory_history=True)
    assert device.history == [{"enabled": "state", "context": "state", "stacks": "python"}]
    recording.remove()
    assert device.history[1:] == [{"enabled": None}]


def test_a_history_of_the_script_s_own_is_left_alone(
    device: Device, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch._C, "_cuda_isHistoryEnabled", lambda: True, raising=False)
    start(memory_history=True).remove()
    assert device.history == []


def test_a_build_without_cuda_has_nothing_to_watch(tmp_path: Path, no_collectors: None) -> None:
    if hasattr(torch._C, "_cuda_attach_out_of_memory_observer"):
        pytest.skip("this torch was built with CUDA")
    before = len(torch.cuda._queued_calls)
    injection.record(lambda: tmp_path, {}).remove()
    assert len(torch.cuda._queued_calls) == before


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("full"), True),
        (type("Wrapped", (torch.OutOfMemoryError,), {})("full"), True),
        (MemoryError(), False),
        (None, False),
    ],
)
def test_which_errors_say_that_the_device_is_full(error: BaseException | None, expected: bool) -> None:
    assert out_of_memory.is_out_of_memory(error) is expected


def test_the_place_that_asked_is_the_script_s() -> None:
    def asks() -> list[str]:
        return out_of_memory._calling_stack()

    assert asks()[0].split("/")[-1] == f"test_out_of_memory.py:{sys._getframe().f_lineno - 2} asks"


def test_a_forked_child_leaves_the_allocator_alone(device: Device, start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = start(memory_history=True)
    monkeypatch.setattr(out_of_memory.os, "getpid", lambda: -1)
    recording.remove()
    assert device.history == [{"enabled": "state", "context": "state", "stacks": "python"}]


def test_an_error_of_an_earlier_cell_is_not_this_run_s(
    tmp_path: Path, device: Device, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    monkeypatch.setattr(sys, "last_value", torch.OutOfMemoryError("of long ago"), raising=False)
    start().stop()
    assert not list(tmp_path.iterdir())
