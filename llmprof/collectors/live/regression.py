"""Has the step become slower in the course of the run, for good and by enough to be worth a look?

Off the training's way: the writing thread shows every line of steps.jsonl once it is made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import Any

from llmprof.units import format_ns

__all__ = ["StepWatch"]

WINDOW_STEPS = 32
WINDOW_NS = 10_000_000_000
"""A window is at least as many steps and at least as long: steps of a few milliseconds come with disturbances of
seconds, which are over before a burst could begin."""
WINDOWS = 3
"""Windows in a row that have to be slower: what has lasted half a minute is still there 20 steps later."""
SLOWER = 1.15
"""Clocks that follow the temperature, and neighbours on the network, change a step by several per cent."""
SPREADS = 4.0
"""The median has to be above the reference by as many of its spreads, so that steps which differ by nature (batches of
unequal length) ask for a change that this does not explain; a median of 32 varies by about a fifth of the spread."""
SPREAD_OF_MAD = 1.4826
"""Turns a median absolute deviation into the standard deviation of normally distributed values."""
STEADY = ("baseline", "after")
STALLS = ("checkpoint", "evaluation", "epoch_start")


class StepWatch:
    """Compares window after window of steady steps with the first one; steps with a stall are left out."""

    def __init__(self) -> None:
        self.recent: deque[int] = deque(maxlen=WINDOW_STEPS)
        """Wall times of the last steps, ns."""
        self._walls: list[int] = []
        self._total = 0
        self._reference: tuple[float, float] | None = None
        self._slow: list[tuple[float, int]] = []  # median and steps of the slower windows

    def add(self, step: Mapping[str, Any]) -> str | None:
        """One line of steps.jsonl; a sentence when the run has become slower."""
        wall = int(step["wall"])
        self.recent.append(wall)
        if step["phase"] not in STEADY or any(step.get(name) for name in STALLS):
            return None
        self._walls.append(wall)
        self._total += wall
        if len(self._walls) < WINDOW_STEPS or self._total < WINDOW_NS:
            return None
        walls, self._walls, self._total = self._walls, [], 0
        middle = median(walls)
        if self._reference is None:
            self._reference = middle, SPREAD_OF_MAD * median([abs(wall - middle) for wall in walls])
            return None
        usual, spread = self._reference
        if middle <= max(SLOWER * usual, usual + SPREADS * spread):
            self._slow.clear()
            return None
        self._slow.append((middle, len(walls)))
        if len(self._slow) < WINDOWS:
            return None
        now, steps = median(window for window, _ in self._slow), sum(count for _, count in self._slow)
        self._slow.clear()
        return (
            f"the step takes {format_ns(now)} instead of {format_ns(usual)} (± {format_ns(spread)}) for {steps} steps"
        )
