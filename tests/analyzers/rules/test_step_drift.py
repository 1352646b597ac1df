"""Is growth told from noise, from too few steps and from more work?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.rules.step_drift import evaluate
from tests.analyzers.rules.facts_builder import make_facts, status
from tests.analyzers.rules.run_builder import table, with_rank


def growing(per_step: float, steps: int = 300, noise: float = 0.1) -> list[float]:
    chance = np.random.default_rng(5)
    return [40 + per_step * step + float(chance.normal(0, noise)) for step in range(steps)]


@pytest.mark.parametrize(
    ("wall", "expected"),
    [
        (growing(0.008), "fired"),  # 2 % per 100 steps
        (growing(0.0035), "passed"),  # 0.9 %
        (growing(-0.02), "passed"),
        (growing(0.008, steps=150), "not_applicable"),
        (growing(0.0, noise=8.0), "passed"),
    ],
)
def test_the_limit_is_one_percent_per_hundred_steps(wall: list[float], expected: str) -> None:
    assert status(evaluate(with_rank(make_facts(40), table=table(wall)))) == expected


def test_the_part_that_grows_is_named() -> None:
    wait = [1 + 0.02 * step for step in range(300)]
    found = evaluate(with_rank(make_facts(43), table=table([39 + value for value in wait], data_wait=wait)))
    assert found.finding.status == "fired"
    assert "the wait for batches grows with it (100 % of it)" in found.finding.summary


def test_more_tokens_are_more_work() -> None:
    run = table(growing(0.04), tokens=[1000 + step for step in range(300)])
    assert status(evaluate(with_rank(make_facts(46), table=run))) == "passed"


def test_unknown_steps() -> None:
    assert status(evaluate(make_facts(40))) == "no_data"
