"""Warm-up ends when steps are steady, and in any case."""

from __future__ import annotations

from itertools import cycle, islice

from llmprof.collectors.live.warmup import WARMUP_AT_MOST, WARMUP_STEPS, WarmUp


def length(walls: list[int]) -> int:
    warmup = WarmUp()
    return next(n for n, wall in enumerate(walls, 1) if warmup.is_over(wall))


def test_steady_steps_end_it_as_early_as_can_be() -> None:
    assert length([100] * 50) == WARMUP_STEPS


def test_it_lasts_until_three_steps_in_a_row_are_alike() -> None:
    assert length([900, 500, 300, 200, 150, 120, 101, 100, 99, 100]) == 9


def test_steps_that_are_never_alike_end_it_late() -> None:
    assert length(list(islice(cycle([100, 200]), 100))) == WARMUP_AT_MOST


def test_of_a_run_whose_length_is_known_it_takes_a_quarter() -> None:
    walls = list(islice(cycle([100, 200]), 100))
    for expected, longest in ((8, WARMUP_STEPS), (40, 10), (1000, WARMUP_AT_MOST)):
        warmup = WarmUp(expected)
        assert next(n for n, wall in enumerate(walls, 1) if warmup.is_over(wall)) == longest
