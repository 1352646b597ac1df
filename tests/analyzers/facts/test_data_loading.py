from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.data_loading import LoaderFacts, loader_facts
from llmprof.analyzers.facts.steps import StepFacts
from llmprof.analyzers.facts.windows import windows_of
from llmprof.timeline.environment import Environment, LoaderSettings
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
    """Three steps: a warm-up with absurd readings, then two of the baseline."""
    phase = np.array([StepPhase.WARMUP, StepPhase.BASELINE, StepPhase.BASELINE], dtype=np.uint8)
    columns = {name: np.array([10**12, value, value], dtype=np.int64) for name, value in parts.items()}
    wait = np.array([10**12, wait_ns - 1000, wait_ns + 1000], dtype=np.int64)
    step = np.full(3, 10**6, dtype=np.int64)
    return StepTimes(np.arange(3), np.arange(3) * 10**6, step, phase, {"data_wait": wait, **columns})


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
    times = measured(700_000, data_wait_exposed=650_000, queue=3, worker_batch=4_000_000)
    facts = facts_of(two_steps(WORKERS).rank(times=times), exposed_traced_ns=1)
    assert facts is not None
    assert (facts.wait_ns, facts.traced_wait_ns, facts.exposed_wait_ns) == (700_000, 300_000, 650_000)
    assert (facts.queue_depth, facts.batch_ns) == (3, 4_000_000)


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
