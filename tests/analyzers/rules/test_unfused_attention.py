"""Is attention that is written out named, with the gain of a fused kernel by published shares of the peak?"""

from __future__ import annotations

from typing import Any

import pytest

from llmprof.analyzers.facts.faster.faster_attention import CAUSAL, CAUSAL_NS
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.rules.unfused_attention import evaluate
from llmprof.timeline.environment import Device, Environment
from tests.analyzers.rules.facts_builder import assert_consistent, fix, status
from tests.analyzers.rules.operators_builder import make_operators, product, with_operators, work

B, S, D = 64, 2048, 128
PEAK = 989e12


def attention(scale: float = 1.0) -> list[OperatorWork]:
    """Forward: scores 2 ms, mask 3 ms, softmax 3 ms, values 2 ms."""
    scores = f"[{B},{S},{S}]"
    return [
        work("aten::bmm", f"[{B},{S},{D}];[{B},{D},{S}]", 2.0 * scale, kind="gemm"),
        work("aten::masked_fill", f"{scores};[{S},{S}]", 3.0 * scale, kind="elementwise", types="c10::BFloat16;bool"),
        work("aten::_softmax", scores, 3.0 * scale, kind="softmax"),
        work("aten::bmm", f"{scores};[{B},{S},{D}]", 2.0 * scale, kind="gemm"),
    ]


def facts(scale: float = 1.0, **parts: Any) -> Facts:
    return with_operators(*attention(scale), product(16384, 4096, 4096, 60.0), **parts)


def test_gain_is_the_time_over_a_fused_kernel() -> None:
    """As recorded of causal attention on Hopper: 4 B S^2 D FLOPs at 795 TFLOP/s, of which a mask leaves little more
    than half; at worst at 0.4 of the peak without knowing the mask, at best half of them at 0.75 of it."""
    found = evaluate(facts())
    assert status(found) == "fired"
    advice = fix(found, "sdpa-attention")
    fused_ms = 4 * B * S * S * D / (0.5 * PEAK) * 1e3
    usual_ms = CAUSAL * 4 * B * S * S * D / 795e12 * 1e3 + CAUSAL_NS / 1e6
    assert advice.gain.expected_ms == pytest.approx(10.0 - usual_ms, rel=1e-3)
    assert advice.gain.low_ms == pytest.approx(10.0 - fused_ms * 0.5 / 0.4, rel=1e-3)
    assert advice.gain.high_ms == pytest.approx(10.0 - fused_ms / 2 * 0.5 / 0.75, rel=1e-3)
    assert advice.gain.basis == "roofline"
    assert_consistent(advice, facts())
    assert f"{S} x {S}" in found.finding.summary


def test_padding_masks_halve_nothing() -> None:
    """A mask of its own for every sample is no causal one: all FLOPs are counted."""
    scores = f"[{B},{S},{S}]"
    padded = work("aten::masked_fill", f"{scores};[{B},1,{S}]", 3.0, kind="elementwise", types="c10::BFloat16;bool")
    given = [one for one in attention() if one.operator != "aten::masked_fill"]
    gain = fix(evaluate(with_operators(padded, *given, product(16384, 4096, 4096, 60.0))), "sdpa-attention").gain
    assert gain.expected_ms == pytest.approx(10.0 - 4 * B * S * S * D / (0.6 * PEAK) * 1e3, rel=1e-3)


def test_older_gpus_have_the_shares_of_the_peak_that_were_published() -> None:
    a100 = Environment(device=Device(name="NVIDIA A100-SXM4-80GB", sm_count=108, capability=(8, 0)))
    gain = fix(evaluate(facts(environment=a100)), "sdpa-attention").gain
    assert gain.expected_ms == pytest.approx(10.0 - 2 * B * S * S * D / (0.5 * 312e12) * 1e3, rel=1e-3)


