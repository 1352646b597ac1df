"""What does a collector inside the training process have to offer, and which ones does a run have?"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from llmprof.collectors.live.session import Session

__all__ = [
    "DEFAULT_COLLECTORS",
    "NEVER",
    "Collector",
    "PatientCollector",
    "StepCollector",
    "StepRecord",
    "discover",
]

StepRecord = dict[str, Any]
"""One line of steps.jsonl (docs/run-directory.md): keys n, t, wall, phase, micro, ...; a collector may add keys."""

DEFAULT_COLLECTORS: tuple[tuple[str, str], ...] = (
    ("configuration", "Configuration"),
    ("allocator", "Allocator"),
    ("telemetry", "TelemetryProcess"),
    ("torch_trace", "TorchTrace"),
)


NEVER = sys.maxsize
"""As `next_step`: not again."""


class Collector(Protocol):
    """One thing that is recorded while training; an exception in any method disarms it and never reaches training.

    One that is also called at step boundaries is a StepCollector, or a PatientCollector when not at every one.
    """

    name: str

    def start(self, session: Session) -> None:
        """Called once, in the training thread, after the first completed optimizer step of the process."""

    def stop(self) -> None:
        """Called once, at exit."""


@runtime_checkable
class StepCollector(Collector, Protocol):
    """A collector that is called at step boundaries."""

    def on_step(self, record: StepRecord) -> None:
        """Called in the training thread for the step that just completed; must be quick."""


@runtime_checkable
class PatientCollector(StepCollector, Protocol):
    """A collector that says when it wants to be called next; it is called at every change of the phase too."""

    next_step: int


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
