"""How long do kernels take alone on this GPU, as they are and as a fix would have them? The records and their JSON.

Standard library only: the process that times them runs in the Python of the training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

__all__ = ["FORMATS", "KINDS", "SCHEMA", "KernelCall", "KernelTimes", "call_of_json", "to_json"]

SCHEMA = 1
KINDS: Mapping[str, tuple[str, ...]] = {
    "product": ("nn", "nt", "tn"),
    "convolution": ("nchw", "nhwc"),
    "convolution_backward": ("nchw", "nhwc"),
    "attention": ("fused", "flash", "efficient", "cudnn", "written"),
    "attention_backward": ("fused", "flash", "efficient", "cudnn", "written"),
    "attention_both": ("fused", "flash", "efficient", "cudnn", "written"),
}
"""What can be timed, and the ways in which each can be done."""
FORMATS = ("fp32", "tf32", "bf16", "fp16")
MOST_TENSORS, MOST_DIMENSIONS, MOST_ELEMENTS = 4, 6, 1 << 34

Dims = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCall:
    """One call that can be timed; equal calls take equally long.

    dims    product: both operands, [M, K] and [K, N], with a batch in front; convolution: image, weight, result;
            attention: queries, keys, values, each [batch, heads, length, width], and a mask if there is one
    way     of KINDS: of a product how its operands lie in memory (t: transposed), of a convolution how images do, of
            attention the backend that computes it
    """

    kind: str
    dims: tuple[Dims, ...]
    number_format: str
    way: str
    bias: bool = False
    """Of attention: its mask needs a gradient."""
    causal: bool = False
    groups: int = 1
    stride: Dims = ()
    """Of a convolution; of attention how far apart the numbers of its mask's last dimension lie, where there are heads
    between them."""
    padding: Dims = ()
    image_gradient: bool = True
    """Of the backward of a convolution: the first of a model computes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTimes:
    """What was timed on one GPU; ns of one call."""

    device: str
    torch: str | None = None
    ns: Mapping[KernelCall, float] = field(default_factory=dict)
    failed: Mapping[KernelCall, str] = field(default_factory=dict)
    """Why a call has no time."""


def to_json(call: KernelCall) -> dict[str, Any]:
    """The call as a JSON object, without what is usual."""
    usual = {one.name: one.default for one in fields(KernelCall)}
    return {name: value for name, value in asdict(call).items() if value != usual[name]}


def call_of_json(value: Any) -> KernelCall | None:
    """The call that a JSON object says; None for anything that `to_json` does not write or nobody could time."""
    if not isinstance(value, dict) or set(value) - {one.name for one in fields(KernelCall)}:
        return None
    kind, way, number_format = value.get("kind"), value.get("way"), value.get("number_format")
    dims = value.get("dims")
    if not isinstance(kind, str) or way not in KINDS.get(kind, ()) or number_format not in FORMATS:
        return None
    if not isinstance(dims, Sequence) or isinstance(dims, str) or not 2 <= len(dims) <= MOST_TENSORS:
        return None
    shapes = [_dims(one, least=1) for one in dims]
    stride, padding = _dims(value.get("stride", ()), least=1), _dims(value.get("padding", ()), least=0)
    flags = [value.get("bias", False), value.get("causal", False), value.get("image_gradient", True)]
    groups = value.get("groups", 1)
    known = [one for one in shapes if one]
    if len(known) < len(shapes) or any(math.prod(one) > MOST_ELEMENTS for one in known):
        return None
    if stride is None or padding is None or not all(isinstance(one, bool) for one in flags):
        return None
    if type(groups) is not int or not 0 < groups < MOST_ELEMENTS:
        return None
    return KernelCall(
        kind=kind,
        dims=tuple(known),
        number_format=str(number_format),
        way=str(way),
        bias=flags[0],
        causal=flags[1],
        groups=groups,
        stride=stride,
        padding=padding,
        image_gradient=flags[2],
    )


def _dims(value: Any, *, least: int) -> Dims | None:
    """Sizes, each an integer from `least` on; None for anything else."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MOST_DIMENSIONS:
        return None
    return tuple(value) if all(type(one) is int and least <= one < MOST_ELEMENTS for one in value) else None
