"""Which call stands for an operator when it is timed alone? From its recorded shapes, and what these leave open.

Shapes tell neither strides nor settings. How operands lie in memory, how a convolution steps over its image and whether
attention is causal is taken as models usually have it; what was taken wrongly shows in a time that is not the recorded
one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmprof.analyzers.facts.operators.convolutions import (
    BACKWARD_CONVOLUTION,
    FORWARD_CONVOLUTION,
    Results,
    results_of,
)
from llmprof.analyzers.facts.operators.matmul_shapes import product_of
from llmprof.analyzers.facts.operators.op_bytes import operands_of, result_elements
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.facts.operators.written_attention import WrittenAttention, head_widths
from llmprof.timeline.kernel_times import FORMATS, KernelCall

__all__ = ["Layouts", "calls_of", "layouts_of", "written_call"]

MOST_CHANNELS_OF_A_PICTURE = 4
"""A convolution that reads no more channels reads the batch itself, which needs no gradient."""
STRIDES = range(1, 9)

_HEADS_FIRST = {f"aten::_scaled_dot_product_{way}_attention": way for way in ("flash", "efficient", "cudnn")}
_HEADS_LAST = {
    "aten::_flash_attention_forward": "flash",
    "aten::_efficient_attention_forward": "efficient",
    "flash_attn::_flash_attn_forward": "flash",
}
_MASK_PLACES: Mapping[str, int] = {
    "aten::_scaled_dot_product_efficient_attention": 3,
    "aten::_scaled_dot_product_cudnn_attention": 3,
    "aten::_efficient_attention_forward": 3,
    "aten::_scaled_dot_product_efficient_attention_backward": 4,
    "aten::_efficient_attention_backward": 4,
    "aten::_scaled_dot_product_cudnn_attention_backward": 8,
}
"""Where in the schemas of PyTorch's operators the mask stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layouts:
    """What tells how the operands of all operators of a rank lie."""

    tokens: frozenset[int]
    """Rows of the forward products."""
    results: Results
    channels_last: bool


def layouts_of(operators: OperatorFacts, *, channels_last: bool) -> Layouts:
    """The layouts of a rank."""
    forward = [found for one in operators.work if not one.backward and (found := product_of(one)) is not None]
    return Layouts(
        tokens=frozenset(one.m for one in forward if one.batch == 1),
        results=results_of((one.operator, one.shapes) for one in operators.work if one.shapes),
        channels_last=channels_last,
    )


def calls_of(one: OperatorWork, layouts: Layouts) -> tuple[KernelCall, ...]:
    """The calls that this operator may be: several where attention may be causal or not; none for what is not timed."""
    if not one.shapes or one.compiled or one.number_format not in FORMATS or one.calls <= 0:
        return ()
    if one.kind == "gemm":
        return _product(one, layouts)
    if one.operator in (FORWARD_CONVOLUTION, BACKWARD_CONVOLUTION):
        return _convolution(one, layouts)
    return _attention(one) if one.kind == "attention" else ()


def written_call(found: WrittenAttention) -> KernelCall | None:
    """Attention that is written out as one call; None where the width of its heads cannot be told.

    A bias whose last dimension is not contiguous is what a look-up leaves, with the heads innermost. Where PyTorch
    widened the operands itself, no call that is written out does the same.
    """
    widths, bias = head_widths(found), found.bias
    if len(widths) != 1 or found.number_format not in FORMATS or found.widened:
        return None
    (width,) = widths
    front = (1, found.heads) if bias is None else bias.scores[:2]
    query, key = (*front, found.queries, width), (*front, found.keys, width)
    return KernelCall(
        kind="attention_both" if found.backward_flops > 0 else "attention",
        dims=(query, key, key) if bias is None else (query, key, key, bias.dims),
        number_format=found.number_format,
        way="written",
        bias=bias is not None,
        stride=(bias.dims[1],) if bias is not None and bias.scattered else (),
        causal=found.causal,
    )


