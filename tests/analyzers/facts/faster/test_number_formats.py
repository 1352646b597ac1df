"""Is each operator's time in the other format that of its arithmetic and traffic there, with the casts it needs?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmprof.analyzers.facts.faster.channels_last import CONVOLUTION_NS
from llmprof.analyzers.facts.faster.number_formats import (
    CAST_NS,
    FILL_NS,
    MIXED,
    PRODUCT,
    TF32_BACKWARD,
    UNALIGNED,
    Converted,
    converted,
)
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.facts.operators.written_attention import WrittenAttention
from llmprof.timeline.environment import Device

H200 = replace(Device(), name="NVIDIA H200", sm_count=132, capability=(9, 0))
A100 = replace(Device(), name="NVIDIA A100-SXM4-80GB", sm_count=108, capability=(8, 0))
BANDWIDTH = 0.8 * 4.8e12
EXPECTED = 1


def work(
    operator: str, dims: str, *, kind: str = "gemm", types: str = "float;float;float", **more: Any
) -> OperatorWork:
    given: dict[str, Any] = {"ns": 1e9, "calls": 1.0, "kernels": 1.0, "number_format": "fp32", **more}
    return OperatorWork(operator=operator, kind=kind, shapes=f"{dims}|{types}", **given)


def product(m: int, k: int, n: int, **more: Any) -> OperatorWork:
    moved = 4.0 * (m * k + k * n + m * n)
    return work("aten::mm", f"[{m},{k}];[{k},{n}]", flops=2.0 * m * k * n, bytes=moved, **more)


def then(*works: OperatorWork, fast: str = "bf16", device: Device = H200) -> dict[OperatorWork, Converted]:
    return {one.work: one for one in converted(OperatorFacts(work=works), device, fast)}


def cast_ns(elements: int, share: float = 1.0) -> float:
    """fp32 read and bf16 written, or the other way round."""
    return 6 * elements / (share * BANDWIDTH) * 1e9 + CAST_NS


def test_a_product_runs_at_the_rate_of_bf16_and_its_weight_is_cast_in_every_forward() -> None:
    one = product(8192, 2048, 6144)
    arithmetic = 2 * 8192 * 2048 * 6144 / 795e12 * 1e9
    found = then(one)[one]
    assert found.ns[EXPECTED] == pytest.approx(arithmetic + FILL_NS + cast_ns(2048 * 6144), rel=0.001)
    assert found.casts == 1
    assert found.ns[0] - found.ns[EXPECTED] == pytest.approx((PRODUCT[0] - 1) * arithmetic, rel=0.001)


def test_the_gradient_of_a_weight_is_cast_back_and_that_of_an_activation_is_not() -> None:
    forward = product(4096, 1024, 3072)
    of_weight = product(3072, 4096, 1024, backward=True)
    of_input = product(4096, 3072, 1024, backward=True)
    found = then(forward, of_weight, of_input)
    assert found[of_weight].ns[EXPECTED] - found[of_input].ns[EXPECTED] == pytest.approx(
        cast_ns(1024 * 3072, share=0.53), rel=0.001
    )
    assert (found[of_weight].casts, found[of_input].casts) == (1, 0)


def test_what_pytorch_computes_in_fp32_from_16_bit_operands_stays_under_autocast() -> None:
    one = work("aten::bmm", "[256,1024,64];[256,64,1024]", flops=2.0 * 256 * 1024**2 * 64)
    attention = WrittenAttention(
        ns=1e9, softmax_ns=0.0, flops=1.0, backward_flops=0.0, operand_bytes=0.0, queries=1024, keys=1024, heads=256,
        number_format="bf16", masked=False, calls=1.0, widened=True, work=(one,),
    )  # fmt: skip
    operators = OperatorFacts(work=(one,), attention=attention)
    (stays,) = converted(operators, H200, "bf16")
    assert stays.ns == (one.ns, one.ns, one.ns)
    (faster,) = converted(operators, H200, "tf32")
    assert faster.ns[EXPECTED] < 0.2 * one.ns


def test_tf32_casts_nothing_and_leaves_fused_attention_as_it_is() -> None:
    linear = product(8192, 2048, 6144)
    scores = work("aten::_efficient_attention_forward", "[8,1024,16,128]", kind="attention", flops=1e12)
    found = then(linear, scores, fast="tf32")
    assert scores not in found
    assert found[linear].casts == 0
    assert scores in then(linear, scores, fast="bf16")


@pytest.mark.parametrize(("device", "slower"), [(H200, TF32_BACKWARD), (A100, 1.0)])
def test_hopper_reads_transposed_operands_in_16_bits_only(device: Device, slower: float) -> None:
    forward, backward = product(8192, 4096, 8192), product(8192, 8192, 4096, backward=True)
    found = then(forward, backward, fast="tf32", device=device)
    ratio = (found[backward].ns[EXPECTED] - FILL_NS) / (found[forward].ns[EXPECTED] - FILL_NS)
    assert ratio == pytest.approx(slower, rel=0.001)


def test_gradients_of_convolutions_in_channels_last_read_transposed_operands_too() -> None:
    """Of the peaks TF32 reaches half of what bf16 does, and in these gradients less than that."""
    given: dict[str, Any] = {"kind": "convolution", "flops": 1.4e11, "bytes": 1e8, "kernels": 3.0, "backward": True}
    gradients = work("aten::convolution_backward", "[256,512,8,8];[256,256,16,16];[512,256,4,4]", **given)
    last = work("aten::cudnn_batch_norm", "[256,512,8,8]", kind="normalization", kernel="batchnorm_fwtr_nhwc", ns=1e5)
    tf32, bf16 = (then(gradients, last, fast=one)[gradients] for one in ("tf32", "bf16"))
    fixed = 3 * CONVOLUTION_NS
    ratio = (tf32.ns[EXPECTED] - fixed) / (bf16.ns[EXPECTED] - bf16.cast_ns - fixed)
    assert ratio == pytest.approx(2 * TF32_BACKWARD, rel=0.01)


def test_a_product_with_an_odd_vocabulary_gets_little_of_the_tensor_cores() -> None:
    odd, even = product(8192, 1024, 50257), product(8192, 1024, 50304)
    found = then(odd, even)
    assert found[odd].ns[EXPECTED] > 5 * found[even].ns[EXPECTED]
    assert found[odd].ns[EXPECTED] > 2 * 8192 * 1024 * 50257 / (UNALIGNED * 989e12) * 1e9


def test_no_product_gets_slower() -> None:
    tiny = product(64, 64, 64, ns=3_000.0)
    assert then(tiny, fast="tf32")[tiny].ns == (3_000.0, 3_000.0, 3_000.0)


def test_what_autocast_keeps_in_fp32_takes_as_long_and_is_cast_for() -> None:
    norm = work("aten::native_layer_norm", "[8,1024,2048]", kind="normalization", ns=50_000.0)
    loss = work("aten::_log_softmax", "[8192,32768]", kind="cross_entropy", ns=800_000.0)
    found = then(norm, loss, work("aten::embedding", "[32768,2048]", kind="embedding"))
    assert found[norm].ns[EXPECTED] == pytest.approx(50_000 + cast_ns(8 * 1024 * 2048), rel=0.001)
    assert found[loss].ns[EXPECTED] == pytest.approx(800_000 + cast_ns(8192 * 32768, share=0.53), rel=0.001)


@pytest.mark.parametrize(
    ("operator", "left"), [("aten::mul", 0.5), ("aten::add_", 0.5), ("aten::gelu_backward", 0.7), ("aten::tanh", 0.6)]
)
def test_sums_and_products_take_half_and_what_computes_an_exponential_more(operator: str, left: float) -> None:
    one = work(operator, "[65536,512];[65536,512]", kind="elementwise")
    assert then(one)[one].ns[EXPECTED] == pytest.approx(left * one.ns)


def test_a_residual_stream_that_begins_at_an_embedding_stays_in_fp32() -> None:
    """A block's result in bf16 is then added to it, element by element cast; without an embedding all is halved."""
    add = work("aten::add", "[8,1024,2048];[8,1024,2048];[]", kind="elementwise", ns=46_000.0)
    table = work("aten::embedding", "[32768,2048];[8,1024]", kind="embedding")
    positions = work("aten::add", "[8,1024,2048];[1024,2048]", kind="elementwise")
    assert then(add, table)[add].ns[EXPECTED] == MIXED * 46_000
    assert then(add, positions)[add].ns[EXPECTED] == MIXED * 46_000
    assert then(add)[add].ns[EXPECTED] < 0.7 * 46_000


