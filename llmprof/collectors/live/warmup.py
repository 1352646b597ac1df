"""When is the warm-up over, so that steps may count?"""

from __future__ import annotations

from statistics import median

__all__ = ["WARMUP_AT_MOST", "WARMUP_STEPS", "WarmUp"]

WARMUP_STEPS = 5
STEADY_STEPS, STEADY_SPREAD = 3, 0.10
WARMUP_AT_MOST = 30
"""Warm-up lasts 5 steps at least, then until 3 in a row are within 10 % of their median, and 30 steps at most: loops
that never settle (variable lengths, noisy machines) are measured too, with the spread that they have. It takes no more
than a quarter of a run whose length is known."""


class WarmUp:
    """The first steps of a run."""

    def __init__(self, expected_steps: int | None = None) -> None:
        """`expected_steps` is the length of the run, where it is known."""
        quarter = WARMUP_AT_MOST if expected_steps is None else expected_steps // 4
        self._at_most = min(max(quarter, WARMUP_STEPS), WARMUP_AT_MOST)
        self._walls: list[int] = []

    def is_over(self, wall: int) -> bool:
        """Whether the step that took `wall` ns was the last of the warm-up."""
        self._walls.append(wall)
        recent = self._walls[-STEADY_STEPS:]
        middle = median(recent)
        steady = max(abs(one - middle) for one in recent) <= STEADY_SPREAD * middle
        return (len(self._walls) >= WARMUP_STEPS and steady) or len(self._walls) >= self._at_most
