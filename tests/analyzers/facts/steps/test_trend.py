"""Is a slope what it was made with, and its interval as wide as the noise?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmprof.analyzers.facts.steps.trend import trend_of


@settings(max_examples=30, deadline=None)
@given(slope=st.floats(-10, 10), start=st.floats(1, 1000), count=st.integers(5, 300))
def test_a_line_is_found_whatever_its_slope(slope: float, start: float, count: int) -> None:
    step = np.arange(count)
    found = trend_of(step, start + slope * step)
    assert found is not None
    assert found.slope == pytest.approx(slope, abs=1e-9)
    assert found.low <= found.slope + 1e-9 and found.slope <= found.high + 1e-9
    assert (found.start, found.end) == (
        pytest.approx(start, abs=1e-6),
        pytest.approx(start + slope * step[-1], abs=1e-6),
    )


def test_a_tenth_of_wild_values_does_not_move_it() -> None:
    step = np.arange(200)
    value = 100.0 + 0.5 * step
    value[::10] += 10_000
    found = trend_of(step, value)
    assert found is not None and found.slope == pytest.approx(0.5, rel=0.05)


def test_noise_alone_has_zero_inside_its_interval_about_nineteen_times_of_twenty() -> None:
    chance = np.random.default_rng(3)
    found = [trend_of(np.arange(60), chance.normal(100, 5, 60)) for _ in range(200)]
    outside = sum(one is not None and not one.low <= 0 <= one.high for one in found)
    assert outside <= 20


def test_few_readings_have_no_slope() -> None:
    assert trend_of(np.arange(4), np.ones(4)) is None
    assert trend_of(np.zeros(9, dtype=np.int64), np.ones(9)) is None


def test_growth_per_hundred_steps_refers_to_the_start() -> None:
    found = trend_of(np.arange(101), 50.0 + 0.1 * np.arange(101))
    assert found is not None and found.per_hundred == pytest.approx(0.2)
    assert (found.steps, found.points) == (100, 101)
