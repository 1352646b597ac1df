"""A long step counts for what the steps after it do not give back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analyzers.rules.run_builder import MS, table


def test_a_step_far_above_the_median_is_an_outlier_and_its_cause_the_part_that_grew() -> None:
    wall = [40.0] * 50
    wall[20], wall[30] = 140.0, 90.0
    found = table(wall, checkpoint={20: 98}, data_wait=[1.0] * 30 + [49.0] + [1.0] * 19)
    assert found is not None
    assert (found.median_ns, found.outliers.count) == (40 * MS, 2)
    assert [(one.step, one.cause) for one in found.outliers.longest] == [(20, "checkpoint"), (30, "data_wait")]
    assert found.outliers.counted_excess_ns == pytest.approx(150 * MS / 50)
    assert found.outliers.by_cause == {"checkpoint": 2 * MS, "data_wait": 1 * MS}


def test_noise_has_no_outliers() -> None:
    noise = np.random.default_rng(1).normal(40, 1, 400)
    found = table([float(value) for value in noise])
    assert found is not None and found.outliers.count == 0


def test_what_no_part_explains_is_unknown() -> None:
    found = table([40.0] * 20 + [80.0, 40.0])
    assert found is not None and found.outliers.longest[0].cause is None
    assert set(found.outliers.by_cause) == {"unknown"}


def test_long_steps_that_come_back_have_a_period() -> None:
    wall = [40.0 + 60 * (step % 25 == 24) for step in range(100)]
    regular, irregular = table(wall), table([40.0 + 60 * (step in (3, 10, 40, 44)) for step in range(100)])
    assert regular is not None and regular.outliers.period_steps == 25
    assert irregular is not None and irregular.outliers.period_steps is None


def test_a_long_step_that_the_next_one_gives_back_lost_nothing() -> None:
    """The host reads the loss every 20 steps: it waits for its queue, 120 -> 220 ms, and is ahead again after 20 ms."""
    wall = [220.0 if step % 20 == 19 else 20.0 if step % 20 == 0 and step else 120.0 for step in range(100)]
    found = table(wall)
    assert found is not None and found.outliers.count == 0
