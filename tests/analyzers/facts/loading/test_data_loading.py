from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.loading.batch_times import BatchTimes
from llmprof.analyzers.facts.loading.copies import CopyFacts, CopyGroup
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts, loader_facts, passing_ns
from llmprof.analyzers.facts.steps.steps import StepFacts
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.environment import Environment, LoaderSettings
from llmprof.timeline.loading import BatchLoads
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

IN_PROCESS = "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"
WORKERS = "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__"


def facts_of(rank: RankTimeline, exposed_traced_ns: float | None = None) -> LoaderFacts | None:
    return loader_facts(
        rank,
        step=StepFacts(mean_ns=1e9, basis="profiled"),
        windows=windows_of(rank),
        exposed_traced_ns=exposed_traced_ns,
        ranks_on_node=2,
    )


def two_steps(name: str) -> TraceBuilder:
    b = TraceBuilder()
    for n in range(2):
        b.step(n, n * 1_000_000, (n + 1) * 1_000_000)
        b.annotation(name, n * 1_000_000 + 1_000, 300_000)
        b.kernel("gemm", n * 1_000_000 + 500_000, 100_000, launch_ns=n * 1_000_000 + 400_000)
    return b


def measured(wait_ns: int, **parts: int) -> StepTimes:
    """Five steps: a warm-up with absurd readings, then four of the baseline."""
    phase = np.array([StepPhase.WARMUP, *[StepPhase.BASELINE] * 4], dtype=np.uint8)
    columns = {name: np.array([10**12, *[value] * 4], dtype=np.int64) for name, value in parts.items()}
    wait = np.array([10**12, *[wait_ns - 1000, wait_ns + 1000] * 2], dtype=np.int64)
    step = np.full(5, 10**6, dtype=np.int64)
    return StepTimes(np.arange(5), np.arange(5) * 10**6, step, phase, {"data_wait": wait, **columns})


def made(durations: list[int], *, workers: int = 2, cpu: int = 0, first_start: int = 0) -> BatchLoads:
    """Batches of one loader whose workers take turns, one begun every 100 µs."""
    count = len(durations)
    return BatchLoads(
        loader=np.zeros(count, np.int64),
        worker=np.arange(count) % workers,
        start_ns=first_start + np.arange(count) * 100_000,
        duration_ns=np.array(durations, dtype=np.int64),
        cpu_ns=np.full(count, cpu, np.int64),
    )


@pytest.mark.parametrize(("name", "in_process", "batch_ns"), [(IN_PROCESS, True, 300_000), (WORKERS, False, None)])
def test_the_iterator_tells_where_batches_are_made(name: str, in_process: bool, batch_ns: float | None) -> None:
    facts = facts_of(two_steps(name).rank(), exposed_traced_ns=250_000)
    assert facts is not None
    assert (facts.in_process, facts.batch_ns, facts.fetches_per_step) == (in_process, batch_ns, 1)
    assert (facts.wait_ns, facts.traced_wait_ns, facts.exposed_wait_ns) == (300_000, 300_000, 250_000)


def test_settings_outrank_the_name() -> None:
    settings = LoaderSettings(num_workers=4)
    facts = facts_of(two_steps(IN_PROCESS).rank(environment=Environment(loaders=(settings,), cpu_count=8)))
    assert facts is not None
    assert (facts.in_process, facts.settings, facts.cores, facts.ranks_on_node) == (False, settings, 8, 2)


def test_unprofiled_measurements_replace_traced_ones() -> None:
    times = measured(700_000, data_wait_exposed=650_000, queue=3)
    facts = facts_of(two_steps(WORKERS).rank(times=times), exposed_traced_ns=1)
    assert facts is not None
    assert (facts.wait_ns, facts.traced_wait_ns, facts.exposed_wait_ns) == (700_000, 300_000, 650_000)
    assert (facts.queue_depth, facts.queue_empty_share) == (3, 0)


def rank_with(times: StepTimes, loads: BatchLoads | None, workers: int) -> RankTimeline:
    environment = Environment(loaders=(LoaderSettings(num_workers=workers),))
    return replace(two_steps(WORKERS).rank(times=times, environment=environment), events=None, loads=loads)