def _product(one: OperatorWork, layouts: Layouts) -> tuple[KernelCall, ...]:
    """A linear layer reads its weight transposed; the gradient of the weight reads the incoming gradient so."""
    text = one.shapes or ""
    result, product = result_elements(one.operator, text), product_of(one)
    if result is None or product is None or len(result) not in (2, 3):
        return ()
    first = 1 if one.operator in ("aten::addmm", "aten::baddbmm") else 0
    left, right = operands_of(text).dims[first : first + 2]
    if len(left) != len(result) or len(right) != len(result) or left[-1] != right[-2]:
        return ()
    if one.backward:
        way = "tn" if len(result) == 2 and product.k in layouts.tokens and product.m not in layouts.tokens else "nn"
    else:
        way = "nt" if len(result) == 2 or product.n > product.k else "nn"
    bias = one.operator == "aten::addmm" and len(operands_of(text).dims[0]) == 1
    return (KernelCall(kind="product", dims=(left, right), number_format=one.number_format or "", way=way, bias=bias),)


def _convolution(one: OperatorWork, layouts: Layouts) -> tuple[KernelCall, ...]:
    dims = operands_of(one.shapes or "").dims
    if one.operator == BACKWARD_CONVOLUTION:
        if len(dims) < 3:
            return ()
        image, weight, result = dims[1], dims[2], dims[0]
    else:
        if len(dims) < 2 or (dims[0], dims[1]) not in layouts.results:
            return ()
        image, weight, result = dims[0], dims[1], layouts.results[dims[0], dims[1]]
    if not len(image) == len(weight) == len(result) or len(image) < 3 or not weight[1]:
        return ()
    if result[1] != weight[0] or image[1] % weight[1]:
        return ()  # a transposed convolution
    steps = [_step(*sizes) for sizes in zip(image[2:], weight[2:], result[2:], strict=True)]
    known = [step for step in steps if step is not None]
    if len(known) < len(steps):
        return ()
    return (
        KernelCall(
            kind="convolution" if one.operator == FORWARD_CONVOLUTION else "convolution_backward",
            dims=(image, weight, result),
            number_format=one.number_format or "",
            way="nhwc" if layouts.channels_last else "nchw",
            bias=one.operator == FORWARD_CONVOLUTION and len(dims) > 2 and len(dims[2]) == 1,
            groups=image[1] // weight[1],
            stride=tuple(stride for stride, _ in known),
            padding=tuple(padding for _, padding in known),
            image_gradient=image[1] > MOST_CHANNELS_OF_A_PICTURE,
        ),
    )


def _step(image: int, kernel: int, result: int) -> tuple[int, int] | None:
    """(stride, padding) along one dimension, the usual ones first; None where no small ones fit."""
    if image == kernel * result:
        return kernel, 0
    for padding in dict.fromkeys(((kernel - 1) // 2, 0, *range(kernel))):
        for stride in STRIDES:
            if image + 2 * padding >= kernel and (image + 2 * padding - kernel) // stride + 1 == result:
                return stride, padding
    return None


def _attention(one: OperatorWork) -> tuple[KernelCall, ...]:
    backward = one.operator.endswith("_backward")
    forward = one.operator.removesuffix("_backward")
    way = _HEADS_FIRST.get(forward) or _HEADS_LAST.get(forward if not backward else f"{forward}_forward")
    dims = operands_of(one.shapes or "").dims
    inputs = dims[backward : backward + 3]
    if way is None or len(inputs) < 3 or any(len(sizes) != 4 for sizes in inputs):
        return ()
    if forward not in _HEADS_FIRST:
        inputs = tuple((batch, heads, length, width) for batch, length, heads, width in inputs)
    if len({sizes[:2] for sizes in inputs}) != 1:
        return ()
    place = _MASK_PLACES.get(one.operator)
    mask = dims[place] if place is not None and place < len(dims) else ()
    masked = len(mask) >= 2
    return tuple(
        KernelCall(
            kind="attention_backward" if backward else "attention",
            dims=(*inputs, mask) if masked else inputs,
            number_format=one.number_format or "",
            way=way,
            causal=causal,
        )
        for causal in ((False,) if masked else (True, False))
    )
