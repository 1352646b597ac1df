"""Is what a ready batch costs told from waiting for one that comes late?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.loading.batch_times import BatchTimes, arriving_ns, batch_times, hand_over_ns
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


def test_loads_are_in_the_order_of_their_batches_however_late_a_worker_begins_them() -> None:
    """Of two workers the first is busy with batch 0 for 300 ms: the other one makes 1, 3 and 5 before 2 is begun."""
    loads = loads_of((0, 0, 300), (1, 0, 51), (1, 60, 53), (1, 120, 55), (0, 300, 52), (0, 360, 54))
    found = batch_times(loads, None, np.empty(0, np.intp))
    assert found is not None
    assert [load / MS for load in found.sequence_ns] == [300, 51, 52, 53, 54, 55]


def test_loads_of_the_whole_run_are_kept_but_those_of_workers_that_just_started() -> None:
    steps = times_of([0] * 6, [0.0] * 6)
    loads = loads_of((0, 0, 90), (1, 0, 80), *((0, at, 40) for at in range(90, 560, 40)), (1, 80, 300))
    found = batch_times(loads, steps, np.arange(3, 5))
    assert found is not None
    assert [load / MS for load in found.run_ns] == [40, 300, *[40] * 11]
    every = batch_times(loads, None, np.empty(0, np.intp))
    assert every is not None and every.run_ns == ()


def on_the_way(waits_ms: list[float], made_ms: list[int], fetches: float = 1.0, ready_ms: float = 0.5) -> float | None:
    """Steps of 100 ms that wait so long from their beginning on, and batches that are made at these times."""
    loads = loads_of(*((number % 2, at - 40, 40) for number, at in enumerate(made_ms)))
    steps = times_of([0] * len(waits_ms), waits_ms)
    return arriving_ns(loads, steps, np.arange(len(waits_ms)), fetches, ready_ms * MS)


def test_a_batch_is_on_its_way_from_its_end_to_that_of_the_wait_for_it() -> None:
    """Three of five steps wait for a batch: it is there 8 ms after it was made, of which receiving takes half one."""
    assert on_the_way([0.1, 38, 0.1, 28, 48], [30, 130, 230, 320, 440]) == pytest.approx(7.5 * MS)


def test_a_wait_that_no_batch_was_made_in_does_not_say_how_long_the_way_is() -> None:
    """The batch of the second step was made before it began to wait; short waits are fetches of what is there."""
    assert on_the_way([0.1, 38, 0.1], [30, 90, 200]) is None
    assert on_the_way([0.9, 0.9], [0, 100]) is None


def test_the_way_is_not_told_apart_where_a_step_takes_several_batches() -> None:
    assert on_the_way([38, 38], [30, 130], fetches=2.0) is None


def counted_of_run(counted: list[float], others: list[float]) -> BatchTimes:
    """Two workers; the first steps are those before the ones that count."""
    took = [*others, *counted]
    loads = loads_of(*((number % 2, 50 * number, round(value)) for number, value in enumerate(took)))
    steps = times_of([0] * len(took), [0.0] * len(took))
    steps = replace(steps, start_ns=steps.start_ns // 2, wall_ns=steps.wall_ns // 2)
    found = batch_times(loads, steps, np.arange(len(others) + 1, len(took)))
    assert found is not None
    return found


def test_loads_of_a_run_are_alike_where_chance_explains_how_the_counted_ones_differ() -> None:
    draw = np.random.default_rng(3)
    tail = (20 * draw.lognormal(-0.98, 1.4, 90)).clip(1, 45).tolist()
    assert counted_of_run(tail[:30], tail[30:]).run_alike
    # Caches that were cold, or another thread that took the cores.
    assert not counted_of_run(tail[:30], [value + 15 for value in tail[30:]]).run_alike
    assert not counted_of_run(tail[:30], []).run_alike


def test_the_turn_is_what_a_busy_worker_takes_from_one_batch_to_the_next() -> None:
    busy = [(0, at, 40) for at in range(0, 4200, 42)]
    quick = replace(loads_of(*busy), duration_ns=np.full(100, round(41.6 * MS)))
    found = batch_times(quick, None, np.empty(0, np.intp))
    assert found is not None and found.turn_ns == pytest.approx(0.4 * MS)


def test_workers_that_wait_for_orders_do_not_show_how_fast_they_begin_one() -> None:
    found = batch_times(loads_of(*((0, at, 40) for at in range(0, 4200, 42))), None, np.empty(0, np.intp))
    assert found is not None and found.turn_ns == 0.0
