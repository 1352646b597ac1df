"""Is a loss of many passes over the logits named, with what a compiled loss takes instead?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.unfused_cross_entropy import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, status
from tests.analyzers.rules.operators_builder import copied, product, with_operators, work

TOKENS, VOCABULARY = 16384, 50304
LOGITS = TOKENS * VOCABULARY


def facts(scale: float = 1.0, vocabulary: int = VOCABULARY) -> Facts:
    """The kernels of an eager loss on an H200, ms: cast 2.45, log-softmax 1.14, backward 1.51, cast 1.12, fill 0.7."""
    dims = f"[{TOKENS},{vocabulary}]"
    return with_operators(
        product(TOKENS, 1024, vocabulary, 2.2),
        copied(TOKENS * vocabulary, 2.45 * scale, types="float;c10::BFloat16"),
        work("aten::_log_softmax", dims, 1.14 * scale, kind="cross_entropy"),
        work("aten::_log_softmax_backward_data", f"{dims};{dims}", 1.51 * scale, kind="cross_entropy", backward=True),
        copied(TOKENS * vocabulary, 1.12 * scale, types="c10::BFloat16;float", backward=True),
        work("aten::fill_", dims, 0.7 * scale, kind="copy", types="float"),
        step_ms=45.0,
    )


def test_gain_is_the_time_over_that_of_a_compiled_loss() -> None:
    """Five and a half passes over 1.65 GB at 80 % of 4.8 TB/s take 2.36 ms of 6.92; at best three are enough."""
    advice = fix(evaluate(facts()), "fused-cross-entropy")
    fused = 5.5 * 2 * LOGITS / (0.8 * 4.8e12) * 1e3
    assert advice.gain.expected_ms == pytest.approx(6.92 - fused, rel=0.01)
    assert_contains(advice, 6.92 - 3 * 2 * LOGITS / (0.8 * 4.8e12) * 1e3)
    assert_consistent(advice, facts())


@pytest.mark.parametrize(("scale", "expected"), [(0.46, "passed"), (0.48, "fired")])
def test_threshold(scale: float, expected: str) -> None:
    """2 % of 45 ms over the 2.36 ms of a compiled loss."""
    assert status(evaluate(facts(scale))) == expected


def test_a_loss_over_few_classes_is_no_question() -> None:
    assert status(evaluate(facts(vocabulary=512))) == "not_applicable"


def test_a_compiled_region_that_is_given_the_logits_is_not_the_loss() -> None:
    """The backward of a compiled model gets the gradient of the logits; its kernels are the model's."""
    region = work("CompiledFunctionBackward", f"[{TOKENS},{VOCABULARY}]", 20.0, kind="elementwise", compiled=True)
    given = facts()
    assert given.critical.operators is not None
    found = evaluate(with_operators(*given.critical.operators.work, region, step_ms=45.0))
    assert fix(found, "fused-cross-entropy").gain.high_ms < 7.0


def test_an_odd_vocabulary_is_padded_when_the_output_layer_is_compiled_with_the_loss() -> None:
    """Expected is what padding saves of the product beside the loss, at the least nothing of it."""
    size = 50257
    aligned = product(TOKENS, 1024, 4096, 2 * TOKENS * 1024 * 4096 / (0.7 * 989e12) * 1e3)
    odd = product(TOKENS, 1024, size, 9.0, kernel="cutlass_80_tensorop_bf16_s16816gemm_bf16_128x256_32x3_tn_align1")
    given = facts(vocabulary=size).critical.operators
    assert given is not None
    others = [one for one in given.work if one.kind != "gemm"]
    even, padded = (
        fix(evaluate(with_operators(aligned, one, *others, step_ms=45.0)), "fused-cross-entropy")
        for one in (replace(odd, ns=0.0), odd)
    )
    usual_ms = 2 * TOKENS * 1024 * size / (0.7 * 989e12) * 1e3
    assert padded.gain.expected_ms - even.gain.expected_ms == pytest.approx(9.0 - usual_ms, rel=0.03)
    assert padded.gain.low_ms == pytest.approx(even.gain.low_ms, rel=0.01)
    assert "padded" in padded.why and "padded" not in fix(evaluate(facts()), "fused-cross-entropy").why


CELLS = [
    product(640_000, 512, 2048, 1.9),
    work("aten::_log_softmax", "[640000,2048]", 6.0, kind="cross_entropy", number_format="fp32"),
    work("aten::add", "[32,200,1,512];[32,1,100,512];[]", 1.6, kind="elementwise", types="c10::BFloat16;float;Scalar"),
    work("aten::tanh", "[32,200,100,512]", 0.6, kind="elementwise", number_format="fp32"),
    copied(640_000 * 512, 0.5, types="c10::BFloat16;float"),
    work("aten::sum", "[32,200,100,512];[];[];[]", 0.6, kind="reduction", number_format="fp32", backward=True),
]


def test_what_is_made_for_the_output_layer_alone_is_compiled_with_it() -> None:
    """Sums of every frame and word: 3.3 ms, of which five passes over 655 MB stay."""
    operators = with_operators(*CELLS, step_ms=45.0).critical.operators
    assert operators is not None and operators.loss is not None
    assert {one.operator for one in operators.loss.before} == {"aten::add", "aten::tanh", "aten::copy_", "aten::sum"}
    advice = fix(evaluate(with_operators(*CELLS, step_ms=45.0)), "fused-cross-entropy")
    plain = fix(evaluate(with_operators(*CELLS[:2], step_ms=45.0)), "fused-cross-entropy")
    left_ms = 5 * 2 * 640_000 * 512 / (0.8 * 4.8e12) * 1e3
    assert advice.gain.expected_ms - plain.gain.expected_ms == pytest.approx(3.3 - left_ms, rel=1e-3)
    assert advice.gain.low_ms == pytest.approx(plain.gain.low_ms)
    assert "made for it alone" in advice.why


def test_hidden_states_that_other_layers_read_as_well_are_no_part_of_the_loss() -> None:
    found = with_operators(*CELLS, product(640_000, 512, 512, 0.5), step_ms=45.0).critical.operators
    assert found is not None and found.loss is not None
    assert found.loss.before == ()
