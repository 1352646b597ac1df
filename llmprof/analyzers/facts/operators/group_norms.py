"""What do group and instance norms between convolutions cost in channels_last? Copies: their kernels read NCHW alone.

Up to PyTorch 2.14 `native_group_norm` makes its input contiguous, returns a contiguous result, and so does its backward
(aten/src/ATen/native/group_norm.cpp; pytorch/pytorch#111824). Kernels for channels_last came with #191945, after the
branch of 2.14 was cut.
Images in channels_last are then copied to NCHW before each norm, and back before the convolution behind it; in backward
input and incoming gradient of the norm, and the image and incoming gradient of the convolution once more. An instance
norm is a batch norm of one image with the channels of all, for which its input is made contiguous and kept
(native/Normalization.cpp): in backward only the incoming gradient is copied to NCHW. Batch norm, pooling, nearest and
bilinear upsampling, cat and pointwise operators keep channels_last, and a layer norm over the channels reads it as it
lies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from llmprof.analyzers.facts.operators.convolutions import (
    BACKWARD_CONVOLUTION,
    FORWARD_CONVOLUTION,
    is_depthwise,
)
from llmprof.analyzers.facts.operators.op_bytes import operands_of
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.facts.operators.saving import Saving

__all__ = ["copies_group_norms", "instance_norms", "norm_copies"]

_GROUP = {"aten::native_group_norm": (1, 1), "aten::native_group_norm_backward": (2, 2)}
_INSTANCE = {
    "aten::native_batch_norm": (1, 1), "aten::cudnn_batch_norm": (1, 1),
    "aten::native_batch_norm_backward": (1, 2), "aten::cudnn_batch_norm_backward": (1, 2),
}  # fmt: skip
"""Of the norm's own tensors to NCHW, and of the convolution's back to channels_last."""
_IMAGE = (4, 5)
"""Dimensions of a batch of images, or of volumes."""
_HALF = 2
"""Bytes of an element as convolutions on tensor cores read it in 16 bits."""
NEW_KERNELS = (2, 15)
"""The first PyTorch whose group norms on CUDA read channels_last."""
SECTOR = 32
"""Bytes that the cache hands over at least: PyTorch copies one layout to the other in the order of what it writes
(ATen source, cuda/Copy.cu and TensorIterator), so that neighbouring threads read from other sectors."""


def copies_group_norms(torch_version: str | None) -> bool:
    """Whether group norms of this PyTorch read NCHW alone; an unknown version is taken to be an older one."""
    found = re.match(r"(\d+)\.(\d+)", torch_version or "")
    return found is None or (int(found[1]), int(found[2])) < NEW_KERNELS


def instance_norms(work: Iterable[OperatorWork]) -> tuple[OperatorWork, ...]:
    """Batch norms of one image where convolutions get several: those of instance norms."""
    some = [(one, operands_of(one.shapes).dims[:1]) for one in work if one.shapes]
    images = [dims[0] for one, dims in some if one.operator == FORWARD_CONVOLUTION and dims and len(dims[0]) in _IMAGE]
    batches = {image[0] for image in images if image[0] > 1}
    norms = [(one, dims[0]) for one, dims in some if one.operator in _INSTANCE and dims and len(dims[0]) in _IMAGE]
    return tuple(one for one, dims in norms if dims[0] == 1 and any(dims[1] % batch == 0 for batch in batches))


def norm_copies(work: Iterable[OperatorWork], conversion_ns: float, *, group_norms: bool = True) -> tuple[Saving, ...]:
    """What comes on top of group and instance norms of images, savings below 0.

    group_norms    whether these copy (`copies_group_norms`)

    At best copies are as fast as the conversions that are there now, and none go back, since nothing tells that a
    convolution stands behind each norm. At worst each element is read with its sector. Between the two, with the copies
    back, is expected.
    """
    some = list(work)
    bandwidth = _bandwidth(some)
    rate = _conversion_rate(some, conversion_ns)
    rate = min(rate, bandwidth) if bandwidth > 0 else rate
    if rate <= 0:
        return ()
    found = []
    group = [one for one in some if group_norms and one.operator in _GROUP]
    for one in (*group, *instance_norms(some)):
        if one.compiled or not one.shapes:
            continue
        operands = operands_of(one.shapes)
        if not operands.dims or len(operands.dims[0]) not in _IMAGE or 0 not in operands.tensors:
            continue
        there, back = (_GROUP | _INSTANCE)[one.operator]
        elements, size = float(one.calls * operands.numel(0)), operands.size(0)
        own = 2 * there * elements * size / rate  # read and written
        both = own + 2 * back * elements * _HALF / rate
        sectors = elements * (there * (SECTOR + size) + back * (SECTOR + _HALF))
        worst = max(both, sectors / bandwidth) if bandwidth > 0 else both
        found.append(Saving(ns=one.ns, low_ns=-worst, expected_ns=-(both + worst) / 2, high_ns=-own, work=(one,)))
    return tuple(found)


def _bandwidth(work: Iterable[OperatorWork]) -> float:
    """Bytes per ns that good kernels move on this device; 0 where unknown."""
    known = [one.bytes / one.best_ns for one in work if one.memory_limited and one.bytes and one.best_ns]
    return max(known, default=0.0)


def _conversion_rate(work: Iterable[OperatorWork], conversion_ns: float) -> float:
    """Bytes per ns of the conversions around convolutions, 0 where unknown.

    Each product of a convolution converts the two tensors that it reads and the one that it writes.
    """
    moved = 0.0
    for one in work:
        if one.kind != "convolution" or not one.bytes or one.number_format not in ("bf16", "fp16"):
            continue
        if is_depthwise(one.operator, one.shapes or ""):
            continue
        if one.operator == FORWARD_CONVOLUTION:
            moved += 2 * one.bytes
        elif one.operator == BACKWARD_CONVOLUTION:  # its bytes have the incoming gradient once, which is read twice
            moved += 2 * (one.bytes + one.calls * _HALF * math.prod(operands_of(one.shapes or "").dims[0]))
    return moved / conversion_ns if conversion_ns > 0 else 0.0
