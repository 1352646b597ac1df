"""What does the loss over the vocabulary cost? Operators on the logits, beside the product that makes them.

Logits are told by their last dimension, the vocabulary, and their size. The size alone would not do: scores of
attention have as many numbers where heads times tokens happen to be the vocabulary.

What an output layer reads may be made for it alone: every pair of a frame and a word, the lattice of a transducer, is
their sum through a tanh. No other product has as many rows then, so that all on tensors of that size is pointwise, and
is compiled with output layer and loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmprof.analyzers.facts.operators.matmul_shapes import product_of
from llmprof.analyzers.facts.operators.op_bytes import (
    broadcast,
    countable,
    largest_elements,
    operands_of,
    result_elements,
)
from llmprof.analyzers.facts.operators.operators import OperatorWork

__all__ = ["LossLayer", "loss_layer"]

_LOSS = ("aten::_log_softmax", "aten::_log_softmax_backward_data")
_FUSED = ("elementwise", "copy", "dropout", "reduction")
VOCABULARY = 1000
"""Fewer classes are no vocabulary: their logits are small beside everything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLayer:
    """The cross-entropy of a language model, per step."""

    ns: float
    """Device time of every operator on a tensor of the size of the logits, matrix products left out."""
    tokens: int
    vocabulary: int
    elements: float
    """Logits per step."""
    element_bytes: int
    """Of one logit as the output layer makes it."""
    passes: float
    """How often the logits are read or written, in units of the logits' own size; None-like 0 when unknown."""
    compiled: bool
    """Whether a compiler fused any of it."""
    logits_bytes: float
    """Of the logits of one call."""
    work: tuple[OperatorWork, ...] = ()
    """The operators whose kernels take that time."""
    before: tuple[OperatorWork, ...] = ()
    """Operators that make what the output layer reads, where it is made for it alone, and those of its gradient."""
    before_bytes: float = 0.0
    """Of what it reads, per step, as it reads it."""


def loss_layer(work: Sequence[OperatorWork]) -> LossLayer | None:
    """The loss over a vocabulary; None where there is none, or no shapes to see it by."""
    forward = [one for one in work if one.operator == _LOSS[0] and one.shapes and not one.recomputed]
    sizes = {dims for one in forward if len(dims := operands_of(one.shapes or "").dims[0]) >= 2}
    sizes = {dims for dims in sizes if dims[-1] >= VOCABULARY}
    if not sizes:
        return None
    logits = {(math.prod(dims), dims[-1]) for dims in sizes}
    largest = max(sizes, key=math.prod)
    touching = [one for one in work if countable(one.operator) and one.kind != "gemm" and _touches(one, logits)]
    size = _logit_bytes(work, logits)
    elements = sum(one.calls * math.prod(operands_of(one.shapes or "").dims[0]) for one in forward)
    moved = sum(one.bytes or 0.0 for one in touching)
    before, read = _before(work, logits)
    return LossLayer(
        ns=sum(one.ns for one in touching),
        tokens=math.prod(largest[:-1]),
        vocabulary=largest[-1],
        elements=elements,
        element_bytes=size,
        passes=moved / (elements * size) if elements else 0.0,
        compiled=any(one.compiled for one in touching),
        logits_bytes=float(math.prod(largest) * size),
        work=tuple(touching),
        before=before,
        before_bytes=read,
    )


def _before(work: Sequence[OperatorWork], logits: set[tuple[int, int]]) -> tuple[tuple[OperatorWork, ...], float]:
    """What makes the input of the output layer, where no other product has as many rows, and the input's bytes."""
    forward = [(one, found) for one in work if not one.backward and (found := product_of(one)) is not None]
    layers = [(one, found) for one, found in forward if (found.batch * found.m * found.n, found.n) in logits]
    rows = {found.batch * found.m for _, found in layers}
    others = {found.batch * found.m for one, found in forward if (one, found) not in layers}
    if not layers or rows & others:
        return (), 0.0
    sizes = {found.batch * found.m * found.k for _, found in layers}
    some = [one for one in work if countable(one.operator) and one.kind in _FUSED and one.shapes and not one.compiled]
    before = tuple(one for one in some if _elements(one) in sizes and not _touches(one, logits))
    read = sum(
        one.calls * found.batch * found.m * found.k * operands_of(one.shapes or "").size(0) for one, found in layers
    )
    return before, float(read)


def _elements(one: OperatorWork) -> int:
    """Of the largest tensor of an operator, its result included."""
    text = one.shapes or ""
    return max(largest_elements(text), broadcast(operands_of(text)) if one.kind == "elementwise" else 0)


def _touches(one: OperatorWork, logits: set[tuple[int, int]]) -> bool:
    flat = {(size, size) for size, _ in logits}
    return any(dims and (math.prod(dims), dims[-1]) in logits | flat for dims in operands_of(one.shapes or "").dims)


def _logit_bytes(work: Sequence[OperatorWork], logits: set[tuple[int, int]]) -> int:
    """Bytes of a logit where a matrix product makes it; 2 when that product was not seen."""
    for one in work:
        dims = result_elements(one.operator, one.shapes) if one.shapes else None
        if dims and (math.prod(dims), dims[-1]) in logits and not one.backward:
            return operands_of(one.shapes or "").size(0)
    return 2