def test_load_times_are_those_of_the_counted_steps() -> None:
    # The warm-up is the first millisecond; ten batches are begun in it, and they are slow.
    loads = made([90_000] * 10 + [20_000, 40_000] * 10)
    facts = facts_of(rank_with(measured(0), loads, 2))
    assert facts is not None and facts.times is not None
    assert (facts.times.count, facts.times.mean_ns, facts.batch_ns) == (20, 30_000, 30_000)
    assert facts.times.by_worker_ns == (20_000, 40_000)
    assert (facts.times.p50_ns, facts.times.p95_ns) == (30_000, 40_000)
    assert facts.times.sequence_ns == (20_000, 40_000) * 10


def test_what_workers_deliver_is_held_against_what_the_step_uses() -> None:
    # A step of 1 s of which half is waiting, one batch a step; two workers need 1 s for a batch.
    times = replace(measured(5 * 10**8), microbatches=np.ones(5, np.int64))
    facts = facts_of(rank_with(times, made([10**9] * 10), 2))
    assert facts is not None
    assert facts.delivered_per_s == pytest.approx(2)
    assert facts.needed_per_s == pytest.approx(2)


def test_several_batches_a_step_count_as_the_loop_noted_them() -> None:
    times = replace(measured(0, batches=4), microbatches=np.ones(5, np.int64))
    facts = facts_of(rank_with(times, None, 2))
    assert facts is not None
    assert facts.fetches_per_step == 4


def test_batches_made_in_process_take_what_is_waited_for_them() -> None:
    times = replace(measured(600_000, batches=2), microbatches=np.ones(5, np.int64))
    facts = facts_of(rank_with(times, None, 0))
    assert facts is not None and facts.times is not None
    assert facts.batch_ns == pytest.approx(300_000)
    assert facts.times.sequence_ns == (299_500, 300_500) * 2
    assert facts.delivered_per_s is None


def test_what_a_process_without_workers_computes_is_told_from_what_it_waits_for_storage() -> None:
    """400 us of each wait of 600 are the batch, of which it computes 100; the rest of the wait is work as well."""
    facts = facts_of(rank_with(measured(600_000), made([400_000] * 5, workers=1, cpu=100_000), 0))
    assert facts is not None and facts.times is not None
    assert facts.batch_ns == pytest.approx(600_000)
    assert facts.times.cpu_ns == pytest.approx(300_000)
    assert facts.times.by_worker_ns == ()


def test_too_few_batches_say_nothing() -> None:
    facts = facts_of(rank_with(measured(0), made([10**6] * 2), 2))
    assert facts is not None
    assert (facts.times, facts.batch_ns) == (None, None)


def test_new_epochs_are_spread_over_the_steps() -> None:
    times = measured(0)
    times.parts["epoch_start"] = np.array([10**9, -1, 3000, 5000, -1])  # type: ignore[index]
    facts = facts_of(rank_with(times, None, 2))
    assert facts is not None and facts.epochs is not None
    # Three steps from the first start to the last; whether another epoch begins after the last reading is not known.
    assert (facts.epochs.count, facts.epochs.mean_ns) == (2, 4000)
    assert facts.epochs.per_step_ns == pytest.approx(8000 / 3)


def test_one_epoch_is_no_new_epoch() -> None:
    times = measured(0)
    times.parts["epoch_start"] = np.array([10**9, -1, -1, -1, -1])  # type: ignore[index]
    facts = facts_of(rank_with(times, None, 2))
    assert facts is not None
    assert facts.epochs is None


def test_an_untraced_rank_still_has_its_measurements() -> None:
    rank = replace(two_steps(WORKERS).rank(times=measured(700_000)), events=None)
    facts = facts_of(rank)
    assert facts is not None
    assert (facts.wait_ns, facts.traced_wait_ns, facts.in_process) == (700_000, None, None)


def test_without_any_sign_of_a_loader_there_are_no_facts() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.kernel("gemm", 500_000, 100_000, launch_ns=400_000)
    assert facts_of(b.rank()) is None


