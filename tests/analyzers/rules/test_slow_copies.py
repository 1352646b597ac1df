"""Is the rate of large pinned copies held against the link, and the exposed part alone promised?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.facts.loading.copies import CopyFacts, CopyGroup
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.slow_copies import evaluate
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.causes_builder import with_rank
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status

PCIE5 = HardwareFacts(pcie_gen_max=5, pcie_width_max=16, far_cpus=True)
REACHED = 0.87 * 16 * 3.938  # GB/s


def facts_of(
    gb_per_s: float,
    *,
    exposed_ms: float = 20.0,
    largest: int = 2**30,
    link: HardwareFacts | None = PCIE5,
) -> Facts:
    group = CopyGroup(
        count=1,
        bytes=gb_per_s * 1e9 * 0.02,
        ns=20 * NS_PER_MS,
        exposed_ns=exposed_ms * NS_PER_MS,
        largest_bytes=largest,
    )
    return with_rank(make_facts(100, data=exposed_ms, copies=CopyFacts(pinned_to_device=group)), hardware=link)


def test_fires_and_promises_the_rate_of_the_link() -> None:
    facts = facts_of(REACHED / 4)
    found = evaluate(facts)
    assert (found.finding.status, found.finding.cost_ms) == ("fired", pytest.approx(15.0))
    advice = fix(found, "numa-binding")
    assert_consistent(advice, facts)
    assert_contains(advice, 15.0)


def test_passes_just_above_six_tenths_and_when_hidden() -> None:
    assert status(evaluate(facts_of(0.61 * REACHED))) == "passed"
    assert status(evaluate(facts_of(REACHED / 4, exposed_ms=1.0))) == "passed"


def test_near_cores_leave_the_cause_open() -> None:
    near = replace(PCIE5, far_cpus=False)
    assert fix(evaluate(facts_of(REACHED / 4, link=near)), "numa-binding").gain.expected_ms == pytest.approx(7.5)


def test_small_copies_say_nothing() -> None:
    assert status(evaluate(facts_of(1.0, largest=2**20 - 1))) == "not_applicable"


def test_no_data_without_the_link_or_the_copies() -> None:
    assert status(evaluate(facts_of(1.0, link=None))) == "no_data"
    assert status(evaluate(make_facts(100))) == "no_data"
