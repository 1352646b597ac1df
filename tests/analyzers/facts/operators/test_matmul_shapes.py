"""Which products are misaligned?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.operators.matmul_shapes import misaligned, product_of
from llmprof.analyzers.facts.operators.operators import OperatorWork


def product(dims: str, *, number_format: str = "bf16", kernel: str = "nvjet", backward: bool = False) -> OperatorWork:
    return OperatorWork(
        operator="aten::mm" if dims.count(",") == 2 else "aten::bmm", kind="gemm", ns=1.0, calls=1, kernels=1,
        shapes=f"{dims}|c10::BFloat16;c10::BFloat16", number_format=number_format, kernel=kernel, backward=backward,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("dims", "number_format", "kernel", "odd"),
    [
        ("[16384,1024];[1024,50257]", "bf16", "nvjet", True),
        ("[16384,1024];[1024,50304]", "bf16", "nvjet", False),
        ("[16384,1024];[1024,50260]", "bf16", "nvjet", True),
        ("[16384,1024];[1024,50260]", "tf32", "sm90_xmma_gemm_f32f32_tf32f32", False),  # 4 fp32 are 16 bytes
        ("[16384,1024];[1024,50264]", "fp8", "nvjet", True),
        ("[16384,1024];[1024,50257]", "fp32", "simt_sgemm", False),
        ("[16384,1024];[1024,50304]", "bf16", "cutlass_80_tensorop_bf16_s16816gemm_tn_align2", True),
        ("[16384,1024];[1024,50304]", "bf16", "cutlass_80_tensorop_bf16_s16816gemm_tn_align8", False),
        ("[1,1024];[1024,1]", "bf16", "nvjet", False),
        ("[16,5185,64];[16,64,5185]", "bf16", "nvjet", True),
    ],
)
def test_alignment(dims: str, number_format: str, kernel: str, odd: bool) -> None:
    one = product(dims, number_format=number_format, kernel=kernel)
    assert misaligned([one]) == ((one,) if odd else ())


def test_the_gradient_of_an_odd_weight_is_misaligned() -> None:
    """dW of a vocabulary of 50257 is [50257, tokens] x [tokens, 1024]: the odd dimension is its number of rows."""
    forward = product("[16384,1024];[1024,50257]")
    weights = product("[50257,16384];[16384,1024]", backward=True)
    inputs = product("[16384,50257];[50257,1024]", backward=True)
    assert misaligned([forward, weights, inputs]) == (forward, weights, inputs)


def test_a_product_needs_two_operands() -> None:
    assert product_of(product("[128,64]")) is None
