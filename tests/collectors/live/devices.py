"""A device without hardware, whose events happen when the test says so."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.device_timer import DeviceTimer


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
