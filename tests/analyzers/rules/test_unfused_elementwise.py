"""Is elementwise work that a compiler would fuse named, with no more than a published gain expected?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.fusion import FusionFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.unfused_elementwise import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, fix, status
from tests.analyzers.rules.operators_builder import copied, make_operators, with_operators


def facts(run_ms: float, largest_ms: float, *, compiled_ms: float = 0.0, **parts: float) -> Facts:
    fusion = FusionFacts(
        ns=run_ms * 1e6, run_ns=run_ms * 1e6, largest_ns=largest_ms * 1e6, runs=10, kernels=40,
        compiled_ns=compiled_ms * 1e6,
    )  # fmt: skip
    return with_operators(given=make_operators(copied(2**24, run_ms), fusion=fusion), **parts)


def test_gain_is_what_is_not_the_longest_kernel() -> None:
    """TraceLens' model: the longest stays, and 15 % of the rest; 20 - 12 ms leave 6.8 ms."""
    advice = fix(evaluate(facts(20.0, 12.0)), "torch-compile")
    assert advice.gain.expected_ms == pytest.approx(6.8) == advice.gain.high_ms
    assert advice.gain.low_ms == pytest.approx(0.2 * 6.8)
    assert_consistent(advice, facts(20.0, 12.0))


def test_no_more_is_expected_than_was_published() -> None:
    """40 ms could go by the model; 13.6 % of the time is what torch.compile brought a Llama."""
    gain = fix(evaluate(facts(60.0, 13.0)), "torch-compile").gain
    assert gain.expected_ms == pytest.approx(13.6)
    assert gain.high_ms == pytest.approx(0.85 * 47)
    assert gain.low_ms <= 3.0


def test_formulas_that_are_written_out_are_expected_to_go_whole() -> None:
    """Of 60 ms 40 are in chains beside their longest kernels: 85 % of that is more than was published."""
    given = facts(60.0, 13.0)
    operators = given.critical.operators
    assert operators is not None and operators.fusion is not None
    chained = replace(operators, fusion=replace(operators.fusion, chain_ns=40e6))
    gain = fix(evaluate(with_operators(given=chained)), "torch-compile").gain
    assert (gain.expected_ms, gain.high_ms) == (pytest.approx(0.85 * 40), pytest.approx(0.85 * 47))


@pytest.mark.parametrize(("run", "expected"), [(4.3, "passed"), (4.4, "fired")])
def test_threshold(run: float, expected: str) -> None:
    """2 ms of 100 ms, of what is left after the longest kernels (2 ms)."""
    assert status(evaluate(facts(run, 2.0))) == expected


def test_a_step_that_waits_is_left_to_the_rules_about_waiting() -> None:
    assert status(evaluate(facts(20.0, 10.0, host=25.0))) == "passed"


def test_nothing_to_fuse_is_no_question() -> None:
    assert status(evaluate(with_operators(given=make_operators(copied(2**20, 1.0))))) == "not_applicable"


def test_a_partly_compiled_model_is_told_to_compile_the_rest() -> None:
    assert "rest" in fix(evaluate(facts(20.0, 12.0, compiled_ms=30.0)), "torch-compile").action
