"""Is elementwise work that a compiler would fuse named, with what may be fused as the bounds of the gain?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.fusion import FusionFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.unfused_elementwise import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, fix, status
from tests.analyzers.rules.operators_builder import copied, make_operators, with_operators


def facts(
    sized_ms: float, between_ms: float, *, chain_ms: float = 0.0, compiled_ms: float = 0.0, **parts: float
) -> Facts:
    fusion = FusionFacts(
        ns=60e6, run_ns=40e6, largest_ns=10e6, runs=10, kernels=40, compiled_ns=compiled_ms * 1e6,
        chain_ns=chain_ms * 1e6, sized_ns=sized_ms * 1e6, between_ns=between_ms * 1e6,
    )  # fmt: skip
    return with_operators(given=make_operators(copied(2**24, 60.0), fusion=fusion), **parts)


def test_the_middle_between_what_is_surely_and_what_is_possibly_one_kernel_is_expected() -> None:
    advice = fix(evaluate(facts(6.0, 10.0)), "torch-compile")
    assert advice.gain.expected_ms == pytest.approx(8.0)
    assert (advice.gain.low_ms, advice.gain.high_ms) == (0.0, pytest.approx(10.0))
    assert_consistent(advice, facts(6.0, 10.0))


def test_of_formulas_that_are_written_out_half_is_sure() -> None:
    """A chain of pointwise kernels on one tensor is fused by every compiler, unless the model is compiled in parts."""
    assert fix(evaluate(facts(20.0, 30.0, chain_ms=16.0)), "torch-compile").gain.low_ms == pytest.approx(8.0)


@pytest.mark.parametrize(("between", "expected"), [(1.99, "passed"), (2.01, "fired")])
def test_threshold(between: float, expected: str) -> None:
    """The middle is 2 ms of 100 ms."""
    assert status(evaluate(facts(2.0, between))) == expected


def test_a_step_that_waits_is_left_to_the_rules_about_waiting() -> None:
    assert status(evaluate(facts(10.0, 12.0, host=25.0))) == "passed"


def test_nothing_to_fuse_is_no_question() -> None:
    assert status(evaluate(with_operators(given=make_operators(copied(2**20, 1.0))))) == "not_applicable"


def test_a_partly_compiled_model_is_told_to_compile_the_rest() -> None:
    assert "rest" in fix(evaluate(facts(8.0, 8.0, compiled_ms=30.0)), "torch-compile").action
