"""The detector counts the updates of the usual loops exactly, from real torch and without changes to the loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from llmprof.collectors.live.stepping import StepDetector  # noqa: E402
from tests.collectors.live.conftest import Recorded  # noqa: E402
from tests.collectors.live.training_loops import LOOPS  # noqa: E402

Record = Callable[[Callable[[], None]], Recorded]


@pytest.mark.parametrize("name", LOOPS)
def test_counts_the_steps_of(name: str, record: Record) -> None:
    function, expected = LOOPS[name]
    recorded = record(function)
    assert [step["n"] for step in recorded.steps] == list(range(expected))
    assert not [event for event in recorded.events if event["kind"] == "disarmed"]


@pytest.mark.parametrize(
    ("name", "micro"),
    [("plain", 1), ("accumulation", 4), ("get_batch_accumulation", 4), ("group_fetch", 4), ("gan", 2)],
)
def test_counts_the_backwards_of_a_step(name: str, micro: int, record: Record) -> None:
    recorded = record(LOOPS[name][0])
    assert {step["micro"] for step in recorded.steps} == {micro}


def test_steps_tile_the_run(record: Record) -> None:
    steps = record(LOOPS["evaluation_every_ten"][0]).steps
    assert all(before["t"] + before["wall"] == after["t"] for before, after in itertools.pairwise(steps))


def test_an_optimizer_that_is_retired_holds_back_a_loop_without_loader_only_for_a_while() -> None:
    detector = StepDetector()
    closed = 0
    for step in range(100):
        closed += detector.backward()
        detector.in_backward = False
        detector.optimizer_step(1)
        if step < 10:
            detector.optimizer_step(2)
    assert 70 <= closed <= 99


def test_marks_of_the_script_alone_count_once_there_is_one() -> None:
    detector = StepDetector()
    detector.explicit = True
    detector.optimizer_step(1)
    assert not detector.fetch()
    assert not detector.backward()
