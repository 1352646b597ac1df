"""Events are a bounded set, recorded on the stream of the moment and never while a graph is captured."""

from __future__ import annotations

from functools import partial
from time import thread_time_ns
from typing import Any

from llmprof.collectors.live.device_timer import RING, DeviceTimer
from llmprof.collectors.live.hooks import LONG_NS, Apart, Hook
from tests.collectors.live.devices import Device, Event


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


def test_the_stream_is_looked_up_again_only_when_it_has_changed() -> None:
    device, current, found = Device(), ["a"], []
    recorded = []

    class Recording(Event):
        def record(self, stream: Any) -> None:
            recorded.append(stream)

    def stream() -> str:
        found.append(current[0])
        return current[0].upper()

    timer = DeviceTimer(lambda: Recording(device), stream, lambda: False, lambda: current[0])
    for name in "aabba":
        current[0] = name
        timer.mark()
    assert recorded == ["A", "A", "B", "B", "A"]
    assert found == ["a", "b", "a"]


def test_waiting_for_room_in_the_launch_queue_is_not_the_hooks() -> None:
    """Ten events of 2 ms of processor time each, which the driver holds back: a hook is not switched off for them."""

    class Held(Event):
        def record(self, stream: Any) -> None:
            until = thread_time_ns() + 2 * LONG_NS
            while thread_time_ns() < until:
                pass

    reasons: list[str] = []
    apart = Apart()
    hook = Hook("loader", lambda name, reason: reasons.append(reason), apart)
    timer = DeviceTimer(lambda: Held(Device()), lambda: None, lambda: False, blocked=partial(apart.note, "queue"))
    for _ in range(10):
        hook.run(timer.mark)
    assert (hook.armed, reasons) == (True, [])
    assert apart.totals["queue"] > 10 * LONG_NS
    unheard = DeviceTimer(lambda: Held(Device()), lambda: None, lambda: False)
    for _ in range(10):
        hook.run(unheard.mark)
    assert not hook.armed


def test_there_is_no_device_timer_without_a_cuda_device() -> None:
    class Cpu:
        type, index = "cpu", None

    assert DeviceTimer.of(Cpu()) is None
    assert DeviceTimer.of(None) is None
