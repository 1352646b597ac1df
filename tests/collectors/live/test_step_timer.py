"""Device times are read only when the device has got there, and never waited for."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.step_timer import RING, SETTLING, DeviceTimer, OpenStep, SettlingSteps


class Device:
    """A device whose events happen when the test says so; time is what `clock_ms` was when they were recorded."""

    def __init__(self) -> None:
        self.clock_ms = 0.0
        self.reached_ms = -1.0
        self.capturing = False

    def timer(self) -> DeviceTimer:
        return DeviceTimer(lambda: Event(self), lambda: None, lambda: self.capturing)


class Event:
    def __init__(self, device: Device) -> None:
        self.device = device
        self.at = float("inf")

    def record(self, stream: Any) -> None:
        self.at = self.device.clock_ms

    def query(self) -> bool:
        return self.at <= self.device.reached_ms

    def elapsed_time(self, end: Event) -> float:
        if not (self.query() and end.query()):
            raise RuntimeError("not ready")
        return end.at - self.at


def run_steps(device: Device, timer: DeviceTimer, settling: SettlingSteps, count: int, first: int = 0) -> None:
    """Steps of 10 ms whose first fetch keeps the stream idle for 2 ms."""
    event = timer.mark()
    for number in range(first, first + count):
        step = OpenStep(number, int(device.clock_ms * 1e6), "baseline", event)
        device.clock_ms += 2
        step.fetches = 1
        step.fetch_events.append((step.event, timer.mark()))
        device.clock_ms += 8
        event = timer.mark()
        settling.add(step.record(int(device.clock_ms * 1e6), 0, "baseline"), step, event, timer)


def test_steps_are_written_in_order_once_the_device_has_reached_their_end() -> None:
    device, written = Device(), []
    timer, settling = device.timer(), SettlingSteps(written.append)
    run_steps(device, timer, settling, 3)
    assert written == []
    device.reached_ms = 25
    run_steps(device, timer, settling, 1, first=3)
    assert [record["n"] for record in written] == [0, 1]
    device.reached_ms = 1e9
    settling.finish(timer)
    assert [record["n"] for record in written] == [0, 1, 2, 3]
    assert {record["device"] for record in written} == {10_000_000}
    assert {record["data_wait_exposed"] for record in written} == {2_000_000}


def test_a_device_that_is_far_behind_costs_the_device_times_not_the_steps() -> None:
    device, written = Device(), []
    timer, settling = device.timer(), SettlingSteps(written.append)
    run_steps(device, timer, settling, SETTLING + 5)
    assert [record["n"] for record in written] == list(range(5))
    settling.finish(timer)
    assert len(written) == SETTLING + 5
    assert not any("device" in record for record in written)


def test_events_are_used_again() -> None:
    device, written = Device(), []
    timer, settling = device.timer(), SettlingSteps(written.append)
    device.reached_ms = 1e12
    run_steps(device, timer, settling, 10 * RING)
    assert len(written) == 10 * RING
    assert timer.dropped == 0


def test_a_full_ring_drops_and_counts() -> None:
    timer = Device().timer()
    assert all(timer.mark() is not None for _ in range(RING))
    assert timer.mark() is None
    assert timer.dropped == 1


def test_nothing_is_recorded_while_a_graph_is_captured() -> None:
    device = Device()
    timer = device.timer()
    device.capturing = True
    assert timer.mark() is None
    device.capturing = False
    assert timer.mark() is not None


def test_a_fetch_without_its_events_leaves_the_exposed_wait_unknown() -> None:
    device, written = Device(), []
    timer, settling = device.timer(), SettlingSteps(written.append)
    device.reached_ms = 1e9
    step = OpenStep(0, 0, "baseline", timer.mark())
    step.fetches, step.events_lost = 2, True
    device.clock_ms = 5
    settling.add(step.record(5, 0, "baseline"), step, timer.mark(), timer)
    assert written[0]["device"] == 5_000_000
    assert "data_wait_exposed" not in written[0]


def test_what_was_not_measured_is_not_there() -> None:
    record = OpenStep(4, 100, "warmup").record(350, 1_000, "warmup")
    assert record == {"n": 4, "t": 1_100, "wall": 250, "phase": "warmup", "micro": 0}


def test_there_is_no_device_timer_without_a_cuda_device() -> None:
    class Cpu:
        type, index = "cpu", None

    assert DeviceTimer.of(Cpu()) is None
    assert DeviceTimer.of(None) is None
