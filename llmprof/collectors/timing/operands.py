"""What does a call that is to be timed do? Its operands, laid out as in training, and the function of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from llmprof.timeline.kernel_times import KernelCall

__all__ = ["bytes_of", "prepared"]

_WIDTH = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2}
_BACKENDS = {"flash": "FLASH_ATTENTION", "efficient": "EFFICIENT_ATTENTION", "cudnn": "CUDNN_ATTENTION"}
_RESULTS = 3
"""Gradients and results beside the operands of attention and of the backward of a convolution, at most as large."""

Work = Callable[[], Any]


def bytes_of(call: KernelCall) -> int:
    """About what the operands and results of one call take."""
    elements = sum(math.prod(one) for one in call.dims)
    if call.kind == "product":
        left, right = call.dims[:2]
        elements += math.prod(left[:-1]) * right[-1]
    elif call.kind.startswith("attention"):
        query, key = call.dims[:2]
        elements *= 1 + _RESULTS
        if call.way == "written":  # scores in fp32, masked, normalised, and their gradients
            elements += 8 * math.prod(query[:3]) * key[2]
        elif call.bias:  # its gradient, for every sample before these are summed
            elements += 2 * math.prod(query[:3]) * key[2]
    elif call.kind == "convolution_backward":
        elements *= _RESULTS
    return elements * _WIDTH[call.number_format]


def prepared(call: KernelCall, device: str) -> Work:
    """Allocate one set of operands on a torch device; the function does the call once.

    Raises what torch raises, when something does not fit or there is no kernel.
    """
    import torch

    tensor = torch.bfloat16 if call.number_format == "bf16" else torch.float16
    options = {"device": device, "dtype": torch.float32 if _WIDTH[call.number_format] == 4 else tensor}
    if call.kind == "product":
        return _product(call, options)
    if call.kind.startswith("convolution"):
        return _convolution(call, options)
    return _attention(call, options)


def _product(call: KernelCall, options: Mapping[str, Any]) -> Work:
    import torch

    left, right = (
        _matrix(dims, transposed=sign == "t", options=options) for dims, sign in zip(call.dims, call.way, strict=False)
    )
    if left.dim() > 2:
        return lambda: torch.bmm(left, right)
    if call.bias:
        bias = torch.randn(right.shape[-1], **options)
        return lambda: torch.addmm(bias, left, right)
    return lambda: torch.mm(left, right)


def _matrix(dims: tuple[int, ...], *, transposed: bool, options: Mapping[str, Any]) -> Any:
    import torch

    if not transposed:
        return torch.randn(dims, **options)
    return torch.randn((*dims[:-2], dims[-1], dims[-2]), **options).transpose(-1, -2)


def _convolution(call: KernelCall, options: Mapping[str, Any]) -> Work:
    import torch

    image, weight = (_image(dims, call.way, options) for dims in call.dims[:2])
    around = len(call.dims[0]) - 2
    usual = [list(call.stride or (1,) * around), list(call.padding or (0,) * around), [1] * around, False]
    usual += [[0] * around, call.groups]
    if call.kind == "convolution":
        bias = torch.randn(call.dims[1][0], **options) if call.bias else None
        done = torch.ops.aten.convolution(image, weight, bias, *usual)
        if tuple(done.shape) != call.dims[2]:
            raise ValueError(f"the result has the shape {list(done.shape)}")
        return lambda: torch.ops.aten.convolution(image, weight, bias, *usual)
    wanted, gradient = [call.image_gradient, True, False], _image(call.dims[2], call.way, options)
    return lambda: torch.ops.aten.convolution_backward(gradient, image, weight, None, *usual, wanted)


def _image(dims: tuple[int, ...], way: str, options: Mapping[str, Any]) -> Any:
    import torch

    found = torch.randn(dims, **options)
    if way == "nhwc" and len(dims) in (4, 5):
        last = torch.channels_last if len(dims) == 4 else torch.channels_last_3d
        return found.contiguous(memory_format=last)
    return found


def _attention(call: KernelCall, options: Mapping[str, Any]) -> Work:
    import torch

    inputs = [_heads(dims, options) for dims in call.dims[:3]]
    mask = None
    if len(call.dims) > 3:
        mask = _mask(call, options)
        inputs += [mask] if call.bias else []
    compute = _written(call, inputs[:3], mask) if call.way == "written" else _fused(call, inputs[:3], mask)
    if call.kind == "attention":
        return compute
    if call.kind == "attention_both":
        sample = torch.randn_like(compute())
        return lambda: torch.autograd.grad(compute(), inputs, sample)
    result = compute()
    gradient = torch.randn_like(result)
    return lambda: torch.autograd.grad(result, inputs, gradient, retain_graph=True)


def _mask(call: KernelCall, options: Mapping[str, Any]) -> Any:
    """One that sequences and heads share, as a rule; one that needs a gradient with all its numbers."""
    import torch

    if not call.bias:
        return torch.zeros(call.dims[3][-2:], **options).expand(call.dims[3])
    if not call.stride:
        return torch.zeros(call.dims[3], **options).requires_grad_()
    batch, heads, queries, keys = call.dims[3]
    return torch.zeros((batch, queries, keys, heads), **options).permute(0, 3, 1, 2).requires_grad_()


def _heads(dims: tuple[int, ...], options: Mapping[str, Any]) -> Any:
    """[batch, heads, length, width] as a projection leaves it: the heads of a token side by side."""
    import torch

    batch, heads, length, width = dims
    return torch.randn((batch, length, heads, width), **options).requires_grad_().transpose(1, 2)


def _fused(call: KernelCall, inputs: list[Any], mask: Any) -> Work:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    query, key, value = inputs
    attend = torch.nn.functional.scaled_dot_product_attention
    if call.way not in _BACKENDS:
        return lambda: attend(query, key, value, attn_mask=mask, is_causal=call.causal)
    backend = getattr(SDPBackend, _BACKENDS[call.way])

    def attended() -> Any:
        with sdpa_kernel(backend):
            return attend(query, key, value, attn_mask=mask, is_causal=call.causal)

    return attended


def _written(call: KernelCall, inputs: list[Any], mask: Any) -> Work:
    """Scores, mask, softmax in fp32 as under autocast, and the product with the values."""
    import torch

    query, key, value = inputs
    scale = query.shape[-1] ** -0.5
    hidden = None
    if call.causal:
        shape = (query.shape[2], key.shape[2])
        hidden = torch.ones(shape, dtype=torch.bool, device=query.device).triu(1)

    def attended() -> Any:
        scores = query @ key.transpose(-1, -2) * scale
        if hidden is not None:
            scores = scores.masked_fill(hidden, float("-inf"))
        if mask is not None:
            scores = scores + mask
        return scores.softmax(-1, dtype=torch.float32).to(value.dtype) @ value

    return attended
