"""A run that becomes slower is noticed; noise, disturbances, evaluations and checkpoints are not."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from llmprof.collectors.live.regression import StepWatch

MS = 1_000_000


def told(walls: Iterable[float], watch: StepWatch | None = None, **more: Any) -> str | None:
    watch = watch or StepWatch()
    found = [watch.add({"wall": int(wall * MS), "phase": "after", **more}) for wall in walls]
    return next((reason for reason in found if reason), None)


def noisy(mean: float, spread: float, steps: int) -> list[float]:
    draw = random.Random(0)
    return [max(draw.gauss(mean, spread), 1.0) for _ in range(steps)]


def test_a_step_that_has_become_longer_for_good_is_told_with_both_times() -> None:
    reason = told([*noisy(40, 1, 500), *noisy(52, 1, 800)])
    assert reason is not None
    assert "instead of 39.9 ms" in reason


def test_a_slow_drift_is_told_too() -> None:
    assert told(40 + step / 100 for step in range(3000))


def test_a_few_per_cent_are_not() -> None:
    assert told([*noisy(40, 1, 500), *noisy(44, 1, 2000)]) is None


def test_a_run_that_becomes_faster_is_not() -> None:
    assert told([*noisy(60, 1, 500), *noisy(40, 1, 2000)]) is None


def test_steps_that_differ_by_nature_are_not() -> None:
    assert told(noisy(100, 40, 5000)) is None


def test_a_disturbance_that_passes_is_not() -> None:
    assert told([*noisy(40, 1, 500), *noisy(80, 1, 250), *noisy(40, 1, 1000)]) is None


def test_single_long_steps_are_not() -> None:
    walls = noisy(40, 1, 3000)
    walls[::10] = [400.0] * len(walls[::10])
    assert told(walls) is None


def test_evaluations_and_checkpoints_are_left_out() -> None:
    watch = StepWatch()
    told(noisy(40, 1, 500), watch)
    for stall in ("checkpoint", "evaluation", "epoch_start"):
        assert told(noisy(90, 1, 500), watch, **{stall: 50 * MS}) is None


def test_traced_steps_are_left_out() -> None:
    watch = StepWatch()
    told(noisy(40, 1, 500), watch)
    assert told(noisy(90, 1, 500), watch, phase="traced") is None