def test_what_is_in_16_bits_already_or_generated_by_a_compiler_is_left_alone() -> None:
    half = work("aten::gelu", "[8,1024,8192]", kind="elementwise", types="c10::BFloat16")
    compiled = work("aten::gelu", "[8,1024,8192]", kind="elementwise", compiled=True)
    assert not then(half, compiled)


def test_tensor_cores_do_nothing_for_filters_of_single_channels() -> None:
    shapes = "[64,256,28,28];[256,{},7,7]"
    given: dict[str, Any] = {"kind": "convolution", "flops": 1e10, "bytes": 1e8}
    depthwise = work("aten::convolution", shapes.format(1), **given)
    full = work("aten::convolution", shapes.format(256), **given)
    found = then(depthwise, full, fast="tf32")
    assert found[depthwise].ns == (1e9, 1e9, 1e9)
    assert found[full].ns[EXPECTED] < 0.1e9


def norm(channels: int, edge: int, kernel: str) -> OperatorWork:
    return work("aten::cudnn_batch_norm", f"[64,{channels},{edge},{edge}]", kind="normalization", kernel=kernel, ns=1e5)


def test_batch_norms_in_nchw_are_slow_in_bf16_where_channels_are_few() -> None:
    """There each channel is one block of threads; in channels_last they take the whole device."""
    few, many = norm(64, 64, "bn_fw_tr_1C11_kernel_NCHW"), norm(1024, 16, "bn_fw_tr_1C11_kernel_NCHW")
    nchw = then(few, many)
    assert nchw[few].ns[EXPECTED] > 2.5 * nchw[many].ns[EXPECTED]
    last = norm(64, 64, "cudnn::batchnorm_fwtr_nhwc_semiPersist<float>")
    assert then(last)[last].ns[EXPECTED] < 0.3 * nchw[few].ns[EXPECTED]


def test_nothing_is_said_of_a_device_of_unknown_rates() -> None:
    assert not then(product(512, 512, 512), device=Device())
