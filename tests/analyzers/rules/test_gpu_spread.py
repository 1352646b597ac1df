"""Is one GPU that is slower for the same kernels found, and a gain promised only where it sets the pace?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.spread import SoloKernel
from llmprof.analyzers.facts.operators.utilization import Utilization
from llmprof.analyzers.rules.gpu_spread import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, fix, make_facts, status
from tests.analyzers.rules.run_builder import MS, with_rank, with_ranks


def kernels(ms: float, name: str = "gemm") -> dict[str, SoloKernel]:
    return {name: SoloKernel(median_ns=ms * MS / 10, count_per_step=10)}


@pytest.mark.parametrize(("slow_ms", "expected"), [(52.4, "passed"), (52.6, "fired")])
def test_five_percent_more_than_the_others(slow_ms: float, expected: str) -> None:
    assert status(evaluate(with_ranks(make_facts(100), solo=[kernels(slow_ms), kernels(50)]))) == expected


def test_the_rank_that_sets_the_pace_gains_its_excess_at_most() -> None:
    facts = with_ranks(make_facts(100), solo=[kernels(60), kernels(50), kernels(50)])
    found = evaluate(facts)
    advice = fix(found, "repair-straggler")
    assert (found.finding.ranks, found.finding.cost_ms) == ((0,), pytest.approx(10.0))
    assert (advice.gain.low_ms, advice.gain.expected_ms, advice.gain.high_ms) == pytest.approx((0.0, 5.0, 10.0))
    assert_consistent(advice, facts)


@pytest.mark.parametrize(("hfu", "expected"), [(0.4, "fired"), (0.6, "not_applicable"), (None, "fired")])
def test_a_rank_that_has_more_to_do_is_no_slower_gpu(hfu: float | None, expected: str) -> None:
    """Experts that get more tokens run the same kernels, which take longer there on any GPU."""
    facts = with_ranks(
        make_facts(100),
        solo=[kernels(60), kernels(50)],
        utilization=[Utilization(hfu=hfu), Utilization(hfu=0.4)],
    )
    assert status(evaluate(facts)) == expected


def test_another_rank_holds_the_run_up_so_nothing_is_promised() -> None:
    advice = fix(evaluate(with_ranks(make_facts(100), solo=[kernels(50), kernels(60)])), "repair-straggler")
    assert advice.gain.high_ms == 0.0 and "not this rank that sets the pace" in advice.why


def test_nothing_to_compare() -> None:
    assert status(evaluate(with_ranks(make_facts(100), solo=[kernels(5, "a"), kernels(9, "b")]))) == "not_applicable"
    assert status(evaluate(with_ranks(make_facts(100), solo=[kernels(5), {}]))) == "no_data"
    assert status(evaluate(with_rank(make_facts(100), solo=kernels(5)))) == "not_applicable"
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"
