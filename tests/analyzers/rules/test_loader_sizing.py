"""What is promised for the first workers allows for what receiving their batches will take."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from llmprof.analyzers.facts.loading.copies import CopyFacts, CopyGroup
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.loading.loader_model import expected_hand_over_ns
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.loader_sizing import deeper_queue_ns, input_need, left_ns, less_work_ns
from llmprof.timeline.environment import LoaderSettings
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.facts_builder import make_facts
from tests.analyzers.rules.test_input_starvation import batches

WAIT = 40.0 * NS_PER_MS


def a_loader(workers: int, **known: float) -> LoaderFacts:
    return LoaderFacts(
        in_process=workers == 0, settings=LoaderSettings(num_workers=workers), batch_ns=WAIT, cores=16, **known
    )


def with_copies(facts: Facts, size: float) -> Facts:
    copies = CopyFacts(pageable_to_device=CopyGroup(count=2.0, bytes=size))
    ranks = {rank: replace(one, copies=copies) for rank, one in facts.ranks.items()}
    return replace(facts, ranks=ranks, critical=ranks[facts.critical.rank])


@pytest.mark.parametrize("size", [None, 64e6])
def test_without_workers_it_is_expected_from_the_bytes_that_go_to_the_device(size: float | None) -> None:
    loader = a_loader(0)
    facts = make_facts(100, data=40.0, loader=loader)
    found = input_need(facts if size is None else with_copies(facts, size), WAIT, loader, "")
    assert found.hand_over_ns == expected_hand_over_ns(size)
    assert left_ns(found, 8) == found.hand_over_ns


@pytest.mark.parametrize(("known", "hand_over"), [({}, 0.0), ({"hand_over_ns": 3e5}, 3e5)])
def test_with_workers_only_what_was_measured_counts(known: dict[str, float], hand_over: float) -> None:
    loader = a_loader(2, **known)
    found = input_need(make_facts(100, data=40.0, loader=loader), WAIT, loader, "")
    assert found.hand_over_ns == hand_over
    assert left_ns(found, 8) == hand_over


def test_several_batches_a_step_are_received_one_after_the_other() -> None:
    loader = a_loader(0, fetches_per_step=4.0)
    found = input_need(make_facts(100, data=40.0, loader=loader), WAIT, loader, "")
    assert found.receiving_ns == 4 * expected_hand_over_ns(None)


@pytest.mark.parametrize(
    ("cpu_ms", "part", "saved"),
    [(None, "cpu", 10.0), (None, "other", 10.0), (30.0, "cpu", 15.0), (30.0, "other", 5.0), (40.0, "other", 0.0)],
)
def test_less_work_in_the_training_process_saves_the_part_that_it_was(
    cpu_ms: float | None, part: Literal["cpu", "other"], saved: float
) -> None:
    """Half of the CPU time, or of the waiting, of batches of 40 ms that nobody makes meanwhile."""
    times = batches(40.0, cpu_ms=cpu_ms)
    loader = replace(a_loader(0), times=times)
    found = input_need(make_facts(100, data=40.0, loader=loader), WAIT, loader, "")
    assert less_work_ns(found, 0.5, part) == pytest.approx(saved * NS_PER_MS)


def decoding(workers: int, cpu_ms: float, load_ms: float = 80.0) -> LoaderFacts:
    """A loader whose batches take so long, of which so much is CPU time."""
    times = batches(load_ms, cpu_ms=cpu_ms)
    return replace(a_loader(workers), times=times, batch_ns=load_ms * NS_PER_MS, own_cores=16.0)


@pytest.mark.parametrize(
    ("cpu_ms", "share", "part", "left_ms"),
    [
        (80.0, 0.5, "cpu", 0.0),  # half of 80 ms by 4 workers: 10 ms a batch for a step of 10 ms
        (80.0, 0.25, "cpu", 5.0),  # 60 ms: a batch each 15 ms
        (40.0, 0.5, "cpu", 5.0),  # half of the CPU time is a quarter of the load
        (40.0, 0.5, "other", 5.0),
        (80.0, 0.5, "other", 10.0),  # nothing waits for storage
    ],
)
def test_less_work_a_batch_saves_what_the_queue_says(
    cpu_ms: float, share: float, part: Literal["cpu", "other"], left_ms: float
) -> None:
    """4 workers, 80 ms a batch, 10 ms of training: a batch each 20 ms, so 10 ms of waiting."""
    loader = decoding(4, cpu_ms)
    found = input_need(make_facts(20, data=10.0, loader=loader), 10 * NS_PER_MS, loader, "")
    assert less_work_ns(found, share, part) == pytest.approx((10 - left_ms) * NS_PER_MS, abs=1.0)


def test_without_load_times_it_saves_its_share_of_the_wait() -> None:
    loader = a_loader(4)
    found = input_need(make_facts(100, data=40.0, loader=loader), WAIT, loader, "")
    assert less_work_ns(found, 0.5, "cpu") == less_work_ns(found, 0.5, "other") == 0.25 * WAIT


def test_load_times_of_crowded_workers_are_those_of_their_cpu_time() -> None:
    """16 workers of 4 cores: 4 of them would make the batches of 25 ms of CPU time as fast."""
    loader = replace(decoding(16, cpu_ms=25.0, load_ms=100.0), own_cores=4.0)
    found = input_need(make_facts(10, data=5.0, loader=loader), 5 * NS_PER_MS, loader, "")
    assert left_ns(found, 3) == pytest.approx((25 / 3 - 5) * NS_PER_MS, rel=0.01)
    assert left_ns(found, 16) == pytest.approx(((25 + 5) / 4 - 5) * NS_PER_MS, rel=0.2)


def test_first_workers_of_a_loader_that_pins_hand_over_from_its_thread() -> None:
    loader = replace(a_loader(0), settings=LoaderSettings(num_workers=0, pin_memory=True))
    facts = with_copies(make_facts(100, data=40.0, loader=loader), 64e6)
    assert input_need(facts, WAIT, loader, "").hand_over_ns == expected_hand_over_ns(64e6, pinned=True)


@pytest.mark.parametrize(("error_ms", "saved_ms"), [(1.0, 20.0), (15.0, 5.0)])
def test_a_wait_that_may_be_chance_is_promised_as_often_as_it_comes_in_the_run(
    error_ms: float, saved_ms: float
) -> None:
    """4 workers, batches of 10 ms for steps of 10; one of 280 ms is waited for 200 ms, which a deeper queue hides.

    It is one of the 10 batches that were recorded, and one of the 40 of the run.
    """
    few, whole = (280.0, *[10.0] * 9), (280.0, *[10.0] * 39)
    times = replace(
        batches(37.0),
        sequence_ns=tuple(load * NS_PER_MS for load in few),
        run_ns=tuple(load * NS_PER_MS for load in whole),
    )
    wait = 20.0 * NS_PER_MS
    loader = replace(a_loader(4), times=times, wait_ns=wait, wait_error_ns=error_ms * NS_PER_MS)
    found = input_need(make_facts(30, data=20.0, loader=loader), wait, loader, "")
    assert deeper_queue_ns(found) == pytest.approx(saved_ms * NS_PER_MS, rel=0.15)
