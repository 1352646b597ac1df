"""Are threads blamed only when cores are busy, there are too few of them, and the step feels it?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.host.host_causes import CpuLoad
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.cpu_oversubscription import evaluate
from llmprof.timeline.environment import Environment, LoaderSettings
from tests.analyzers.rules.causes_builder import with_causes
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def facts_of(
    *,
    threads: int = 16,
    workers: int = 16,
    used: float = 7.9,
    load: float | None = 32.0,
    host_ms: float = 40.0,
    cpu_only: bool = False,
) -> Facts:
    """A rank with eight cores."""
    environment = Environment(
        cpu_count=8, cpu_threads=threads, loaders=(LoaderSettings(num_workers=workers),), world_size=1
    )
    facts = make_facts(100, host=host_ms, environment=environment, cpu_only=cpu_only)
    return with_causes(facts, load=CpuLoad(cores_used=used, runnable=load))


def test_fires_and_promises_at_most_what_sharing_costs() -> None:
    facts = facts_of()
    found = evaluate(facts)
    assert (found.finding.status, found.finding.cost_ms) == ("fired", pytest.approx(30.0))  # 40 ms x (1 - 8/32)
    advice = fix(found, "thread-count")
    assert_consistent(advice, facts)
    assert_contains(advice, 20.0)
    assert "OMP_NUM_THREADS=1" in advice.how


def test_threads_get_the_cores_that_workers_leave() -> None:
    assert "OMP_NUM_THREADS=4" in fix(evaluate(facts_of(workers=4)), "thread-count").how


@pytest.mark.parametrize(
    "facts",
    [facts_of(threads=4, workers=4), facts_of(load=8.0), facts_of(used=7.1), facts_of(host_ms=2.9)],
    ids=["as many threads as cores", "as many run as there are cores", "cores to spare", "the step does not feel it"],
)
def test_passes_just_below(facts: Facts) -> None:
    assert status(evaluate(facts)) == "passed"


def test_on_the_cpu_threads_alone_count_and_nothing_is_promised() -> None:
    assert status(evaluate(facts_of(threads=8, cpu_only=True))) == "passed"
    assert fix(evaluate(facts_of(threads=16, cpu_only=True)), "thread-count").gain.expected_ms == 0


def test_no_data_without_cpu_use() -> None:
    assert status(evaluate(facts_of(load=None))) == "no_data"
    assert (
        status(evaluate(make_facts(100, host=40.0, environment=Environment(cpu_count=8, cpu_threads=16)))) == "no_data"
    )
