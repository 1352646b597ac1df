"""Is elementwise work that a compiler would fuse named, with what may be fused as the bounds of the gain?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.fusion import FusionFacts
from llmprof.analyzers.rules.unfused_elementwise import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, fix, status
from tests.analyzers.rules.operators_builder import copied, make_operators, product, with_operators, work


def facts(
    sized_ms: float, between_ms: float, *, chain_ms: float = 0.0, compiled_ms: float = 0.0, **parts: float
) -> Facts:
    fusion = FusionFacts(
        ns=60e6, run_ns=40e6, runs=10, kernels=40, compiled_ns=compiled_ms * 1e6,
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


def test_products_that_the_compiler_pads_are_part_of_its_gain() -> None:
    """[8192, 4096] x [4096, 50257] in 20 ms, where an aligned product reaches 0.7 of the peak."""
    usual_ms = 2 * 8192 * 4096 * 50257 / (0.7 * 989e12) * 1e3
    aligned = product(8192, 4096, 4096, 2 * 8192 * 4096 * 4096 / (0.7 * 989e12) * 1e3)
    odd = product(8192, 4096, 50257, 20.0, kernel="cutlass_80_tensorop_bf16_s16816gemm_bf16_128x256_32x3_tn_align1")
    plain = facts(6.0, 10.0)
    operators = plain.critical.operators
    assert operators is not None
    both = with_operators(given=replace(operators, work=(*operators.work, aligned, odd)))
    gain = fix(evaluate(both), "torch-compile").gain
    assert gain.expected_ms == pytest.approx(8.0 + 20.0 - usual_ms, rel=0.01)
    assert gain.low_ms == pytest.approx(0.75 * (20.0 - usual_ms) / 2, rel=0.01)
    assert "pads" in fix(evaluate(both), "torch-compile").why
    loss = work("aten::_log_softmax", "[8192,50257]", 0.0, kind="cross_entropy")
    given = make_operators(*operators.work, aligned, odd, loss, fusion=operators.fusion)
    vocabulary = fix(evaluate(with_operators(given=given)), "torch-compile").gain
    # The output layer may stand outside of the model, with the loss.
    assert (vocabulary.low_ms, vocabulary.expected_ms) == (0.0, gain.expected_ms)
    compiled = replace(operators.fusion, compiled_ns=1e6) if operators.fusion is not None else None
    padded = with_operators(given=replace(operators, work=(*operators.work, aligned, odd), fusion=compiled))
    assert fix(evaluate(padded), "torch-compile").gain.expected_ms == pytest.approx(8.0)


def with_table(sized_ms: float) -> Facts:
    """What `facts` has, and learned distances of 1024 words, 2 ms of which are their gradient."""
    pairs = "[1024,1024]"
    plain = facts(sized_ms, sized_ms).critical.operators
    assert plain is not None
    table = [
        work("aten::embedding", f"[32,16];{pairs}", 0.5, kind="embedding"),
        work("aten::embedding_dense_backward", f"[1024,1024,16];{pairs}", 2.0, kind="embedding", backward=True),
    ]
    return with_operators(given=replace(plain, work=(*plain.work, *table)))


def test_a_small_table_that_all_pairs_look_into_takes_its_atomic_additions_off_the_gain() -> None:
    """A million gradients, of which nearly all are of one row: 10 ms of additions in place of 2 ms."""
    gain = fix(evaluate(with_table(20.0)), "torch-compile").gain
    additions_ms = 8 * (1 - 32 / 1024) ** 2 * 1024**2 / 0.8 / 1e6
    assert gain.expected_ms == pytest.approx(20.0 - additions_ms + 2.0)
    assert "torch.compiler.disable" in fix(evaluate(with_table(20.0)), "torch-compile").why


def test_what_the_additions_outweigh_is_not_recommended() -> None:
    found = evaluate(with_table(6.0))
    assert status(found) == "passed" and not found.recommendations
    assert "table of 32 rows" in found.finding.summary
    assert status(evaluate(facts(6.0, 6.0))) == "fired"
