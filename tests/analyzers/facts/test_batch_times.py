"""Is what a ready batch costs told from waiting for one that comes late?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.facts.batch_times import hand_over_ns
from llmprof.timeline.steps import StepPhase, StepTimes

MS = 1_000_000


def times_of(queue: list[int], wait_ms: list[float]) -> StepTimes:
    count = len(queue)
    return StepTimes(
        number=np.arange(count),
        start_ns=np.arange(count) * 100 * MS,
        wall_ns=np.full(count, 100 * MS),
        phase=np.full(count, StepPhase.BASELINE, dtype=np.uint8),
        parts={"queue": np.array(queue), "data_wait": (np.array(wait_ms) * MS).astype(np.int64)},
    )


def hand_over(queue: list[int], wait_ms: list[float], fetches: float = 1.0) -> float | None:
    return hand_over_ns(times_of(queue, wait_ms), np.arange(len(queue)), fetches)


def test_a_batch_that_is_ready_but_not_the_next_one_is_no_hand_over() -> None:
    """As on an H200 with three workers that were too slow: half of the waits with batches in the queue were long."""
    queue = [2, 3, 2, 1, 4, 2, 2, 1, 0, 0]
    wait = [0.12, 0.09, 0.11, 622.0, 0.13, 657.0, 616.0, 633.0, 662.0, 656.0]
    found = hand_over(queue, wait)
    assert found is not None and found < 0.2 * MS


def test_waits_that_are_alike_are_the_hand_over() -> None:
    assert hand_over([4] * 8, [2.0] * 8, fetches=2.0) == pytest.approx(1.0 * MS)


def test_empty_queues_say_nothing() -> None:
    assert hand_over([0] * 8, [50.0] * 8) is None
