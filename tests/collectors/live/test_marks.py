"""Who says where steps end: the script before its framework, that before inference; and what regions are booked as."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from llmprof.collectors.live import injection  # noqa: E402
from llmprof.collectors.live.api import phase, step  # noqa: E402
from llmprof.collectors.live.frameworks import registry  # noqa: E402
from llmprof.collectors.live.frameworks.grip import Grip  # noqa: E402
from llmprof.collectors.live.marks import Marks  # noqa: E402
from tests.collectors.live.conftest import Recorded  # noqa: E402
from tests.collectors.live.training_loops import loader, loss, model, sgd  # noqa: E402

Record = Callable[[Callable[[], None]], Recorded]
MS = 1_000_000


def marks() -> Marks:
    found = injection.current()
    assert found is not None
    return found.marks


def train(batches: int, after: Callable[[int], Any] = lambda number: None) -> None:
    net = model()
    optimizer = sgd(net)
    for number, (batch,) in enumerate(loader(batches)):
        loss(net, batch).backward()
        optimizer.step()
        after(number)


def in_pairs(trainer: str) -> Callable[[int], None]:
    """A framework that says that every two updates are a step."""
    return lambda number: marks().step_ends(trainer, number // 2) if number % 2 else None


def test_a_framework_says_where_steps_end(record: Record) -> None:
    def run() -> None:
        marks().training_begins("huggingface")
        train(20, in_pairs("huggingface"))
        marks().training_ends("huggingface")
        train(5)

    assert [one["micro"] for one in record(run).steps] == [2] * 10 + [1] * 5


def test_told_twice_of_one_step_it_ends_once(record: Record) -> None:
    def twice(number: int) -> None:
        marks().step_ends("huggingface", number)
        marks().step_ends("huggingface", number)

    assert len(record(lambda: train(10, twice)).steps) == 10


def test_the_script_is_believed_before_its_framework(record: Record) -> None:
    def after(number: int) -> None:
        marks().step_ends("huggingface", number)
        if number % 5 == 4:
            step()

    def run() -> None:
        step()  # from here
        train(20, after)

    assert [one["micro"] for one in record(run).steps] == [5] * 4


def test_a_framework_inside_another_is_not_asked(record: Record) -> None:
    def after(number: int) -> None:
        marks().step_ends("inner", number)
        in_pairs("outer")(number)

    def run() -> None:
        marks().training_begins("outer")
        train(20, after)

    assert len(record(run).steps) == 10


def test_a_step_of_which_only_its_end_is_seen_counts(record: Record) -> None:
    def run() -> None:
        marks().training_begins("huggingface")
        for number in range(5):
            marks().step_ends("huggingface", number)

    assert len(record(run).steps) == 5


def test_a_framework_whose_hook_has_failed_is_replaced_by_inference(record: Record) -> None:
    def run() -> None:
        found = injection.current()
        assert found is not None
        hook = found.recorder.hook("huggingface")
        marks().training_begins("huggingface")
        train(10, lambda number: hook.run(marks().step_ends, "huggingface", number))
        hook.fail(RuntimeError("broken on purpose"))
        train(10)

    assert len(record(run).steps) == 20


def test_an_engine_is_one_optimizer_whatever_it_steps_inside(record: Record) -> None:
    net = model()
    inner = sgd(net)

    def run() -> None:
        found = injection.current()
        assert found is not None
        engine = object()
        for number, (batch,) in enumerate(loader(20)):
            loss(net, batch).backward()
            token = found.recorder.engine_begins(time.perf_counter_ns(), (engine,), {})
            for _ in range(0 if number % 3 == 0 else 20):  # an overflow leaves the inner steps out
                inner.step()
            found.recorder.engine_ends(token, time.perf_counter_ns(), None, None)

    steps = record(run).steps
    assert [one["micro"] for one in steps] == [1] * 20
    assert all(one["data_wait"] > 0 for one in steps)  # many inner steps do not make it a loop without a loader


def test_an_announced_evaluation_is_booked_whole_and_once(record: Record) -> None:
    batches, held_out = loader(10), loader(4)

    def run() -> None:
        net = model()
        optimizer = sgd(net)
        for (batch,) in batches:
            loss(net, batch).backward()
            optimizer.step()
            step()
            with phase("evaluation"):
                time.sleep(0.005)
                for _ in held_out:
                    time.sleep(0.001)
                torch.save({}, "/dev/null")
                with phase("evaluation"):
                    time.sleep(0.001)

    steps = record(run).steps
    assert len(steps) == 10
    for one in steps[1:]:
        assert one["evaluation"] >= 10 * MS
        assert one["evaluation"] + one["checkpoint"] + one["data_wait"] <= one["wall"]
    assert {one["micro"] for one in steps} == {1}


def test_a_framework_that_has_changed_costs_its_own_hook_alone(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    framework = ModuleType("someframework")
    framework.Trainer = type("Trainer", (), {})  # type: ignore[attr-defined]

    def adapter(module: ModuleType, grip: Grip) -> None:
        grip.region("evaluation", module.Trainer, "evaluate")  # passed over
        grip.training(module.Trainer, "fit")

    monkeypatch.setitem(registry.ADAPTERS, "someframework", ("someframework", adapter))
    monkeypatch.setitem(sys.modules, "someframework", framework)
    recorded = record(lambda: train(10))
    assert len(recorded.steps) == 10
    state = recorded.rank["collectors"]["someframework"]
    assert (state["status"], state["reason"]) == (
        "disarmed",
        "AttributeError: there is no Trainer.fit in this version",
    )


def test_methods_of_a_framework_are_given_back(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    class Trainer:
        def fit(self) -> None: ...

    framework = ModuleType("someframework")
    framework.Trainer = Trainer  # type: ignore[attr-defined]

    def adapter(module: ModuleType, grip: Grip) -> None:
        grip.training(module.Trainer, "fit")

    monkeypatch.setitem(registry.ADAPTERS, "someframework", ("someframework", adapter))
    monkeypatch.setitem(sys.modules, "someframework", framework)
    original = Trainer.fit
    during = []

    def run() -> None:
        during.append(Trainer.fit)
        train(3)

    record(run)
    assert during != [original]
    assert Trainer.fit is original
