"""Device times are read only when the device has got there, and never waited for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llmprof.collectors.live.device_timer import RING, DeviceTimer
from llmprof.collectors.live.step_timer import SETTLING, OpenStep, SettlingSteps, next_sampled
from tests.collectors.live.devices import Device


class Fetches:
    """What a group of fetches has come to."""

    waited, count, tokens, queue, events_lost = 1, 1, 0, None, False

    def __init__(self, *events: tuple[Any, Any]) -> None:
        self.events = list(events)


def ended(number: int, start: int, end: int) -> OpenStep:
    step = OpenStep(number, start, "baseline")
    step.record = {"n": number, "wall": end - start}
    return step


def run_steps(device: Device, timer: DeviceTimer, settling: SettlingSteps, count: int, first: int = 0) -> None:
    """Steps of 10 ms, all sampled, whose first fetch keeps the stream idle for 2 ms."""
    event = timer.mark()
    for number in range(first, first + count):
        step = ended(number, 0, 10)
        step.sampled, step.event = True, event
        device.clock_ms += 2
        step.fetched = [Fetches((event, timer.mark()))]
        device.clock_ms += 8
        event = step.end_event = timer.mark()
        settling.add([step], timer)


def test_steps_are_written_in_order_once_the_device_has_reached_their_end() -> None:
    device, written = Device(), []
    timer, settling = device.timer(), SettlingSteps(written.append)
    run_steps(device, timer, settling, 3)
    assert written == []
    device.reached_ms = 25
    run_steps(device, timer, settling, 1, first=3)
    assert [step.number for step in written] == [0, 1]
    device.reached_ms = 1e9
    settling.finish(timer)
    assert [step.number for step in written] == [0, 1, 2, 3]
    assert {step.record["device"] for step in written} == {10_000_000}
    assert {step.record["data_wait_exposed"] for step in written} == {2_000_000}


def test_a_device_that_is_far_behind_costs_the_device_times_not_the_steps() -> None:
    device, written = Device(), []
    timer, settling = device.timer(), SettlingSteps(written.append)
    run_steps(device, timer, settling, SETTLING + 5)
    assert [step.number for step in written] == list(range(5))
    settling.finish(timer)
    assert len(written) == SETTLING + 5
    assert not any("device" in step.record for step in written)


def test_giving_up_writes_every_step_without_asking_the_device() -> None:
    device, written = Device(), []
    timer, settling = device.timer(), SettlingSteps(written.append)
    run_steps(device, timer, settling, 3)
    device.reached_ms = 1e9  # the device would answer
    settling.give_up([ended(3, 30, 40)], timer)
    assert [step.number for step in written] == [0, 1, 2, 3]
    assert not any("device" in step.record for step in written)
    run_steps(device, timer, settling, 10 * RING)
    assert timer.dropped == 0  # their events are used again


def test_a_step_without_events_waits_for_the_one_before_it() -> None:
    device, written = Device(), []
    timer, settling = device.timer(), SettlingSteps(written.append)
    run_steps(device, timer, settling, 1)
    settling.add([ended(1, 10, 20)], timer)
    assert written == []
    device.reached_ms = 1e9
    settling.add([ended(2, 20, 30)], timer)
    assert [step.number for step in written] == [0, 1, 2]
    assert ["device" in step.record for step in written] == [True, False, False]


def test_an_event_that_ends_one_step_only_is_used_again() -> None:
    device, written = Device(), []
    timer, settling = device.timer(), SettlingSteps(written.append)
    device.reached_ms = 1e12
    for number in range(10 * RING):
        step = ended(number, 0, 10)
        step.sampled, step.event, step.end_event, step.keeps_end = True, timer.mark(), timer.mark(), True
        settling.add([step], timer)
    settling.finish(timer)
    assert len(written) == 10 * RING
    assert timer.dropped == 0


def test_events_are_used_again() -> None:
    device, written = Device(), []
    timer, settling = device.timer(), SettlingSteps(written.append)
    device.reached_ms = 1e12
    run_steps(device, timer, settling, 10 * RING)
    settling.finish(timer)
    assert len(written) == 10 * RING
    assert timer.dropped == 0


def test_a_fetch_without_its_events_leaves_the_exposed_wait_unknown() -> None:
    device, written = Device(), []
    timer, settling = device.timer(), SettlingSteps(written.append)
    device.reached_ms = 1e9
    step = ended(0, 0, 5)
    step.sampled, step.event = True, timer.mark()
    step.fetched = [Fetches((step.event, timer.mark())), Fetches()]
    step.fetched[1].events_lost = True
    device.clock_ms = 5
    step.end_event = timer.mark()
    settling.add([step], timer)
    settling.finish(timer)
    assert written[0].record["device"] == 5_000_000
    assert "data_wait_exposed" not in written[0].record


def test_what_was_not_measured_is_not_there() -> None:
    assert ended(4, 100, 350).line() == {"n": 4, "wall": 250}


def test_a_line_holds_what_was_added_up() -> None:
    step = ended(4, 100, 350)
    step.forward, step.optimizer = 5, 6
    step.fetched = [Fetches(), Fetches()]
    step.fetched[0].tokens, step.fetched[1].queue = 12, 0
    step.add_stall("checkpoint", 30)
    step.add_stall("checkpoint", 30)
    step.add_stall("evaluation", 0)
    assert step.line() == {
        "n": 4, "wall": 250, "data_wait": 2, "tokens": 12, "queue": 0, "batches": 2,
        "forward": 5, "optimizer": 6, "checkpoint": 60,
    }  # fmt: skip


def sampled(first: int, last: int) -> list[int]:
    found = [next_sampled(first)]
    while found[-1] < last:
        found.append(next_sampled(found[-1] + 1))
    return [number for number in found if number < last]


def test_the_first_steps_are_all_sampled_then_one_of_every_four_then_of_16() -> None:
    assert sampled(0, 9) == list(range(9))
    assert [number // 4 for number in sampled(12, 400)] == list(range(3, 100))
    assert [number // 16 for number in sampled(1600, 3200)] == list(range(100, 200))


@pytest.mark.parametrize("workers", range(2, 17))
def test_loader_workers_that_take_turns_are_met_alike(workers: int) -> None:
    turns = np.bincount(np.array(sampled(12, 16_512)) % workers, minlength=workers)
    assert turns.min() > 0.8 * turns.mean()
    assert turns.max() < 1.2 * turns.mean()
