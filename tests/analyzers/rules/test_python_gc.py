"""Do collections count only as far as the steps are longer because of them?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.host.host_causes import Collections
from llmprof.analyzers.ranking import rank
from llmprof.analyzers.rules.python_gc import evaluate
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.causes_builder import with_causes
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def collections(
    mean_ms: float,
    *,
    felt_ms: float | None = None,
    error_ms: float = 0.1,
    longest_ms: float = 40.0,
) -> Collections:
    return Collections(
        mean_ns=mean_ms * NS_PER_MS,
        steps_share=0.1,
        longest_ns=longest_ms * NS_PER_MS,
        felt_ns=None if felt_ms is None else felt_ms * NS_PER_MS,
        felt_error_ns=None if felt_ms is None else error_ms * NS_PER_MS,
    )


def test_fires_and_promises_what_the_steps_feel() -> None:
    facts = with_causes(make_facts(100), collections=collections(6.0, felt_ms=4.0))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.cost_ms) == ("fired", pytest.approx(4.0))
    advice = fix(found, "gc-policy")
    assert_consistent(advice, facts)
    assert (advice.gain.low_ms, advice.gain.high_ms) == (pytest.approx(3.8), pytest.approx(4.2))


def test_pauses_behind_a_full_queue_cost_nothing() -> None:
    assert status(evaluate(with_causes(make_facts(100), collections=collections(6.0, felt_ms=0.5)))) == "passed"


def test_passes_just_below_a_millisecond() -> None:
    short = collections(0.9, felt_ms=0.9, longest_ms=0.9)
    assert status(evaluate(with_causes(make_facts(10), collections=short))) == "passed"


def test_pauses_in_every_step_are_bounded_by_the_waiting_for_the_host() -> None:
    facts = with_causes(make_facts(100, host=3.0), collections=collections(6.0))
    advice = fix(evaluate(facts), "gc-policy")
    assert (advice.gain.low_ms, advice.gain.high_ms) == (0.0, pytest.approx(3.0))


def test_without_a_device_all_of_it_counts() -> None:
    advice = fix(evaluate(with_causes(make_facts(100, cpu_only=True), collections=collections(6.0))), "gc-policy")
    assert_contains(advice, 6.0)


def test_a_rare_long_pause_is_expected_and_not_sure() -> None:
    """One pause of 1.26 s in 42 steps of 81 ms, and 15 ms in every one; gc.freeze saved 53 ms when it was tried."""
    rare = replace(collections(45.4, longest_ms=1264), least_ns=15.3 * NS_PER_MS)
    facts = with_causes(make_facts(81.4, cpu_only=True, noise_ms=0.3), collections=rare)
    found = evaluate(facts)
    advice = fix(found, "gc-policy")
    assert_consistent(advice, facts)
    assert (advice.gain.low_ms, advice.gain.expected_ms) == pytest.approx((15.3, 45.4))
    (ranked,), _ = rank(found.recommendations, facts)
    assert ranked.gain == advice.gain, "the pause is no part of the noise"


@pytest.mark.parametrize(("noise_ms", "promised"), [(1.0, True), (3.0, False)])
def test_pauses_are_promised_to_go_where_the_steps_vary_less_without_them(noise_ms: float, promised: bool) -> None:
    felt = collections(6.0, felt_ms=4.0)
    facts = with_causes(make_facts(100, noise_ms=noise_ms), collections=felt)
    (ranked,), _ = rank(evaluate(facts).recommendations, facts)
    assert (ranked.gain.expected_ms > 0) is promised


def test_passes_when_it_never_ran() -> None:
    assert status(evaluate(with_causes(make_facts(100), collections=collections(0.0)))) == "passed"


def test_no_data_from_a_trace_alone() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"
