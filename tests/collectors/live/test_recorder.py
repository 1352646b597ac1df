"""Where the time of a step is booked, that a broken hook is not felt, and that forked children stay silent."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402

from llmprof.collectors.live import crew, injection  # noqa: E402
from llmprof.collectors.live.data_wait import DataWait  # noqa: E402
from llmprof.collectors.live.stalls import Stalls  # noqa: E402
from llmprof.collectors.live.warmup import WARMUP_AT_MOST, WARMUP_STEPS  # noqa: E402
from tests.collectors.live.conftest import Recorded, read  # noqa: E402
from tests.collectors.live.training_loops import loader, loss, model, sgd  # noqa: E402

Record = Callable[[Callable[[], None]], Recorded]
MS = 1_000_000


class Slow(Dataset[Tensor]):
    def __init__(self, items: int, pause: float) -> None:
        self.items, self.pause = items, pause

    def __len__(self) -> int:
        return self.items

    def __getitem__(self, index: int) -> Tensor:
        time.sleep(self.pause)
        return torch.randn(8)


def train(batches: Any, after: Callable[[int], None] = lambda number: None) -> None:
    net = model()
    optimizer = sgd(net)
    for number, batch in enumerate(batches):
        loss(net, batch[0] if isinstance(batch, (list, tuple)) else batch).backward()
        optimizer.step()
        after(number)


def test_waiting_for_the_loader_is_data_wait(record: Record) -> None:
    steps = record(lambda: train(DataLoader(Slow(10, 0.02), batch_size=1))).steps
    assert all(step["data_wait"] >= 20 * MS for step in steps)
    assert all(step["wall"] - step["data_wait"] < step["data_wait"] for step in steps[2:])


def test_the_parts_of_a_step_never_exceed_it(record: Record) -> None:
    steps = record(lambda: train(loader(30))).steps
    for step in steps:
        assert sum(step[part] for part in ("data_wait", "forward", "backward", "optimizer")) <= step["wall"]


def test_an_evaluation_is_a_stall_of_its_own(record: Record) -> None:
    held_out = DataLoader(Slow(5, 0.004), batch_size=1)

    def evaluate(number: int) -> None:
        if number % 10 == 9:
            for _ in held_out:
                time.sleep(0.004)

    recorded = record(lambda: train(loader(40), evaluate))
    stalled = [step["n"] for step in recorded.steps if "evaluation" in step]
    assert stalled == [10, 20, 30]  # it runs after steps 9, 19, 29; the one after the last step belongs to none
    assert all(recorded.steps[n]["evaluation"] >= 40 * MS for n in stalled)
    assert all(recorded.steps[n]["data_wait"] < 20 * MS for n in stalled)
    assert [event["kind"] for event in recorded.events].count("evaluation") == 4


def test_saving_is_a_checkpoint_stall(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = torch.serialization._save

    def slowly(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.03)
        return save(*args, **kwargs)

    monkeypatch.setattr(torch.serialization, "_save", slowly)

    def after(number: int) -> None:
        if number == 7:
            torch.save({"a": torch.ones(3)}, tmp_path / "checkpoint.pt")

    recorded = record(lambda: train(loader(12), after))
    assert [step["n"] for step in recorded.steps if "checkpoint" in step] == [7]
    assert recorded.steps[7]["checkpoint"] >= 30 * MS
    saved = [event for event in recorded.events if event["kind"] == "checkpoint"]
    assert [(event["step"], event["by"]) for event in saved] == [(7, "torch.save")]


def test_a_garbage_collection_is_counted(record: Record) -> None:
    steps = record(lambda: train(loader(6), lambda number: gc.collect() if number == 3 else None)).steps
    assert steps[3]["gc"] > 0


def test_a_loop_that_fetches_in_another_thread_has_no_loader(record: Record) -> None:
    def prefetched() -> Any:
        ready: list[Any] = []
        thread = threading.Thread(target=lambda: ready.extend(loader(20)))
        thread.start()
        thread.join()
        return ready

    steps = record(lambda: train(prefetched())).steps
    assert len(steps) == 20
    assert not any("data_wait" in step for step in steps)


def test_warm_up_ends_when_steps_are_steady_and_in_any_case(record: Record) -> None:
    steps = record(lambda: train(loader(WARMUP_AT_MOST + 10))).steps
    phases = [step["phase"] for step in steps]
    first = phases.index("baseline")
    assert WARMUP_STEPS <= first <= WARMUP_AT_MOST
    assert phases == ["warmup"] * first + ["baseline"] * (len(phases) - first)


def weights_after(record: Record | None) -> Tensor:
    torch.manual_seed(0)
    net = model()

    def run() -> None:
        optimizer = sgd(net)
        for (batch,) in loader(20):
            optimizer.zero_grad()
            loss(net, batch).backward()
            optimizer.step()

    run() if record is None else record(run)
    return net.weight.detach().clone()


@pytest.mark.parametrize(
    ("owner", "method", "hook"),
    [
        (DataWait, "begin", "loader"),
        (DataWait, "end", "loader"),
        (DataWait, "backward", "backward"),
        (injection.Recorder, "backward_ends", "backward"),
        (injection.Recorder, "optimizer_begins", "optimizer"),
        (injection.Recorder, "optimizer_ends", "optimizer"),
    ],
)
def test_a_hook_that_fails_is_switched_off_and_training_does_not_feel_it(
    owner: type, method: str, hook: str, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = weights_after(None)
    original = getattr(owner, method)
    calls = []

    def failing(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) >= 4:  # in the warm-up: afterwards most steps do not come this way, see shortcuts.py
            raise RuntimeError("broken on purpose")
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, method, failing)

    def checked(function: Callable[[], None]) -> Recorded:
        recorded = record(function)
        state = recorded.rank["collectors"][hook]
        assert (state["status"], state["reason"]) == ("disarmed", "RuntimeError: broken on purpose")
        return recorded

    assert torch.equal(weights_after(checked), plain)
    assert len(calls) == 4


def test_a_failing_gc_callback_prints_nothing(
    record: Record, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def failing(*args: Any) -> None:
        raise RuntimeError("broken on purpose")

    def after(number: int) -> None:
        if number == 5:
            gc.collect()

    monkeypatch.setattr(Stalls, "collecting", failing)
    recorded = record(lambda: train(loader(10), after))
    assert len(recorded.steps) == 10
    assert capfd.readouterr().err == ""


class Broken:
    """A collector that fails in one of its methods."""

    name = "broken"

    def __init__(self, where: str) -> None:
        self.where = where
        self.calls: list[str] = []

    def _enter(self, method: str) -> None:
        self.calls.append(method)
        if method == self.where:
            raise RuntimeError("broken on purpose")

    def start(self, session: Any) -> None:
        self._enter("start")

    def on_step(self, record: Any) -> None:
        self._enter("on_step")

    def stop(self) -> None:
        self._enter("stop")


@pytest.mark.parametrize(
    ("where", "calls"),
    [
        ("start", ["start"]),
        ("on_step", ["start", "on_step"]),
        ("stop", ["start", *["on_step"] * 8, "stop"]),
    ],
)
def test_a_collector_that_fails_is_not_called_again(
    where: str, calls: list[str], record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken(where)
    monkeypatch.setattr(crew, "discover", lambda missing: [broken])
    recorded = record(lambda: train(loader(8)))
    assert len(recorded.steps) == 8
    assert broken.calls == calls
    assert recorded.rank["collectors"]["broken"]["status"] == "disarmed"
    assert [event["reason"] for event in recorded.events if event["kind"] == "disarmed"] == [
        "RuntimeError: broken on purpose"
    ]


def test_a_collector_sees_what_trains(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Curious(Broken):
        def stop(self) -> None:
            seen["loaders"] = [reference() for reference in self.session.loaders]
            seen["optimizers"] = [reference() for reference in self.session.optimizers]
            seen["models"] = [reference() for reference in self.session.models]

        def start(self, session: Any) -> None:
            self.session = session

        def on_step(self, record: dict[str, Any]) -> None:
            record["extra"] = self.session.current_step

    monkeypatch.setattr(crew, "discover", lambda missing: [Curious("")])
    net = nn.Sequential(model(), model())
    optimizer = sgd(net)
    batches, held_out = loader(8), loader(3)

    def run() -> None:
        for (batch,) in batches:
            loss(net, batch).backward()
            optimizer.step()
        list(held_out)

    recorded = record(run)
    assert seen["loaders"] == [batches]
    assert seen["optimizers"] == [optimizer]
    assert seen["models"] == [net]
    assert [step["extra"] for step in recorded.steps] == list(range(1, 9))


def test_every_hook_is_taken_out_again(record: Record) -> None:
    from torch.optim import optimizer
    from torch.utils.data import dataloader

    def hooked() -> list[Any]:
        return [
            torch.autograd.backward,
            torch.save,
            torch.amp.GradScaler.step,
            dataloader._BaseDataLoaderIter.__next__,
            DataLoader.__iter__,
            dataloader._BaseDataLoaderIter.__init__,
            len(sys.meta_path),
            len(gc.callbacks),
            len(optimizer._global_optimizer_pre_hooks),
            len(optimizer._global_optimizer_post_hooks),
        ]

    before = hooked()
    during: list[Any] = []
    record(lambda: (train(loader(3)), during.extend(hooked())))  # type: ignore[arg-type, func-returns-value]
    assert hooked() == before
    assert all(one != other for one, other in zip(before, during, strict=True))


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_records_nothing(record: Record, tmp_path: Path) -> None:
    def run() -> None:
        train(loader(5))
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                train(loader(20))
                found = injection.current()
                status = 0 if found is None else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        train(loader(5))

    recorded = record(run)
    assert len(recorded.steps) == 10
    assert os.listdir(tmp_path / "ranks") == ["r00000"]


def test_steps_reach_the_disk_while_training_runs(record: Record, tmp_path: Path) -> None:
    seen: list[int] = []

    def after(number: int) -> None:
        if number >= 10 and not seen:
            deadline = time.monotonic() + 20
            while not (tmp_path / "ranks/r00000/steps.jsonl").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            seen.append(len(read(tmp_path).steps))

    record(lambda: train(loader(20), after))
    assert seen == [10]


def test_our_own_cost_is_reported(record: Record) -> None:
    rank = record(lambda: train(loader(80))).rank
    assert rank["overhead_ns_per_step"] > 0
    assert rank["collectors"]["loader"]["calls"] > 80


def test_a_run_directory_that_cannot_be_written_costs_the_recording_alone(no_collectors: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    recording = injection.record(lambda: tmp_path / "file" / "run", {})
    train(loader(10))
    recording.stop()
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_optimizer_time_leaves_out_the_backward_of_its_closure(record: Record) -> None:
    net = model()
    optimizer = sgd(net)

    def run() -> None:
        for (batch,) in loader(10):

            def closure(batch: Tensor = batch) -> Tensor:
                time.sleep(0.01)
                value = loss(net, batch)
                value.backward()
                return value

            optimizer.step(closure)

    for step in record(run).steps[2:]:
        assert 0 < step["optimizer"] < step["forward"]
        assert step["forward"] >= 10 * MS


def test_what_follows_the_last_update_is_in_no_step(record: Record, tmp_path: Path) -> None:
    def run() -> None:
        net = model()
        optimizer = sgd(net)
        for _ in range(5):
            loss(net).backward()
            optimizer.step()
        torch.save(torch.zeros(4_000_000), tmp_path / "last.pt")

    steps = record(run).steps
    assert len(steps) == 5
    assert "checkpoint" not in steps[-1]
