"""Is the replay of the DataLoader right where the answer is known, and near where it was measured?"""

from __future__ import annotations

import random

import pytest

from llmprof.analyzers.facts.loader_model import batch_interval_ns, expected_hand_over_ns

MS = 1_000_000.0


@pytest.mark.parametrize(
    ("load", "rest", "workers", "interval"),
    [
        (30, 10, 1, 30),  # one worker sets the pace
        (30, 10, 2, 15),
        (30, 10, 3, 10),  # and three of them none any more
        (30, 10, 8, 10),
        (30, 10, 0, 40),  # made in the training process: one after the other
    ],
)
def test_even_loads_are_made_at_the_rate_of_the_workers(load: int, rest: int, workers: int, interval: int) -> None:
    assert batch_interval_ns([load * MS], rest * MS, workers) == pytest.approx(interval * MS)


def test_one_slow_batch_holds_up_all_and_a_deeper_queue_hides_it() -> None:
    # 1 of 50 batches takes 200 ms, the others 10, the step uses one each 10 ms: 8 workers would do on average.
    loads = [200 * MS, *[10 * MS] * 49]
    shallow = batch_interval_ns(loads, 10 * MS, 4, prefetch=2)
    deep = batch_interval_ns(loads, 10 * MS, 4, prefetch=8)
    # 4 workers x 2 batches cover 8 x 10 ms of the 200: the rest is waited for, every 50 batches.
    assert shallow == pytest.approx(10 * MS + (200 - 80) / 50 * MS, rel=0.05)
    assert deep == pytest.approx(10 * MS, rel=0.01)


def test_uneven_loads_wait_more_than_their_mean_says() -> None:
    source = random.Random(0)
    loads = [source.lognormvariate(-0.25, 0.7) * 80 * MS for _ in range(500)]
    mean = sum(loads) / len(loads)
    workers = 8
    rest = mean / workers
    assert batch_interval_ns(loads, rest, workers) > 1.1 * rest
    assert batch_interval_ns(loads, rest, workers + 4) < batch_interval_ns(loads, rest, workers)


def test_receiving_a_batch_takes_its_time() -> None:
    assert batch_interval_ns([MS], 10 * MS, 4, hand_over_ns=2 * MS) == pytest.approx(12 * MS)


def test_work_on_more_threads_than_cores_is_stretched() -> None:
    # 3 workers and the training thread on 2 cores: the CPU part of a load takes twice as long.
    free = batch_interval_ns([30 * MS], 1.0, 3, cpu_ns=20 * MS)
    crowded = batch_interval_ns([30 * MS], 1.0, 3, cpu_ns=20 * MS, cores=2)
    assert (free, crowded) == (pytest.approx(10 * MS), pytest.approx(50 / 3 * MS))


def test_a_larger_batch_takes_longer_to_receive() -> None:
    """What is expected before there are workers: a part of every batch, and so much a byte."""
    least = expected_hand_over_ns(None)
    assert 0 < least == expected_hand_over_ns(0.0)
    assert expected_hand_over_ns(100e6) - least == pytest.approx(2 * (expected_hand_over_ns(50e6) - least))


def test_workers_cannot_bring_the_step_below_the_rest_and_what_receiving_takes() -> None:
    hand_over = expected_hand_over_ns(4e6)
    interval = batch_interval_ns([5 * MS], 20 * MS, 8, hand_over_ns=hand_over)
    assert interval == pytest.approx(20 * MS + hand_over)
