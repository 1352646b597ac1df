"""Are pinned copies that nothing hides told from hidden ones and from pageable ones?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.loading.copies import CopyFacts, CopyGroup
from llmprof.analyzers.rules.exposed_input_copy import evaluate
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.causes_builder import waits, with_causes
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def pinned(exposed_ms: float, *, ms: float = 20.0) -> CopyFacts:
    group = CopyGroup(count=1, bytes=1e9, ns=ms * NS_PER_MS, exposed_ns=exposed_ms * NS_PER_MS, largest_bytes=10**9)
    return CopyFacts(pinned_to_device=group)


def test_fires_and_promises_the_exposed_copy() -> None:
    facts = make_facts(100, data=20.0, detail={"input_copy": 20.0}, copies=pinned(20.0))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.severity, found.finding.cost_ms) == ("fired", "critical", 20.0)
    advice = fix(found, "prefetch-to-device")
    assert_consistent(advice, facts)
    assert_contains(advice, 19.0)


@pytest.mark.parametrize(("floats", "largest"), [(1e9, 10**9), (0.4e9, 10**9), (None, 10**9), (1e9, 10**5)])
def test_large_copies_of_fp32_could_have_fewer_bytes(floats: float | None, largest: int) -> None:
    """Half of the bytes, and of the 20 ms that they take, go in bf16; token ids and small copies stay as they are."""
    group = CopyGroup(count=1, bytes=1e9, ns=20e6, exposed_ns=20e6, largest_bytes=largest)
    copies = CopyFacts(pinned_to_device=group, pinned_float_bytes=floats)
    facts = make_facts(100, data=20.0, detail={"input_copy": 20.0}, copies=copies)
    found = evaluate(facts)
    compact = floats == 1e9 and largest == 10**9
    assert ("compact-batches" in [one.id for one in found.recommendations]) is compact
    if compact:
        advice = fix(found, "compact-batches")
        assert (advice.gain.low_ms, advice.gain.expected_ms, advice.gain.high_ms) == (5.0, 10.0, 15.0)
        assert_consistent(advice, facts)


def test_passes_just_below_five_percent_and_when_hidden() -> None:
    below = make_facts(100, data=4.9, detail={"input_copy": 4.9}, copies=pinned(4.9))
    assert status(evaluate(below)) == "passed"
    assert status(evaluate(make_facts(100, copies=pinned(0.0)))) == "passed"


def test_copies_inside_the_step_are_no_input() -> None:
    assert status(evaluate(make_facts(100, memcpy=20.0, detail={"other_copy": 20.0}, copies=pinned(20.0)))) == "passed"


def test_a_blocking_copy_costs_the_bubble_behind_it() -> None:
    facts = make_facts(100, data=1.0, sync=7.0, detail={"input_copy": 1.0}, copies=pinned(1.0))
    facts = with_causes(facts, blocking=waits("to-device", 7.0, operator="aten::copy_"))
    found = evaluate(facts)
    assert found.finding.cost_ms == pytest.approx(8.0)
    assert_contains(fix(found, "pin-memory"), 7.0)
    assert "non_blocking=True" in fix(found, "pin-memory").how


def test_not_applicable_without_pinned_copies_and_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, copies=CopyFacts()))) == "not_applicable"
    assert status(evaluate(make_facts(100, cpu_only=True, copies=pinned(20.0)))) == "not_applicable"


def test_no_data_without_copies() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"
