"""What does a collector inside the training process have to offer, and which ones does a run have?"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from llmprof.collectors.live.session import Session

__all__ = ["DEFAULT_COLLECTORS", "Collector", "StepRecord", "discover"]

StepRecord = dict[str, Any]
"""One line of steps.jsonl (docs/run-directory.md): keys n, t, wall, phase, micro, ...; a collector may add keys."""

DEFAULT_COLLECTORS: tuple[tuple[str, str], ...] = (
    ("configuration", "Configuration"),
    ("allocator", "Allocator"),
    ("host", "HostTelemetry"),
    ("nvml", "DeviceTelemetry"),
    ("torch_trace", "TorchTrace"),
)


class Collector(Protocol):
    """One thing that is recorded while training; an exception in any method disarms it and never reaches training."""

    name: str

    def start(self, session: Session) -> None:
        """Called once, in the training thread, after the first completed optimizer step of the process."""

    def on_step(self, record: StepRecord) -> None:
        """Called in the training thread at every step boundary, for the step that just completed; must be quick."""

    def stop(self) -> None:
        """Called once, at exit."""


def discover(missing: Callable[[str, str], None]) -> list[Collector]:
    """The default collectors that can be made here; `missing(name, reason)` is told of every other one."""
    made = (_make(module, cls, missing) for module, cls in DEFAULT_COLLECTORS)
    return [collector for collector in made if collector is not None]


def _make(module: str, cls: str, missing: Callable[[str, str], None]) -> Collector | None:
    try:
        collector: Collector = getattr(importlib.import_module(f"llmprof.collectors.live.{module}"), cls)()
    except Exception as error:
        missing(module, f"{type(error).__name__}: {error}")
        return None
    return collector
