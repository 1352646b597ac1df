"""Is a bias added to the scores of attention that needs a gradient? Then only one fused kernel of PyTorch takes it.

`scaled_dot_product_attention` takes such a bias as its mask. Flash attention takes no mask and cuDNN's none that needs
a gradient, so that the memory-efficient kernel is left, which writes a gradient as large as all scores
(`check_for_attn_mask` and `check_attn_mask_shape` in PyTorch's aten/src/ATen/native/transformers/sdp_utils_cpp.h).
On a GPU no fused kernel takes a mask whose last dimension is not contiguous (`check_last_dim_stride_equals_1_dense`
there): handed over as a look-up leaves it, with the heads innermost, attention is written out by PyTorch, in fp32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmprof.analyzers.facts.operators.op_bytes import operands_of
from llmprof.analyzers.facts.operators.operators import OperatorWork

__all__ = ["AttentionBias", "learned_bias"]

_ADDED = ("aten::add", "aten::add_")
_DIMENSIONS = 4
SECTOR = 32
"""Bytes that the cache hands over at least: what is read with a stride is read with its sector."""

Dims = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionBias:
    """A learned bias of scores; elements, bytes and ns per step."""

    ns: float
    """Time of the additions."""
    bytes: float
    """What bias and gradient move beside a fused kernel's own operands."""
    scattered: bool
    """Whether its last dimension is not contiguous: the additions take as long as reading a sector for every score."""
    scores: Dims
    """[batch, heads, queries, keys] of the largest such scores."""
    dims: Dims
    """Of the bias that is added to these, as many dimensions."""


def learned_bias(touching: Sequence[OperatorWork], scores: Dims) -> AttentionBias | None:
    """The bias of scores with these (queries, keys, elements) that needs a gradient; None where there is none.

    touching    the operators that read or write such scores

    It is added forward, and its gradient is a sum over the scores' own in backward.
    """
    if not any(one.backward and one.operator == "aten::sum" and _is(_first(one), scores) for one in touching):
        return None
    found = [(one, given) for one in touching if (given := _added(one, scores)) is not None]
    if not found:
        return None
    _, (whole, bias, _) = max(found, key=lambda pair: pair[0].ns)
    return AttentionBias(
        ns=sum(one.ns for one, _ in found),
        bytes=sum(_moved(scores[2], *given) * one.calls for one, given in found),
        scattered=any(_strided(one, scores[2]) for one, _ in found),
        scores=_four(whole),
        dims=_four(bias) if len(bias) <= _DIMENSIONS else _four(whole),
    )


def _added(one: OperatorWork, scores: Dims) -> tuple[Dims, Dims, tuple[int, int]] | None:
    """Scores and bias of an addition, and the bytes of an element of each."""
    if one.backward or one.operator not in _ADDED or not one.shapes:
        return None
    operands = operands_of(one.shapes)
    if not {0, 1} <= set(operands.tensors):
        return None
    sizes = (operands.size(0), operands.size(1))
    for whole, bias in ((0, 1), (1, 0)):
        given, other = operands.dims[whole], operands.dims[bias]
        if _is(given, scores) and len(other) >= 2 and tuple(other[-2:]) == scores[:2]:
            return tuple(given), tuple(other), (sizes[whole], sizes[bias])
    return None


def _moved(elements: int, whole: Dims, bias: Dims, sizes: tuple[int, int]) -> float:
    """The kernel writes the gradient in the scores' format, and a sum reads it.

    A bias of its own for each sample is also read twice, and changes its format forward and backward.
    """
    own, size = sizes[1], min(sizes)  # PyTorch's own products are in fp32, whatever they were given
    moved = 2 * size
    if math.prod(bias) == math.prod(whole):
        moved += 2 * size + (2 * (size + own) if own != size else 0)
    return float(elements * moved)


def _strided(one: OperatorWork, elements: int) -> bool:
    """Whether an addition takes longer than a sector for every score, at the bandwidth of good kernels."""
    if not one.bytes or not one.best_ns:
        return False
    return one.ns > elements * one.calls * SECTOR * one.best_ns / one.bytes


def _first(one: OperatorWork) -> Sequence[int]:
    return next(iter(operands_of(one.shapes or "").dims), ())


def _is(dims: Sequence[int], scores: Dims) -> bool:
    return len(dims) >= 3 and (dims[-2], dims[-1], math.prod(dims)) == scores


def _four(dims: Dims) -> Dims:
    """As [batch, heads, queries, keys]: missing dimensions in front are 1, more than these are one."""
    front = dims[:-3]
    return (math.prod(front), *((1,) * (3 - len(dims))), *dims[-3:])
