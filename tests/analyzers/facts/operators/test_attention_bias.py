"""Is a bias of attention scores found that needs a gradient, with the time of the only fused kernel that takes it?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.faster.attention_speed import BACKWARD_AGAIN
from llmprof.analyzers.facts.faster.faster_attention import fused
from llmprof.analyzers.facts.faster.timed_calls import written_call
from llmprof.analyzers.facts.operators.attention_bias import AttentionBias
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.facts.operators.written_attention import WrittenAttention
from tests.analyzers.rules.facts_builder import H200
from tests.analyzers.rules.operators_builder import make_operators, work

BATCH, HEADS, LENGTH, WIDTH = 12, 16, 1024, 64
SCORES = f"[{BATCH},{HEADS},{LENGTH},{LENGTH}]"
SHARED = f"[{HEADS},{LENGTH},{LENGTH}]"
ELEMENTS = BATCH * HEADS * LENGTH * LENGTH
BANDWIDTH = 0.8 * 4800e9
SUM = work("aten::sum", f"{SCORES};[];[];[]", 0.3, kind="reduction", number_format="fp32", backward=True)


def added(ms: float, bias: str = SHARED) -> OperatorWork:
    return work("aten::add", f"{SCORES};{bias};[]", ms, kind="elementwise", types="c10::BFloat16;float;Scalar")


ADDING_MS = (added(1.0).best_ns or 0.0) / 1e6
SECTORS_MS = 32 * ELEMENTS / BANDWIDTH * 1e3


def attention(*others: OperatorWork, batch: int = BATCH, keys: int = LENGTH) -> list[OperatorWork]:
    """Scores, softmax and values, forward and the gradient of the values."""
    heads = batch * HEADS
    return [
        work("aten::bmm", f"[{heads},{LENGTH},{WIDTH}];[{heads},{WIDTH},{keys}]", 0.2, kind="gemm"),
        work("aten::_softmax", f"[{batch},{HEADS},{LENGTH},{keys}]", 0.5, kind="softmax"),
        work("aten::bmm", f"[{heads},{LENGTH},{keys}];[{heads},{keys},{WIDTH}]", 0.2, kind="gemm"),
        work("aten::bmm", f"[{heads},{keys},{LENGTH}];[{heads},{LENGTH},{WIDTH}]", 0.2, kind="gemm", backward=True),
        *others,
    ]


def found(*others: OperatorWork) -> WrittenAttention:
    result = make_operators(*attention(*others)).attention
    assert result is not None
    return result


def bias(*others: OperatorWork) -> AttentionBias:
    result = found(*others).bias
    assert result is not None
    return result


def test_a_bias_whose_gradient_is_summed_over_the_scores_is_learned() -> None:
    one = bias(added(2 * ADDING_MS), SUM)
    assert (one.scores, one.dims) == ((BATCH, HEADS, LENGTH, LENGTH), (1, HEADS, LENGTH, LENGTH))
    assert one.bytes == ELEMENTS * 4  # its gradient for every score in 16 bits, written and read


@pytest.mark.parametrize("mask", [[added(1.0)], [SUM], [added(1.0, f"[{HEADS},1,{LENGTH}]"), SUM]])
def test_a_mask_without_a_gradient_and_a_sum_without_a_bias_are_none(mask: list[OperatorWork]) -> None:
    assert found(*mask).bias is None


def test_a_bias_of_its_own_for_each_sample_is_read_twice_and_cast() -> None:
    assert bias(added(1.0, SCORES), SUM).bytes == ELEMENTS * (4 + 4 + 12)


def test_the_memory_efficient_kernel_at_half_its_share_on_hopper_and_the_gradient_of_the_bias() -> None:
    given = found(added(ADDING_MS), SUM)
    ns = fused(given, H200)
    assert ns is not None
    peak = 0.5 * 989e12
    flops = 2 * ELEMENTS * WIDTH
    moved_ns = 4 * ELEMENTS / BANDWIDTH * 1e9
    assert ns.fast_ns == pytest.approx((2 * flops / 0.33 + BACKWARD_AGAIN * flops / 0.20) / peak * 1e9 + moved_ns)
    assert ns.slow_ns == pytest.approx((2 * flops / 0.20 + BACKWARD_AGAIN * flops / 0.13) / peak * 1e9 + moved_ns)
    plain = fused(replace(given, bias=None), H200)
    assert plain is not None and plain.expected_ns < ns.expected_ns / 2


@pytest.mark.parametrize(("share", "scattered"), [(0.95, False), (1.05, True)])
def test_a_bias_of_which_a_sector_is_read_for_every_score_is_not_contiguous(share: float, scattered: bool) -> None:
    assert bias(added(share * SECTORS_MS), SUM).scattered is scattered


def test_no_fused_kernel_takes_a_bias_that_is_not_contiguous() -> None:
    """At worst PyTorch writes attention out itself: products in fp32, and 15 more bytes for every score."""
    given = found(added(2 * SECTORS_MS), SUM)
    one, other = fused(given, H200), fused(found(added(ADDING_MS), SUM), H200)
    assert one is not None and other is not None
    wide_ns = 6 * ELEMENTS * WIDTH / (0.8 * 67e12) * 1e9
    written_ns = given.ns + wide_ns - 0.6e6 + 15 * ELEMENTS / BANDWIDTH * 1e9
    assert one.slow_ns == pytest.approx(written_ns)
    assert one.expected_ns == pytest.approx((other.expected_ns + written_ns) / 2)
    assert one.fast_ns == pytest.approx(other.fast_ns)


@pytest.mark.parametrize(("ms", "stride"), [(ADDING_MS, ()), (2 * SECTORS_MS, (HEADS,))])
def test_it_is_timed_with_its_bias_as_it_lies_and_a_gradient_for_it(ms: float, stride: tuple[int, ...]) -> None:
    given = found(added(ms), SUM)
    call = written_call(given)
    assert call is not None
    heads = (BATCH, HEADS, LENGTH, WIDTH)
    assert call.dims == (heads, heads, heads, (1, HEADS, LENGTH, LENGTH))
    assert (call.bias, call.stride, call.kind) == (True, stride, "attention_both")


def test_attention_without_the_bias_beside_it_is_a_part_of_its_own() -> None:
    """Another text has half as many words: its scores have another size, and no bias."""
    some = attention(added(2 * SECTORS_MS), SUM) + attention(keys=512)
    operators = make_operators(*some)
    assert operators.attention is not None
    one, other = operators.attention.parts
    assert (one.keys, other.keys) == (LENGTH, 512)
    assert one.bias is not None and other.bias is None
    assert one.ns + other.ns == pytest.approx(operators.attention.ns)
    both, parts = fused(operators.attention, H200), [fused(part, H200) for part in (one, other)]
    assert both is not None
    assert both.expected_ns == pytest.approx(sum(part.expected_ns for part in parts if part is not None))
