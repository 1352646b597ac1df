"""Is waiting for input recognised, and is what workers save predicted as it was measured?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.loading.batch_times import BatchTimes, EpochStarts
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.ranking import rank
from llmprof.analyzers.rules.input_starvation import evaluate
from llmprof.timeline.environment import Environment, LoaderSettings
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.facts_builder import (
    assert_consistent,
    assert_contains,
    fix,
    make_facts,
    make_partition,
    make_rank,
    make_step,
    status,
)


def workers(count: int, **more: object) -> LoaderFacts:
    settings = LoaderSettings(num_workers=count, **more)  # type: ignore[arg-type]
    return LoaderFacts(in_process=count == 0, settings=settings, fetches_per_step=1.0)


def test_fires_on_workers_that_are_too_slow() -> None:
    facts = make_facts(100, data=40.0, loader=workers(2))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.severity, found.finding.cost_ms) == ("fired", "critical", 40.0)
    assert found.finding.confidence is not None and 0 < found.finding.confidence < 1
    assert_consistent(fix(found, "dataloader-workers"), facts)


@pytest.mark.parametrize(("data_ms", "loader"), [(4.9, workers(2)), (0.9, workers(0))])
def test_passes_just_below_the_threshold(data_ms: float, loader: LoaderFacts) -> None:
    assert status(evaluate(make_facts(100, data=data_ms, loader=loader))) == "passed"


@pytest.mark.parametrize(("data_ms", "loader"), [(5.0, workers(2)), (1.0, workers(0))])
def test_fires_at_the_threshold(data_ms: float, loader: LoaderFacts) -> None:
    assert status(evaluate(make_facts(100, data=data_ms, loader=loader))) == "fired"


def test_not_applicable_without_a_loader() -> None:
    assert status(evaluate(make_facts(100))) == "not_applicable"


def test_no_data_without_a_partition() -> None:
    assert status(evaluate(make_facts(100, no_partition=True))) == "no_data"


def test_an_exposed_input_copy_is_not_a_wait_for_the_loader() -> None:
    assert status(evaluate(make_facts(100, data=40.0, detail={"input_copy": 40.0}, loader=workers(2)))) == "passed"


def test_measured_truth_of_batches_made_in_process() -> None:
    """An H200 run: 4 ms of Python per sample, batch 16, num_workers=0: 85.5 ms, and 44.8 ms with workers."""
    loader = LoaderFacts(in_process=True, wait_ns=65.4 * NS_PER_MS, batch_ns=65.4 * NS_PER_MS, fetches_per_step=1.0)
    facts = make_facts(85.521, data=40.9, host=1.1, loader=loader)
    advice = fix(evaluate(facts), "dataloader-workers")
    assert_contains(advice, 85.521 - 44.798)
    assert advice.gain.expected_ms == pytest.approx(85.521 - 44.798, rel=0.05)
    assert "num_workers=0" in advice.how
    assert "num_workers=3" in advice.how  # ceil(65.4 / 44.6) + 1


def test_measured_truth_of_two_slow_workers() -> None:
    """An H200 run: 10 ms of Python per sample, batch 16, num_workers=2: 81.3 ms, and 44.8 ms with more workers."""
    facts = make_facts(81.271, data=35.7, host=1.9, loader=workers(2))
    advice = fix(evaluate(facts), "dataloader-workers")
    assert_contains(advice, 81.271 - 44.763)
    assert "num_workers=5" in advice.how  # two workers make one batch in 2 x 81.3 ms: ceil(162.5 / 45.6) + 1


def test_an_unknown_number_of_workers_is_raised_by_trying() -> None:
    facts = make_facts(81.271, data=35.7, host=1.9, loader=LoaderFacts(in_process=False))
    advice = fix(evaluate(facts), "dataloader-workers")
    assert "double" in advice.action
    assert_contains(advice, 81.271 - 44.763)


def test_workers_are_capped_by_the_cores_of_the_rank() -> None:
    loader = LoaderFacts(settings=LoaderSettings(num_workers=1), cores=8, ranks_on_node=4)
    facts = make_facts(100, data=80.0, loader=loader)
    advice = evaluate(facts)
    # One worker needs 100 ms a batch and the rest of the step is 20 ms: 6 wanted, 2 cores, so 50 - 20 ms stay.
    assert "num_workers=2" in fix(advice, "dataloader-workers").how
    assert fix(advice, "dataloader-workers").gain.expected_ms == pytest.approx(50.0)
    assert fix(advice, "offline-preprocessing").gain.low_ms == 0


def test_more_workers_than_cores_are_never_advised() -> None:
    loader = LoaderFacts(settings=LoaderSettings(num_workers=8), cores=8, ranks_on_node=1)
    advice = [one.id for one in evaluate(make_facts(100, data=50.0, loader=loader)).recommendations]
    assert advice == ["offline-preprocessing", "packed-dataset"]


def test_workers_that_are_fast_enough_on_average_get_a_deeper_queue() -> None:
    loader = LoaderFacts(
        settings=LoaderSettings(num_workers=4, prefetch_factor=2), batch_ns=200 * NS_PER_MS, fetches_per_step=1.0
    )
    found = evaluate(make_facts(100, data=10.0, loader=loader))
    assert "prefetch_factor=8" in fix(found, "dataloader-prefetch").how
    assert all(one.id != "dataloader-workers" for one in found.recommendations)


def test_the_slow_rank_is_named() -> None:
    """Two H200 ranks, rank 1 with slow samples: 129.5 ms, and 26.7 ms when both are fast."""
    step = make_step(129.459)
    loader = workers(2)
    fast = make_rank(make_partition(129.459, skew=97.5, data=0.1), rank=0, step=step, loader=loader)
    slow = make_rank(make_partition(129.459, data=88.9, host=14.0), rank=1, step=step, loader=loader)
    found = evaluate(Facts(ranks={0: fast, 1: slow}, critical=slow, step=step, world_size=2))
    assert found.finding.ranks == (1,)
    assert "on rank 1" in found.finding.summary
    advice = fix(found, "dataloader-workers")
    assert "on rank 1" in advice.action
    assert_contains(advice, 129.459 - 26.716)


def batches(*loads_ms: float, cpu_ms: float | None = 0.0) -> BatchTimes:
    """Load times that were measured, the same ones over and over."""
    mean = sum(loads_ms) / len(loads_ms)
    return BatchTimes(
        count=len(loads_ms),
        mean_ns=mean * NS_PER_MS,
        p50_ns=sorted(loads_ms)[len(loads_ms) // 2] * NS_PER_MS,
        p95_ns=max(loads_ms) * NS_PER_MS,
        cpu_ns=None if cpu_ms is None else cpu_ms * NS_PER_MS,
        by_worker_ns=(mean * NS_PER_MS,),
        sequence_ns=tuple(load * NS_PER_MS for load in loads_ms),
    )


def measured_workers(count: int, times: BatchTimes, **more: object) -> LoaderFacts:
    settings = LoaderSettings(num_workers=count, prefetch_factor=2)
    return LoaderFacts(
        in_process=False, settings=settings, fetches_per_step=1.0, batch_ns=times.mean_ns, times=times, **more
    )  # type: ignore[arg-type]


def test_measured_load_times_say_how_many_workers_are_needed() -> None:
    # The rest of the step is 10 ms and a batch takes 30 ms: 3 workers, and one more.
    facts = make_facts(30, data=20.0, loader=measured_workers(1, batches(30.0), own_cores=16.0))
    found = evaluate(facts)
    advice = fix(found, "dataloader-workers")
    assert "num_workers=4" in advice.how
    assert advice.gain.basis == "replay"
    assert advice.gain.expected_ms == pytest.approx(20.0)
    figures = {one.label: one.value for one in found.finding.evidence}
    assert figures["workers needed at least"] == 3
    assert figures["making one batch, median"] == pytest.approx(30.0)
    assert_consistent(advice, facts)


def test_a_run_that_decoding_starves_is_told_to_decode_before_training_as_well() -> None:
    # As above with 2 workers, 15 ms a batch: half of 28 ms of CPU time less is 8 ms, which the step hides.
    facts = make_facts(15, data=5.0, loader=measured_workers(2, batches(30.0, cpu_ms=28.0), own_cores=16.0))
    found = evaluate(facts)
    assert [one.id for one in found.recommendations] == ["dataloader-workers", "offline-preprocessing"]
    advice = fix(found, "offline-preprocessing")
    assert (advice.gain.expected_ms, advice.gain.low_ms) == (pytest.approx(5.0), 0)
    assert "In place of more workers" in advice.why
    ordered, together = rank(found.recommendations, facts)
    assert [one.id for one in ordered] == ["dataloader-workers", "offline-preprocessing"]
    assert together is None  # each takes the same wait away


def test_a_run_that_its_storage_starves_is_told_of_large_files_and_not_of_decoding() -> None:
    facts = make_facts(15, data=5.0, loader=measured_workers(2, batches(30.0, cpu_ms=0.2), own_cores=16.0))
    assert [one.id for one in evaluate(facts).recommendations] == ["dataloader-workers", "packed-dataset"]


def test_slow_batches_that_stay_are_not_taken_for_a_lack_of_cores() -> None:
    # With 7 workers no wait stays; one more meets slow batches otherwise, and 2 ms a step do. There are 15 cores.
    slow = {11, 12, 28, 29, 32, 37}
    times = batches(*(530.0 if number in slow else 30.0 for number in range(48)), cpu_ms=5.0)
    facts = make_facts(60, data=20.0, loader=measured_workers(4, times, own_cores=15.0))
    found = evaluate(facts)
    assert "num_workers=8" in fix(found, "dataloader-workers").how
    assert all("do not help beyond" not in one.why for one in found.recommendations)


def test_cores_bound_the_workers_and_the_gain_is_what_they_leave() -> None:
    # 2 workers make a batch each 15 ms: 5 ms of waiting stay of 20.
    facts = make_facts(30, data=20.0, loader=measured_workers(1, batches(30.0), own_cores=2.0))
    found = evaluate(facts)
    assert "num_workers=2" in fix(found, "dataloader-workers").how
    assert fix(found, "dataloader-workers").gain.expected_ms == pytest.approx(15.0)
    assert fix(found, "offline-preprocessing").gain.low_ms == 0


def test_cpu_time_that_finds_no_core_is_counted() -> None:
    # As above, but all of it is CPU time: 30 ms of it and 10 of the training thread share 2 cores, 20 ms a step.
    facts = make_facts(30, data=20.0, loader=measured_workers(1, batches(30.0, cpu_ms=30.0), own_cores=2.0))
    gain = fix(evaluate(facts), "dataloader-workers").gain
    assert gain.expected_ms == pytest.approx(20.0 - ((30 + 10) / 2 - 10))


def test_single_slow_batches_are_hidden_by_a_deeper_queue() -> None:
    # 4 workers make batches of 10 ms for a step of 10 ms; every fiftieth takes 200 ms, of which 80 are on order.
    times = batches(200.0, *[10.0] * 49)
    wait = (200 - 80) / 50
    facts = make_facts(10 + wait, data=wait, loader=measured_workers(4, times, own_cores=4.0))
    advice = fix(evaluate(facts), "dataloader-prefetch")
    assert "prefetch_factor=8" in advice.how
    assert advice.gain.expected_ms == pytest.approx(wait, rel=0.05)


def test_a_deeper_queue_that_would_not_help_is_not_advised() -> None:
    # 4 workers make batches in 30 ms for a step of 10 ms; the wait that was measured comes from somewhere else.
    facts = make_facts(12, data=2.0, loader=measured_workers(4, batches(30.0), own_cores=4.0, hand_over_ns=2e6))
    assert all(one.id != "dataloader-prefetch" for one in evaluate(facts).recommendations)


def test_new_epochs_ask_for_workers_that_stay() -> None:
    # An epoch costs 400 ms, every 20 steps: of these 20 ms a step a kept worker saves all but the first batch.
    loader = LoaderFacts(
        settings=LoaderSettings(num_workers=4, persistent_workers=False),
        fetches_per_step=1.0,
        batch_ns=40 * NS_PER_MS,
        times=batches(40.0),
        epochs=EpochStarts(count=5, mean_ns=400 * NS_PER_MS, per_step_ns=20 * NS_PER_MS),
        own_cores=4.0,
    )
    facts = make_facts(100, data=20.0, loader=loader)
    advice = fix(evaluate(facts), "persistent-workers")
    assert advice.gain.expected_ms == pytest.approx(18.0)
    assert "5 new epochs" in advice.why


def test_rare_long_waits_ask_for_persistent_workers() -> None:
    facts = make_facts(100, data=20.0, loader=workers(4, persistent_workers=False))
    object.__setattr__(facts.step, "median_ns", 85.0 * NS_PER_MS)
    advice = fix(evaluate(facts), "persistent-workers")
    assert advice.gain.high_ms == pytest.approx(15.0)


def test_cores_of_the_environment_count_when_the_loader_does_not_know_them() -> None:
    loader = LoaderFacts(settings=LoaderSettings(num_workers=4))
    environment = Environment(cpu_count=4)
    found = evaluate(make_facts(100, data=50.0, loader=loader, environment=environment))
    assert found.recommendations[0].id == "offline-preprocessing"


@pytest.mark.parametrize(("own", "cores"), [(None, 8), (16.0, 16), (2.5, 2), (0.2, 1)])
def test_cores_that_a_rank_has_to_itself_count_more_than_an_equal_share(own: float | None, cores: int) -> None:
    """16 cores that two ranks may use; by their affinity masks each has more or less of them to itself."""
    loader = LoaderFacts(settings=LoaderSettings(num_workers=4), cores=16, ranks_on_node=2, own_cores=own)
    found = evaluate(make_facts(100, data=50.0, loader=loader))
    assert [one.value for one in found.finding.evidence if one.label == "cores per rank"] == [cores]


@pytest.mark.parametrize(
    ("measured", "high_ms"), [(42.0, 42.0), (80.0, 50.0)], ids=["the host's wait", "its idle time"]
)
def test_a_wait_that_the_device_did_not_feel_bounds_what_more_may_go(measured: float, high_ms: float) -> None:
    """40 of 100 ms wait for batches, 10 for the host, which spent `measured` ms in the loader."""
    loader = LoaderFacts(
        in_process=True, wait_ns=measured * NS_PER_MS, wait_measured=True, batch_ns=measured * NS_PER_MS, cores=16
    )
    facts = make_facts(100, data=40.0, host=10.0, loader=loader)
    assert fix(evaluate(facts), "dataloader-workers").gain.high_ms == pytest.approx(high_ms)


def test_a_wait_that_few_steps_had_widens_the_promise_to_both_sides() -> None:
    """The mean wait is known to 3 ms: two of these standard errors belong to the interval."""
    settings = LoaderSettings(num_workers=2)
    known = LoaderFacts(settings=settings, batch_ns=100 * NS_PER_MS, fetches_per_step=1.0, cores=16)
    sure = fix(evaluate(make_facts(60, data=20.0, loader=known)), "dataloader-workers").gain
    loader = replace(known, wait_error_ns=3 * NS_PER_MS)
    unsure = fix(evaluate(make_facts(60, data=20.0, loader=loader)), "dataloader-workers").gain
    assert unsure.expected_ms == sure.expected_ms
    assert unsure.low_ms == pytest.approx(sure.low_ms - 6.0)
    assert unsure.high_ms == pytest.approx(sure.high_ms + 6.0)


def pinned(passing_ms: float) -> Facts:
    """A step of 40 ms, 30 of them waiting, with 8 workers that could hand over a batch every 12.5 ms."""
    return make_facts(
        40, data=30.0, loader=measured_workers(8, batches(100.0), own_cores=16.0, passing_ns=passing_ms * NS_PER_MS)
    )


def test_workers_are_no_help_where_the_thread_that_pins_is_too_slow() -> None:
    """It takes 40 ms with each batch: half of the bytes take 20, so 20 of 30 ms of waiting go, a quarter all but 0."""
    found = evaluate(pinned(40.0))
    assert [one.id for one in found.recommendations] == ["compact-batches"]
    assert "pins them takes 40" in found.finding.summary
    gain = fix(found, "compact-batches").gain
    assert (gain.expected_ms, gain.high_ms) == (pytest.approx(20.0), pytest.approx(30.0))
    assert_consistent(fix(found, "compact-batches"), pinned(40.0))


def test_more_workers_are_promised_no_more_than_the_thread_that_pins_allows() -> None:
    """One worker for batches of 60 ms and a step of 10: with enough of them the thread that pins needs 25 ms."""
    loader = measured_workers(1, batches(60.0), own_cores=16.0, passing_ns=25.0 * NS_PER_MS)
    advice = fix(evaluate(make_facts(60, data=50.0, loader=loader)), "dataloader-workers")
    assert advice.gain.expected_ms == pytest.approx(35.0)
    assert "num_workers=4" in advice.how  # ceil(60 / 25), and one more


def test_workers_that_share_their_cores_are_enough_as_well() -> None:
    """A batch takes 30 ms of CPU, beside another thread on the same core 40: for a step of 10 ms 4 workers, and one."""
    facts = make_facts(30, data=20.0, loader=measured_workers(1, batches(30.0, cpu_ms=30.0), own_cores=16.0))
    assert "num_workers=5" in fix(evaluate(facts), "dataloader-workers").how