def test_casts_and_operands_laid_out_go_with_attention_and_the_loss_does_not() -> None:
    """Scores cast to fp32 and keys laid out for the product are attention's; logits of as many numbers are not."""
    tokens, vocabulary = 1024, B * S * S // 1024
    cast = work("aten::copy_", f"[{B},{S},{S}];[{B},{S},{S}]", 4.0, kind="copy", types="float;c10::BFloat16")
    laid = work("aten::copy_", f"[{B},{D},{S}];[{B},{D},{S}]", 0.5, kind="copy")
    softmax = work("aten::_log_softmax", f"[{tokens},{vocabulary}]", 1.5, kind="cross_entropy", number_format="fp32")
    given = make_operators(*attention(), cast, laid, softmax, product(16384, 4096, 4096, 60.0))
    assert given.attention is not None and given.attention.ns == pytest.approx(14.5e6)
    assert given.loss is not None and given.loss.ns == pytest.approx(1.5e6)


@pytest.mark.parametrize(("scale", "expected"), [(0.21, "passed"), (0.22, "fired")])
def test_threshold(scale: float, expected: str) -> None:
    """2 % of 100 ms, beside what a fused kernel takes."""
    assert status(evaluate(facts(scale))) == expected


def test_pytorchs_own_slow_path_is_told_from_hand_written_attention() -> None:
    given = make_operators(*attention(), math_attention_ns=10e6)
    advice = fix(evaluate(with_operators(given=given)), "fused-attention-backend")
    assert "is_causal" in advice.how


def test_fused_attention_passes_and_no_attention_is_no_question() -> None:
    q = f"[4,16,{S},{D}]"
    flash = work("aten::_scaled_dot_product_flash_attention", f"{q};{q};{q}", 5.0, kind="attention")
    assert status(evaluate(with_operators(flash))) == "passed"
    assert status(evaluate(with_operators(product(16384, 4096, 4096, 60.0)))) == "not_applicable"


def test_short_sequences_promise_less() -> None:
    """At 256 tokens fused attention reaches a twentieth of the peak at worst: the low end falls."""
    short = f"[{B * 64},256,256]"
    small = [
        work("aten::bmm", f"[{B * 64},256,{D}];[{B * 64},{D},256]", 2.0, kind="gemm"),
        work("aten::_softmax", short, 4.0, kind="softmax"),
        work("aten::bmm", f"{short};[{B * 64},256,{D}]", 2.0, kind="gemm"),
    ]
    gain = fix(evaluate(with_operators(*small)), "sdpa-attention").gain
    assert gain.low_ms < 0.8 * gain.high_ms


def test_a_learned_bias_is_handed_over_as_the_mask_and_promises_less() -> None:
    scores = f"[{B // 8},8,{S},{S}]"
    bias = [
        work("aten::add", f"{scores};[8,{S},{S}];[]", 2.0, kind="elementwise"),
        work("aten::sum", f"{scores};[];[];[]", 1.0, kind="reduction", backward=True),
    ]
    rest = [one for one in attention() if one.operator != "aten::masked_fill"]
    learned = fix(evaluate(with_operators(*rest, *bias)), "sdpa-attention")
    plain = fix(evaluate(with_operators(*rest, bias[0])), "sdpa-attention")
    assert "attn_mask=bias" in learned.how and "is_causal" not in learned.how
    assert "memory-efficient" in learned.why
    assert learned.gain.expected_ms - 1.0 < plain.gain.expected_ms
    assert "not contiguous" not in learned.why


def test_a_learned_bias_that_is_not_contiguous_is_told_and_nothing_is_sure() -> None:
    scores = f"[{B // 8},8,{S},{S}]"
    bias = [
        work("aten::add", f"{scores};[8,{S},{S}];[]", 6.0, kind="elementwise"),
        work("aten::sum", f"{scores};[];[];[]", 1.0, kind="reduction", backward=True),
    ]
    rest = [one for one in attention() if one.operator != "aten::masked_fill"]
    advice = fix(evaluate(with_operators(*rest, *bias)), "sdpa-attention")
    assert "not contiguous" in advice.why and "contiguous" in advice.how
    assert advice.gain.low_ms <= 0 < advice.gain.expected_ms
