"""Does a call that is timed alone do what the operator did?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.faster.timed_calls import calls_of, layouts_of, written_call
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.timeline.kernel_times import KernelCall
from tests.analyzers.rules.operators_builder import make_operators, product, work

FORWARD = product(4096, 1024, 3072, 1.0)
TO_INPUT = product(4096, 3072, 1024, 1.0, backward=True)
TO_WEIGHT = product(3072, 4096, 1024, 1.0, backward=True)
HEADS = "[4,512,16,128]"


def call_of(one: OperatorWork, *others: OperatorWork, channels_last: bool = False) -> KernelCall | None:
    found = calls_of(one, layouts_of(make_operators(one, *others), channels_last=channels_last))
    return found[0] if found else None


def convolution(operator: str, dims: str, ms: float = 1.0) -> OperatorWork:
    return work(operator, dims, ms, kind="convolution", number_format="fp32")


@pytest.mark.parametrize(("one", "way"), [(FORWARD, "nt"), (TO_INPUT, "nn"), (TO_WEIGHT, "tn")])
def test_the_operands_of_a_linear_layer_lie_as_autograd_hands_them_over(one: OperatorWork, way: str) -> None:
    """x @ W.t() forward, dy @ W and dy.t() @ x backward."""
    found = call_of(one, FORWARD, TO_INPUT, TO_WEIGHT)
    assert found is not None
    assert found.way == way


def test_a_bias_is_part_of_the_call_and_no_operand() -> None:
    one = work("aten::addmm", "[3072];[4096,1024];[1024,3072];[];[]", 1.0, kind="gemm")
    found = call_of(one)
    assert found == KernelCall(
        kind="product", dims=((4096, 1024), (1024, 3072)), number_format="bf16", way="nt", bias=True
    )


def test_keys_are_transposed_in_scores_and_values_are_not() -> None:
    scores = work("aten::bmm", "[64,2048,128];[64,128,2048]", 1.0, kind="gemm")
    mixed = work("aten::bmm", "[64,2048,2048];[64,2048,128]", 1.0, kind="gemm")
    assert [getattr(call_of(one), "way", None) for one in (scores, mixed)] == ["nt", "nn"]


@pytest.mark.parametrize(
    ("image", "weight", "result", "step"),
    [
        ("[8,3,224,224]", "[64,3,7,7]", "[8,64,112,112]", (2, 3)),
        ("[8,64,56,56]", "[64,64,3,3]", "[8,64,56,56]", (1, 1)),
        ("[8,64,56,56]", "[128,64,3,3]", "[8,128,28,28]", (2, 1)),
        ("[8,64,56,56]", "[256,64,1,1]", "[8,256,56,56]", (1, 0)),
        ("[8,256,56,56]", "[512,256,1,1]", "[8,512,28,28]", (2, 0)),
        ("[8,3,224,224]", "[768,3,16,16]", "[8,768,14,14]", (16, 0)),
        ("[8,96,56,56]", "[96,1,7,7]", "[8,96,56,56]", (1, 3)),
    ],
)
def test_stride_and_padding_follow_from_the_sizes(image: str, weight: str, result: str, step: tuple[int, int]) -> None:
    """The convolutions of ResNet, ViT and ConvNeXt."""
    forward = convolution("aten::convolution", f"{image};{weight};[]")
    backward = convolution("aten::convolution_backward", f"{result};{image};{weight}")
    for one in (forward, backward):
        found = call_of(one, backward)
        assert found is not None
        assert (found.stride[0], found.padding[0]) == step
        assert len(found.dims) == 3
    picture = call_of(backward)
    assert picture is not None
    assert picture.image_gradient is (",3," not in image)


def test_groups_and_layout_of_a_convolution() -> None:
    backward = convolution("aten::convolution_backward", "[8,96,56,56];[8,96,56,56];[96,1,7,7]")
    found = call_of(backward, channels_last=True)
    assert found is not None
    assert (found.groups, found.way) == (96, "nhwc")


def test_a_transposed_convolution_and_one_of_unknown_result_are_not_timed() -> None:
    up = convolution("aten::convolution_backward", "[8,32,112,112];[8,64,56,56];[64,32,2,2]")
    alone = convolution("aten::convolution", "[8,64,56,56];[64,64,3,3];[]")
    assert call_of(up) is None
    assert call_of(alone) is None


def test_attention_without_a_mask_may_be_causal_or_not() -> None:
    one = work("aten::_efficient_attention_forward", f"{HEADS};{HEADS};{HEADS};[]", 1.0, kind="attention")
    found = calls_of(one, layouts_of(make_operators(one), channels_last=False))
    assert [call.causal for call in found] == [True, False]
    assert {call.dims for call in found} == {((4, 16, 512, 128),) * 3}  # heads stand behind the sequence there
    assert {(call.kind, call.way) for call in found} == {("attention", "efficient")}


def test_a_mask_is_part_of_the_call() -> None:
    q = "[4,8,4096,128]"
    text = f"{q};{q};{q};{q};{q};[4,8,4096,1];[];[];[4096,4096]"
    one = work("aten::_scaled_dot_product_cudnn_attention_backward", text, 1.0, kind="attention", backward=True)
    found = calls_of(one, layouts_of(make_operators(one), channels_last=False))
    assert [(call.kind, call.way, call.causal) for call in found] == [("attention_backward", "cudnn", False)]
    assert found[0].dims[3] == (4096, 4096)


@pytest.mark.parametrize(
    "one",
    [
        work("aten::add", "[64,64];[64,64]", 1.0, kind="elementwise"),
        work("aten::_flash_attention_forward", "[4096,16,64];[4096,16,64];[4096,16,64]", 1.0, kind="attention"),
        work("aten::_scaled_dot_product_flash_attention", "[2,8,64,64];[2,2,64,64];[2,2,64,64]", 1.0, kind="attention"),
        product(64, 64, 64, 1.0, compiled=True),
        work("aten::_scaled_mm", "[64,64];[64,64]", 1.0, kind="gemm", number_format="bf16", calls=0.0),
    ],
)
def test_what_cannot_be_called_from_its_shapes_is_not_timed(one: OperatorWork) -> None:
    """Other operators, packed sequences, grouped heads, compiled kernels."""
    assert call_of(one) is None


def test_attention_that_is_written_out_is_one_call_with_the_width_of_its_heads() -> None:
    scores = "[64,2048,2048]"
    operators = make_operators(
        work("aten::bmm", "[64,2048,128];[64,128,2048]", 2.0, kind="gemm", calls=2.0),
        work("aten::_softmax", scores, 3.0, kind="softmax", calls=2.0),
        work("aten::bmm", f"{scores};[64,2048,128]", 2.0, kind="gemm", calls=2.0),
    )
    assert operators.attention is not None
    found = written_call(operators.attention)
    assert found == KernelCall(kind="attention", dims=((1, 64, 2048, 128),) * 3, number_format="bf16", way="written")
