"""Is what a ready batch costs told from waiting for one that comes late?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.facts.batch_times import BatchTimes, batch_times, hand_over_ns
from llmprof.timeline.loading import BatchLoads
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


def times_by_worker(*loads_ms: list[float]) -> BatchTimes:
    """Of workers that take turns, each with its load times."""
    rounds = len(loads_ms[0])
    durations = np.array(loads_ms).T.ravel()
    workers = np.tile(np.arange(len(loads_ms)), rounds)
    count = durations.size
    found = batch_times(
        BatchLoads(
            loader=np.zeros(count, np.int64),
            worker=workers,
            start_ns=np.arange(count) * MS,
            duration_ns=(durations * MS).astype(np.int64),
            cpu_ns=(durations * MS).astype(np.int64),
        ),
        None,
        np.empty(0, np.intp),
    )
    assert found is not None
    return found


def scattered(mean_ms: float, seed: int, count: int = 14) -> list[float]:
    return list(np.random.default_rng(seed).normal(mean_ms, 10.0, count))


def test_a_worker_that_is_slower_than_chance_explains_keeps_its_pace() -> None:
    """As on an H200 whose training thread shared a core with one of three workers."""
    found = times_by_worker(scattered(216, 0), scattered(165, 1), scattered(169, 2))
    assert found.paces == pytest.approx((1.18, 0.90, 0.92), abs=0.04)
    # Without their paces the workers are alike.
    even = [np.mean(found.even_ns[worker::3]) for worker in range(3)]
    assert even == pytest.approx([found.mean_ns] * 3, rel=0.02)


def test_workers_that_differ_as_their_batches_do_are_alike() -> None:
    loads = [list(np.random.default_rng(seed).lognormal(4.0, 0.8, 14)) for seed in range(4)]
    found = times_by_worker(*loads)
    assert (found.paces, found.even_ns) == ((), ())


def test_a_worker_that_always_gets_the_long_batches_is_not_slow() -> None:
    """Every twelfth of 120 samples takes 250 ms, the others 6: of two workers the first one gets all of them."""
    loads = [[250.0 if n % 6 == 0 else 6.0 + 0.01 * n for n in range(60)], [6.0 + 0.01 * n for n in range(60)]]
    assert times_by_worker(*loads).paces == ()


def test_a_difference_that_nobody_can_measure_is_none() -> None:
    steady = [[mean, mean + 0.1, mean - 0.1, mean] for mean in (100.0, 102.0, 101.0)]
    assert times_by_worker(*steady).paces == ()


def loads_of(*begun_and_took_ms: tuple[int, int, int]) -> BatchLoads:
    """(worker, begin, length) each, in ms."""
    worker, begin, took = (np.array(column) for column in zip(*begun_and_took_ms, strict=True))
    none = np.zeros(worker.size, np.int64)
    return BatchLoads(loader=none, worker=worker, start_ns=begin * MS, duration_ns=took * MS, cpu_ns=none)


def test_a_batch_counts_where_it_is_ready_however_early_it_was_begun() -> None:
    """Steps 1 to 4 count, of 100 ms each: one of them waits for a batch of 250 ms that was begun before all of them."""
    steps = times_of([0] * 6, [0.0] * 6)
    loads = loads_of((0, 50, 250), (1, 60, 30), (1, 200, 90), (1, 300, 80), (0, 480, 90))
    found = batch_times(loads, steps, np.arange(1, 5))
    assert found is not None
    assert [load / MS for load in found.sequence_ns] == [250, 90, 80]


def test_loads_of_the_whole_run_are_kept_but_those_of_workers_that_just_started() -> None:
    steps = times_of([0] * 6, [0.0] * 6)
    loads = loads_of((0, 0, 90), (1, 0, 80), *((0, at, 40) for at in range(90, 560, 40)), (1, 80, 300))
    found = batch_times(loads, steps, np.arange(3, 5))
    assert found is not None
    assert [load / MS for load in found.run_ns] == [40] * 12 + [300]
    every = batch_times(loads, None, np.empty(0, np.intp))
    assert every is not None and every.run_ns == ()
