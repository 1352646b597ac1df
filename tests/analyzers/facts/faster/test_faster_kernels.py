"""Is what a fix saves of kernels told with the kernels, and why it saves nothing?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.faster.faster_kernels import FIXES, FP8_SPEEDUP, faster_kernels
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.saving import Saving, saving_of, sum_of
from llmprof.timeline.environment import Device
from tests.analyzers.rules.facts_builder import H200
from tests.analyzers.rules.operators_builder import copied, make_operators, product, work

AMPERE = Device(name="NVIDIA A100-SXM4-80GB", sm_count=108, capability=(8, 0))
UNKNOWN = Device(name="Some GPU", sm_count=17)
SCORES = "[64,2048,2048]"
LOGITS = "[8192,50304]"
FLASH2 = "void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<128>>"

WRITTEN = make_operators(
    work("aten::bmm", "[64,2048,128];[64,128,2048]", 2.0, kind="gemm", calls=2.0),
    work("aten::_softmax", SCORES, 3.0, kind="softmax", calls=2.0),
    work("aten::mul", f"{SCORES};[]", 3.0, kind="elementwise", calls=2.0),
)
LOSS = make_operators(
    work("aten::_log_softmax", LOGITS, 3.0, kind="cross_entropy", number_format="fp32"),
    work("aten::_log_softmax_backward_data", f"{LOGITS};{LOGITS}", 4.0, kind="cross_entropy", number_format="fp32"),
)


def savings(fix: str, operators: OperatorFacts, device: Device = H200) -> tuple[Saving, ...]:
    found = faster_kernels(fix, operators, device)
    assert not isinstance(found, str), found
    return found


def test_a_saving_keeps_its_ends_in_order_and_below_the_time_of_its_kernels() -> None:
    one = saving_of(10.0, low_ns=8.0, expected_ns=-3.0, high_ns=99.0, launches=2.0)
    assert (one.low_ns, one.expected_ns, one.high_ns, one.launches) == (0.0, 0.0, 10.0, 1.0)
    assert sum_of([one, one]) == Saving(ns=20.0, high_ns=20.0)


def test_all_that_attention_touches_is_one_saving_and_leaves_one_launch_a_call() -> None:
    (one,) = savings("sdpa-attention", WRITTEN)
    assert {part.operator for part in one.work} == {"aten::bmm", "aten::_softmax", "aten::mul"}
    assert one.ns == pytest.approx(8e6)
    assert one.launches == pytest.approx(2 / 6)  # forward alone: two fused kernels for six


def test_a_loss_leaves_its_passes_and_two_launches() -> None:
    """5.5 passes over 8192 x 50304 numbers of 2 bytes at 80 % of 4.8 TB/s, where the product was not seen."""
    (one,) = savings("fused-cross-entropy", LOSS)
    assert one.ns - one.expected_ns == pytest.approx(5.5 * 8192 * 50304 * 2 / (0.8 * 4.8e12) * 1e9, rel=1e-6)
    assert one.launches == 1.0  # two kernels were two before


def test_a_loss_that_is_compiled_with_its_output_layer_pads_an_odd_vocabulary_but_that_is_not_sure() -> None:
    """As padding by hand saves; of products with another odd dimension nothing is saved."""
    some = [replace(one, shapes=(one.shapes or "").replace("50304", "50257")) for one in LOSS.work]
    odd = product(8192, 1024, 50257, 5.0, kernel="cutlass_80_tensorop_bf16_s16816gemm_bf16_128x256_32x3_tn_align1")
    other = product(8192, 1024, 1023, 1.0, kernel=odd.kernel)
    found = make_operators(odd, other, *some)
    assert found.loss is not None and found.loss.vocabulary == 50257
    loss, padded = savings("fused-cross-entropy", found)
    by_hand = next(one for one in savings("pad-vocabulary", found) if one.work == (odd,))
    assert padded == replace(by_hand, low_ns=0.0) and padded.expected_ns > 0
    assert loss.work[0].operator.startswith("aten::_log_softmax")


def test_each_copy_is_a_saving_and_half_of_those_within_a_format_go() -> None:
    plain, cast = copied(10**8, 4.0), copied(10**8, 3.0, types="float;c10::BFloat16")
    found = {one.work[0]: one for one in savings("keep-layout", make_operators(plain, cast))}
    assert (found[plain].expected_ns, found[plain].launches) == (2e6, 0.5)
    assert (found[cast].expected_ns, found[cast].high_ns, found[cast].launches) == (0.0, 3e6, 1.0)


def test_newer_attention_kernels_are_expected_in_the_middle_of_what_was_published() -> None:
    q = "[4,16,2048,128]"
    old = work("aten::_scaled_dot_product_flash_attention", f"{q};{q};{q}", 6.0, kind="attention", kernel=FLASH2)
    (one,) = savings("fused-attention-backend", make_operators(old))
    assert (one.low_ns, one.expected_ns, one.high_ns) == pytest.approx((0.0, 6e6 * 0.7 / 1.7, 3e6))
    assert isinstance(faster_kernels("fused-attention-backend", make_operators(old), AMPERE), str)


def test_fp8_is_possible_where_the_gpu_has_it() -> None:
    given = make_operators(product(16384, 4096, 4096, 8.0))
    (one,) = savings("fp8", given)
    assert (one.low_ns, one.expected_ns, one.high_ns) == pytest.approx((0.0, 0.0, 8e6 * (1 - 1 / FP8_SPEEDUP)))
    assert "fp8" in str(faster_kernels("fp8", given, AMPERE))


def test_the_odd_dimension_decides_which_of_two_fixes_it_is() -> None:
    align1 = "cutlass_80_tensorop_bf16_s16816gemm_bf16_128x256_32x3_tn_align1"
    table = work("aten::embedding", "[50257,1024];[16,1024]", 0.1, kind="embedding", types="float;long int")
    given = make_operators(product(16384, 1024, 50257, 8.0, kernel=align1), product(16384, 1024, 4096, 0.2), table)
    assert savings("pad-vocabulary", given)[0].expected_ns > 0
    assert "50257" in str(faster_kernels("align-dimensions", given, H200))
    other = make_operators(product(16384, 1024, 4001, 8.0, kernel=align1), product(16384, 1024, 4096, 0.2))
    assert savings("align-dimensions", other)[0].expected_ns > 0
    assert "4001" in str(faster_kernels("pad-vocabulary", other, H200))


@pytest.mark.parametrize(("fix", "given"), [("sdpa-attention", WRITTEN), ("fused-cross-entropy", LOSS)])
def test_without_the_rates_of_the_device_nothing_is_told(fix: str, given: OperatorFacts) -> None:
    assert faster_kernels(fix, given, UNKNOWN) == "the rates of this device are not known"


@pytest.mark.parametrize("fix", sorted(FIXES))
def test_without_operators_there_is_a_reason(fix: str) -> None:
    assert faster_kernels(fix, None, H200) == "the recording holds no kernels with their operators"
    assert isinstance(faster_kernels(fix, make_operators(), H200), str)
