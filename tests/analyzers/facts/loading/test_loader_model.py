"""Is the replay of the DataLoader right where the answer is known, and near where it was measured?"""

from __future__ import annotations

import random

import pytest

from llmprof.analyzers.facts.loading.loader_model import (
    alone_ns,
    batch_interval_ns,
    expected_hand_over_ns,
    paired_share,
    pinning_ns,
)
from tests.analyzers.facts.loading.loader_protocol import Protocol

MS = 1_000_000.0


@pytest.mark.parametrize(
    ("workers", "prefetch", "rest", "in_order"),
    [
        *((workers, 2, 8, True) for workers in (2, 4, 8, 12)),
        *((4, prefetch, 8, True) for prefetch in (1, 4, 8)),
        (4, 2, 24, True),
        (4, 2, 8, False),
        (1, 4, 50, True),
    ],
)
def test_samples_that_come_again_in_order_are_foretold_from_one_round_of_them(
    workers: int, prefetch: int, rest: float, in_order: bool
) -> None:
    """Batches of 16 samples of lognormal work, 97 of them again and again: their long-run step, to 2 % of it."""
    source = random.Random(workers)
    loads = [sum(source.lognormvariate(-0.98, 1.4) * 3.4 for _ in range(16)) for _ in range(97)]
    seen = Protocol(loads * 40, workers, prefetch, 2.0, in_order=in_order).epoch(rest, 0.1)
    mean = (seen[97 * 38] - seen[97 * 2]) / (97 * 36)
    foretold = batch_interval_ns(loads, rest, workers, prefetch, hand_over_ns=0.1, arriving_ns=2.0, in_order=in_order)
    assert foretold == pytest.approx(mean, rel=0.02)


def test_a_batch_that_is_waited_for_comes_later_by_its_way_and_any_other_does_not() -> None:
    # 1 of 50 batches takes 200 ms, which a queue of 8 batches of 10 ms does not cover: each time its way is waited for.
    loads = [200 * MS, *[10 * MS] * 49]
    near, far = (batch_interval_ns(loads, 10 * MS, 4, arriving_ns=way * MS) for way in (0, 20))
    assert far - near == pytest.approx(20 / 50 * MS, rel=0.05)
    # Workers that set the pace go on with the next one, and make as many as ever.
    assert batch_interval_ns([30 * MS], 2 * MS, 2, arriving_ns=20 * MS) == pytest.approx(15 * MS)
    # With nothing else on order they wait until their batch has been received.
    assert batch_interval_ns([30 * MS], 2 * MS, 1, prefetch=1, arriving_ns=20 * MS) == pytest.approx(50 * MS)


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
    # 3 workers on 2 cores, the training thread needs next to nothing: all three wait 10 ms and then share the cores.
    free = batch_interval_ns([30 * MS], 1.0, 3, cpu_ns=20 * MS)
    crowded = batch_interval_ns([30 * MS], 1.0, 3, cpu_ns=20 * MS, cores=2)
    assert (free, crowded) == (pytest.approx(10 * MS), pytest.approx((10 + 20 * 3 / 2) / 3 * MS))


def test_workers_that_wait_for_a_disk_take_no_core_from_anybody() -> None:
    """Six workers on two cores, each on the CPU for a twentieth of its time: the cores are never full."""
    loads = [40 * MS, 41 * MS, 39 * MS, 42 * MS]
    alone = batch_interval_ns(loads, 2 * MS, 6)
    assert batch_interval_ns(loads, 2 * MS, 6, cpu_ns=2 * MS, cores=2) == pytest.approx(alone, rel=0.03)


def test_all_the_work_of_a_step_needs_its_share_of_the_cores() -> None:
    """However many workers: 30 ms of decoding and 10 ms of training on 4 cores take 10 ms at least."""
    intervals = [batch_interval_ns([30 * MS], 10 * MS, count, cpu_ns=30 * MS, cores=4) for count in (6, 12, 24)]
    assert intervals == pytest.approx([10 * MS] * 3, rel=0.35)
    assert min(intervals) >= 10 * MS * (1 - 1e-9)


def test_idle_workers_do_not_slow_the_training_thread() -> None:
    # 8 workers of which one is enough: the queue is full nearly all the time.
    assert batch_interval_ns([5 * MS], 50 * MS, 8, cpu_ns=5 * MS, cores=2) == pytest.approx(50 * MS, rel=0.01)


def test_sharing_cores_that_suffice_changes_nothing() -> None:
    source = random.Random(1)
    loads = [source.lognormvariate(-0.3, 0.8) * 80 * MS for _ in range(200)]
    for workers, prefetch in ((2, 1), (4, 2), (8, 4)):
        more = {"hand_over_ns": MS, "arriving_ns": 3 * MS}
        alone = batch_interval_ns(loads, 10 * MS, workers, prefetch, **more)
        # One core too few by so little that nobody can tell: the queue is gone through event by event.
        shared = batch_interval_ns(loads, 10 * MS, workers, prefetch, cpu_ns=1e-3, cores=workers + 0.9, **more)
        assert shared == pytest.approx(alone, rel=1e-6)