def test_loaders_of_real_runs(recorded) -> None:
    own, workers = facts_of(recorded("h200/data_workers0.rank0")), facts_of(recorded("h200/data_workers2.rank0"))
    assert (own.in_process, workers.in_process) == (True, False)
    assert own.batch_ns == pytest.approx(16 * 4e6, rel=0.1)  # 16 samples of 4 ms were planted
    assert workers.batch_ns is None


def waiting(waits: list[int]) -> float | None:
    count = len(waits)
    phase = np.full(count, StepPhase.BASELINE, dtype=np.uint8)
    step = np.full(count, 10**6, dtype=np.int64)
    times = StepTimes(np.arange(count), np.arange(count) * 10**6, step, phase, {"data_wait": np.array(waits, np.int64)})
    found = facts_of(RankTimeline(rank=0, events=None, times=times))
    assert found is not None
    return found.wait_error_ns


def test_one_long_wait_leaves_its_mean_unknown_and_workers_that_take_turns_do_not() -> None:
    assert waiting([0] * 63 + [64_000]) == pytest.approx(1000.0)  # 1000 a step, of which nothing was seen elsewhere
    assert waiting([0, 0, 0, 4_000] * 16) == 0.0
    assert waiting([0, 1_000] * 4) is None


def pinning(mean_ms: float, *, empty: float, pinned: bool = True, megabytes: float = 96.0) -> float | None:
    """ms that the thread which pins takes, of a step of 40 ms with 8 workers."""
    loader = LoaderFacts(
        settings=LoaderSettings(num_workers=8, pin_memory=pinned),
        fetches_per_step=1.0,
        queue_empty_share=empty,
        times=BatchTimes(
            count=40, mean_ns=mean_ms * 1e6, p50_ns=mean_ms * 1e6, p95_ns=mean_ms * 1e6, cpu_ns=None,
            by_worker_ns=(), sequence_ns=(mean_ms * 1e6,),
        ),
    )  # fmt: skip
    found = passing_ns(loader, 40e6, CopyFacts(pinned_to_device=CopyGroup(bytes=megabytes * 1e6)))
    return None if found is None else found / 1e6


def test_the_thread_that_pins_is_what_the_step_waits_for_when_workers_have_time_to_spare() -> None:
    """Eight workers of 100 ms could hand over a batch every 13 ms, and none is ready: pinning takes the whole step."""
    assert pinning(100.0, empty=0.8, megabytes=60.0) == pytest.approx(40.0)


def test_small_batches_busy_workers_or_ready_batches_do_not_accuse_it() -> None:
    """Then it takes what its bytes need: 0.4 ms a MB."""
    assert pinning(100.0, empty=0.8, megabytes=10.0) == pytest.approx(4.0)
    assert pinning(320.0, empty=0.8, megabytes=60.0) == pytest.approx(24.0)
    assert pinning(100.0, empty=0.1, megabytes=60.0) == pytest.approx(24.0)
    assert pinning(100.0, empty=0.1, megabytes=600.0) is None, "the step was shorter, so this is no such machine"


def test_nothing_pins_where_pin_memory_is_off() -> None:
    assert pinning(100.0, empty=0.8, pinned=False) is None


def test_waits_that_were_measured_on_other_steps_than_the_idle_device_are_not_mixed_up() -> None:
    """Every third step waits 90 us, the sampled ones are those that do not: all of their wait is exposed."""
    phase = np.full(9, StepPhase.BASELINE, dtype=np.uint8)
    wait = np.array([2_000, 2_000, 90_000] * 3, dtype=np.int64)
    exposed = np.array([2_000, -1, -1] * 3, dtype=np.int64)
    columns = {"data_wait": wait, "data_wait_exposed": exposed}
    times = StepTimes(np.arange(9), np.arange(9) * 10**6, np.full(9, 10**6, np.int64), phase, columns)
    rank = replace(two_steps(WORKERS).rank(), times=times)
    found = facts_of(rank)
    assert found is not None and found.exposed_wait_ns == pytest.approx(wait.mean())
