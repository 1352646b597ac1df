"""What does the loss over the vocabulary cost? Operators on the logits, beside the product that makes them.

Logits are told by their last dimension, the vocabulary, and their size. The size alone would not do: scores of
attention have as many numbers where heads times tokens happen to be the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmprof.analyzers.facts.op_bytes import countable, operands_of, result_elements
from llmprof.analyzers.facts.operators import OperatorWork

__all__ = ["LossLayer", "loss_layer"]

_LOSS = ("aten::_log_softmax", "aten::_log_softmax_backward_data")
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
    )


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