def test_in_any_order_nobody_waits_for_a_slow_batch() -> None:
    source = random.Random(2)
    loads = [source.lognormvariate(-0.5, 1.0) * 80 * MS for _ in range(400)]
    mean = sum(loads) / len(loads)
    free = batch_interval_ns(loads, 5 * MS, 6, in_order=False)
    assert free == pytest.approx(mean / 6, rel=0.05)  # every worker is busy all the time
    assert batch_interval_ns(loads, 5 * MS, 6) > 1.2 * free


def test_time_spent_waiting_for_full_cores_is_no_part_of_a_load() -> None:
    """16 decoding workers on 4 cores record four times their CPU time; 16 that wait for a disk do wait for it."""
    assert alone_ns([80 * MS, 120 * MS], 25 * MS, 16, 4) == pytest.approx((20 * MS, 30 * MS))
    assert alone_ns([80 * MS, 120 * MS], 5 * MS, 16, 16) == (80 * MS, 120 * MS)
    assert alone_ns([80 * MS], None, 16, 4) == (80 * MS,)


def test_a_larger_batch_takes_longer_to_receive() -> None:
    """What is expected before there are workers: a part of every batch, and so much a byte."""
    least = expected_hand_over_ns(None)
    assert 0 < least == expected_hand_over_ns(0.0)
    assert expected_hand_over_ns(100e6) - least == pytest.approx(2 * (expected_hand_over_ns(50e6) - least))


def test_workers_cannot_bring_the_step_below_the_rest_and_what_receiving_takes() -> None:
    hand_over = expected_hand_over_ns(4e6)
    interval = batch_interval_ns([5 * MS], 20 * MS, 8, hand_over_ns=hand_over)
    assert interval == pytest.approx(20 * MS + hand_over)


def test_a_slow_worker_sets_the_pace_as_batches_arrive_in_order() -> None:
    # Of 3 workers one takes 36 ms a batch, the others 24: each third batch is waited for.
    interval = batch_interval_ns([30 * MS], 2 * MS, 3, paces=(1.2, 0.8, 0.8))
    assert interval == pytest.approx(36 / 3 * MS)
    # In any order the fast ones make more of the batches.
    assert batch_interval_ns([30 * MS], 2 * MS, 3, paces=(1.2, 0.8, 0.8), in_order=False) < 11 * MS


def test_other_workers_than_were_recorded_are_taken_as_equal() -> None:
    assert batch_interval_ns([30 * MS], 2 * MS, 6, paces=(1.2, 0.8, 0.8)) == pytest.approx(30 / 6 * MS)


def test_the_training_thread_only_takes_a_pinned_batch_from_a_queue() -> None:
    assert expected_hand_over_ns(48e6, pinned=True) == expected_hand_over_ns(1e3, pinned=True)
    assert expected_hand_over_ns(48e6, pinned=True) < expected_hand_over_ns(None)


def test_the_thread_that_pins_sets_the_pace_however_many_workers_there_are() -> None:
    assert batch_interval_ns([30 * MS], 10 * MS, 8, passing_ns=25 * MS) == pytest.approx(25 * MS)
    assert batch_interval_ns([30 * MS], 10 * MS, 1, passing_ns=25 * MS) == pytest.approx(30 * MS)


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("loads", [4, 5, 16, 17, 18])
def test_no_worker_gets_the_same_long_batches_again_and_again(loads: int, in_order: bool) -> None:
    """One of the loads is long and there are four workers: all of them get it in turn, and their mean sets the pace."""
    interval = batch_interval_ns([*[1 * MS] * (loads - 1), 9 * MS], 0.1 * MS, 4, 32, in_order=in_order)
    assert interval == pytest.approx((loads + 8) / loads / 4 * MS, rel=0.05)


def test_pinning_a_batch_takes_as_long_as_it_is_large() -> None:
    """Read at 0.2 ms a MB and given back as fast: a batch of 96 MB allows no step below 38 ms (40 were recorded)."""
    assert pinning_ns(96e6) == pytest.approx(38.4 * MS)
    assert pinning_ns(0.0) == 0.0


def test_a_thread_has_a_neighbour_as_likely_as_cores_are_in_use() -> None:
    assert paired_share(1.0, 16.0) == 0.0
    assert paired_share(8.5, 16.0) == pytest.approx(0.5)
    assert paired_share(40.0, 16.0) == 1.0
    assert paired_share(8.0, None) == 0.0
