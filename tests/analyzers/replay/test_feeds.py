"""Is a loader fed by what was recorded of it, and where that says too little, by the run it was recorded in?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.loading.batch_times import BatchTimes
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.replay.feeds import Feed, recorded_feed
from llmprof.timeline.environment import LoaderSettings

MS = 1_000_000.0
COUNTED, RUN = (40 * MS, 60 * MS), (40 * MS, 60 * MS, 80 * MS, 100 * MS)


def recorded(**times: object) -> LoaderFacts:
    """A wait of 20 ms, known to 2."""
    known = BatchTimes(
        count=2, mean_ns=50 * MS, p50_ns=50 * MS, p95_ns=60 * MS, cpu_ns=5 * MS, by_worker_ns=(), sequence_ns=COUNTED,
        run_ns=RUN,
    )  # fmt: skip
    return LoaderFacts(
        in_process=False,
        settings=LoaderSettings(num_workers=4, prefetch_factor=2),
        wait_ns=20 * MS,
        wait_error_ns=2 * MS,
        times=replace(known, **times),  # type: ignore[arg-type]
        arriving_ns=8 * MS,
    )


def feed(loader: LoaderFacts) -> Feed:
    return recorded_feed(loader, 0.2 * MS)


def test_more_loads_of_the_same_kind_are_what_a_fix_will_meet() -> None:
    assert feed(recorded(run_alike=True)).usual.loads_ns == RUN
    assert feed(recorded(run_alike=True)).loads_ns == COUNTED


def test_loads_that_changed_meanwhile_are_left_alone_unless_the_wait_is_one_of_chance() -> None:
    loader = recorded(run_alike=False)
    assert feed(loader).usual.loads_ns == COUNTED
    assert feed(replace(loader, wait_error_ns=15 * MS)).usual.loads_ns == RUN


def test_workers_that_are_not_equally_fast_keep_their_own_loads() -> None:
    loader = recorded(run_alike=True, paces=(1.2, 0.9, 1.0, 0.9), even_ns=COUNTED)
    assert feed(loader).usual.paces == (1.2, 0.9, 1.0, 0.9)


def test_a_load_lasts_until_the_next_one_can_begin() -> None:
    found = feed(recorded(turn_ns=0.5 * MS, run_alike=True))
    assert found.loads_ns == (40.5 * MS, 60.5 * MS)
    assert found.usual.loads_ns == pytest.approx([load + 0.5 * MS for load in RUN])


def test_the_way_of_a_batch_counts_when_it_is_waited_for() -> None:
    """With one worker and one batch on order, each is ordered when the one before has been received."""
    loader = recorded(sequence_ns=(50 * MS,) * 2)
    one = replace(feed(loader), workers=1, prefetch=1)
    assert one.arriving_ns == 8 * MS
    assert one.step_ns(10 * MS) == pytest.approx((50 + 8 + 0.2) * MS)
    assert replace(one, prefetch=2).step_ns(10 * MS) == pytest.approx(50 * MS)
