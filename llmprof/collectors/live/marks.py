"""Who says where the steps end, and what does the script say it does: the script, its framework, or nobody?

The script's own `llmprof.step()` wins over what its framework (Hugging Face Trainer, Lightning) says, and that over
what the detector infers. The same goes for regions: an evaluation that is announced is booked as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns as now_ns
from typing import Any

from llmprof.collectors.live.recorder import Recorder
from llmprof.collectors.live.step_timer import OpenStep

__all__ = ["Marks", "Region"]

STALLS = ("checkpoint", "evaluation")
"""Regions that hold up training; every other name is kept as it is."""


@dataclass(slots=True)
class Region:
    """A named part of a step that has begun."""

    name: str
    begin: int
    step: OpenStep | None
    booked: int
    """ns of all stalls of the step until then."""


class Marks:
    """What is said about the steps of one recording. Called in the training thread, inside hooks."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._script = False
        self._trainer: str | None = None
        self._began = 0
        self._last: Any = None
        self._evaluations = 0

    # Steps

    def script_step(self) -> None:
        """The script says that a step ends here; from now on nothing else does."""
        self._script = True
        self._recorder.explicit_step()

    def script_is_silent(self) -> None:
        """The part of the script that marked its steps is over."""
        self._script = False
        self._recorder.infer_steps(self._trainer is None, self._trainer)

    def training_begins(self, trainer: str) -> None:
        """A framework begins to train and will say where steps end; one that it drives in turn is not asked."""
        if self._trainer is None:
            self._trainer, self._began, self._last = trainer, now_ns(), None
            self._recorder.infer_steps(False, trainer)

    def training_ends(self, trainer: str) -> None:
        """It has ended; steps are inferred again."""
        if self._trainer == trainer:
            self._trainer = None
            self._recorder.infer_steps(not self._script)

    def step_ends(self, trainer: str, which: Any) -> None:
        """The framework says that a step ends here; told again of the same one (`which`) nothing happens."""
        if self._script or self._trainer not in (None, trainer) or which == self._last:
            return
        self.training_begins(trainer)
        self._last = which
        self._recorder.explicit_step(self._began)

    @property
    def has_stepped(self) -> bool:
        """Whether an optimizer has stepped since the last boundary."""
        return self._recorder.has_stepped

    # Regions

    def region_begins(self, name: str) -> Region | None:
        """A part of a step begins that has a name; None in a thread that does not train."""
        if not self._recorder.is_here():
            return None
        step = self._recorder.running
        if name == "evaluation":  # its fetches are a part of it
            self._evaluations += 1
            self._recorder.ignore_fetches(True)
        return Region(name, now_ns(), step, _booked(step))

    def region_ends(self, region: Region) -> None:
        """It is done. Stalls that hooks have booked meanwhile are not counted twice."""
        now, step = now_ns(), self._recorder.running
        if region.name == "evaluation":
            self._evaluations -= 1
            if not self._evaluations:
                self._recorder.ignore_fetches(False)
        if step is None:
            return
        begin, booked = region.begin, region.booked
        if step is not region.step:  # a step ended inside: the part after the boundary counts
            begin, booked = max(begin, step.start), 0
        if region.name in STALLS:
            duration = max(0, now - begin - (_booked(step) - booked))
            step.add_stall(region.name, duration)
            if self._recorder.session is not None:
                self._recorder.session.event(region.name, ns=duration)
        else:
            step.regions = step.regions or {}
            step.regions[region.name] = step.regions.get(region.name, 0) + now - begin


def _booked(step: OpenStep | None) -> int:
    return sum(step.stalls.values()) if step is not None and step.stalls is not None else 0
