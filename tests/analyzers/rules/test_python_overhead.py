"""Is Python named where it, and not launching, keeps the device waiting?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.host.host_causes import Collections
from llmprof.analyzers.facts.host.host_work import HostWork
from llmprof.analyzers.rules.python_overhead import evaluate
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.causes_builder import with_causes, with_rank
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def work(*, waiting_ms: float, long_ms: float, short_ms: float) -> HostWork:
    return HostWork(waiting_ns=waiting_ms * NS_PER_MS, long_ns=long_ms * NS_PER_MS, short_ns=short_ms * NS_PER_MS)


def test_fires_and_promises_the_long_stretches() -> None:
    facts = with_causes(make_facts(100, host=30.0), work=work(waiting_ms=30, long_ms=20, short_ms=4))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.severity, found.finding.cost_ms) == (
        "fired",
        "critical",
        pytest.approx(24),
    )
    advice = fix(found, "hoist-python")
    assert_consistent(advice, facts)
    assert_contains(advice, 20.0)


def test_what_only_the_steps_without_the_profiler_took_may_be_python_too() -> None:
    found = with_causes(make_facts(100, host=30.0), work=work(waiting_ms=30, long_ms=20, short_ms=4))
    partition = found.critical.partition
    assert partition is not None
    found = with_rank(found, partition=replace(partition, detail={"untraced": 10.0 * NS_PER_MS}))
    gain = fix(evaluate(found), "hoist-python").gain
    assert gain.high_ms == pytest.approx(34)
    assert gain.expected_ms == pytest.approx(20)


def test_passes_just_below_five_percent() -> None:
    facts = with_causes(make_facts(100, host=5.0), work=work(waiting_ms=5, long_ms=4.9, short_ms=0))
    assert status(evaluate(facts)) == "passed"


def test_launching_that_takes_more_is_left_to_its_own_rule() -> None:
    facts = with_causes(make_facts(100, host=40.0), work=work(waiting_ms=40, long_ms=0, short_ms=15))
    assert status(evaluate(facts)) == "passed"


def test_garbage_collection_is_not_taken_for_python_code() -> None:
    pauses = Collections(mean_ns=20 * NS_PER_MS, steps_share=1, longest_ns=20 * NS_PER_MS)
    facts = make_facts(100, host=24.0)
    silent = work(waiting_ms=24, long_ms=20, short_ms=4)
    assert status(evaluate(with_causes(facts, work=silent, collections=pauses))) == "passed"


def test_collections_of_the_traced_steps_alone_are_taken_off() -> None:
    pauses = Collections(mean_ns=20 * NS_PER_MS, steps_share=0.2, longest_ns=100 * NS_PER_MS, traced_ns=0.0)
    facts = with_causes(
        make_facts(100, host=24.0), work=work(waiting_ms=24, long_ms=20, short_ms=0), collections=pauses
    )
    assert evaluate(facts).finding.cost_ms == pytest.approx(20.0)


def test_no_data_without_operators() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"


def test_work_on_tensors_of_the_cpu_is_named_even_beside_a_launch_bound_step() -> None:
    """10 of 40 ms of waiting: less than launching takes, and yet one piece that can be moved."""
    counted = replace(work(waiting_ms=40, long_ms=10, short_ms=2), computing_ns=10.0 * NS_PER_MS)
    found = evaluate(with_causes(make_facts(100, host=40.0), work=counted))
    assert found.finding.status == "fired"
    assert "tensors of the CPU" in found.finding.summary
    advice = fix(found, "hoist-python")
    assert advice.how.startswith("do it on the device") and "tensors of the CPU" in advice.action
