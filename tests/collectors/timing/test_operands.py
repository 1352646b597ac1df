"""Does attention that is timed with a learned bias compute that bias's gradient, with the bias as it lies?"""

from __future__ import annotations

import pytest

from llmprof.timeline.kernel_times import KernelCall, call_of_json, to_json

torch = pytest.importorskip("torch", reason="what is timed is computed by PyTorch")

from llmprof.collectors.timing.operands import prepared  # noqa: E402

HEADS = (2, 3, 16, 8)


@pytest.mark.parametrize("stride", [(), (3,)])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("way", ["written", "fused"])
def test_a_bias_that_needs_a_gradient_gets_one(way: str, batch: int, stride: tuple[int, ...]) -> None:
    bias = (batch, 3, 16, 16)
    call = KernelCall(
        kind="attention_both", dims=(HEADS, HEADS, HEADS, bias), number_format="fp32", way=way, bias=True, stride=stride
    )
    assert call_of_json(to_json(call)) == call
    gradients = prepared(call, "cpu")()
    assert [tuple(one.shape) for one in gradients] == [HEADS, HEADS, HEADS, bias]
    assert bool(gradients[3].abs().sum() > 0)


def test_a_mask_without_one_does_not() -> None:
    call = KernelCall(
        kind="attention_both", dims=(HEADS, HEADS, HEADS, (1, 1, 16, 16)), number_format="fp32", way="fused"
    )
    assert len(prepared(call, "cpu")()) == 3
