"""Is an odd dimension named, and its gain the difference to aligned products?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.misaligned_matmul import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, status
from tests.analyzers.rules.operators_builder import product, with_operators, work

ALIGN1 = "void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_bf16_128x256_32x3_tn_align1>"
TOKENS, WIDTH, VOCABULARY = 16384, 1024, 50257


def at(share: float, n: int) -> float:
    """Ms of [TOKENS, WIDTH] x [WIDTH, n] at this share of the H200's peak."""
    return 2 * TOKENS * WIDTH * n / (989e12 * share) * 1e3


def facts(ms: float, *, size: int = VOCABULARY, kernel: str = ALIGN1) -> Facts:
    table = work("aten::embedding", f"[{size},{WIDTH}];[16,1024]", 0.1, kind="embedding", types="float;long int")
    return with_operators(
        product(TOKENS, WIDTH, size, ms, kernel=kernel),
        product(TOKENS, WIDTH, 4096, at(0.8, 4096)),
        table,
        step_ms=40.0,
    )


def test_a_vocabulary_that_costs_twice_its_time_gains_half_of_it() -> None:
    """An H200 takes about twice as long for a vocabulary of 50257 as for 50304."""
    before, after = at(0.4, VOCABULARY), at(0.8, VOCABULARY)
    found = evaluate(facts(before))
    advice = fix(found, "pad-vocabulary")
    assert advice.gain.expected_ms == pytest.approx(before - after, rel=0.02)
    assert_contains(advice, before - after)
    assert "50257 to 50304" in advice.action
    assert_consistent(advice, facts(before))


@pytest.mark.parametrize(("share", "expected"), [(0.63, "passed"), (0.55, "fired")])
def test_threshold(share: float, expected: str) -> None:
    """2 % of 40 ms are 0.8 ms over the 2.13 ms at 80 % of the peak."""
    assert status(evaluate(facts(at(share, VOCABULARY)))) == expected


def test_aligned_products_pass() -> None:
    assert status(evaluate(facts(5.0, size=50304, kernel="nvjet_sm90_tst_256x128_64x4_1x2_h_bz_coopA_NNT"))) == "passed"


def test_another_dimension_is_no_vocabulary() -> None:
    odd = product(TOKENS, WIDTH, 4001, at(0.2, 4001), kernel=ALIGN1, calls=1)
    found = evaluate(with_operators(odd, product(TOKENS, WIDTH, 4096, at(0.8, 4096)), step_ms=2.0))
    assert "4001" in fix(found, "align-dimensions").action


def test_the_number_of_tokens_does_not_matter() -> None:
    """Rows of a linear layer's operands lie along its features: 16001 tokens are as good as 16000."""
    plain = "nvjet_sm90_tst_256x128_64x4_1x2_h_bz_coopA_NNT"
    forward = product(16001, 1024, 4096, 3.0, kernel=plain)
    weights = product(4096, 16001, 1024, 3.0, kernel=plain, backward=True)
    inputs = product(16001, 4096, 1024, 3.0, kernel=plain, backward=True)
    assert status(evaluate(with_operators(forward, weights, inputs, step_ms=10.0))) == "passed"


def test_products_on_cuda_cores_need_no_alignment() -> None:
    odd = product(TOKENS, WIDTH, VOCABULARY, 30.0, number_format="fp32", kernel="cutlass_80_simt_sgemm_128x256_8x4_nt")
    assert status(evaluate(with_operators(odd))) == "passed"


def test_no_products_no_question() -> None:
    table = work("aten::embedding", "[50257,1024];[16,1024]", 0.1, kind="embedding", types="float;long int")
    assert status(evaluate(with_operators(table))) == "not_applicable"
