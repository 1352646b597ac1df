"""Is attention written out? Operators that read or write the whole matrix of attention scores.

Attention without a fused kernel multiplies queries and keys into a matrix of scores [.., S, T], masks and normalises
it and multiplies it with the values: every step of that, forward and backward, moves S x T numbers per head through
memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmprof.analyzers.facts.operators.attention_bias import AttentionBias, learned_bias
from llmprof.analyzers.facts.operators.flops import FORMATS
from llmprof.analyzers.facts.operators.matmul_shapes import product_of
from llmprof.analyzers.facts.operators.op_bytes import Operands, countable, operands_of, result_elements
from llmprof.analyzers.facts.operators.operators import OperatorWork

__all__ = ["WrittenAttention", "as_given", "head_widths", "written_attention"]

_SOFTMAX = ("aten::_softmax", "aten::_safe_softmax", "aten::_softmax_backward_data")
_SHORT = {"bf16": "bfloat16", "fp16": "float16"}
_MASKING = ("aten::masked_fill", "aten::masked_fill_", "aten::where", "aten::tril", "aten::triu")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenAttention:
    """Attention in separate kernels, per step."""

    ns: float
    """Device time of every operator that touches a matrix of scores, or lays out an operand of its products."""
    softmax_ns: float
    flops: float
    """Of the matrix products with scores."""
    backward_flops: float
    """The part of them in backward."""
    operand_bytes: float
    """What a fused kernel has to move at least: the operands and results that are no scores."""
    queries: int
    """Length of the query sequence, of the largest such attention."""
    keys: int
    heads: int
    """Batch times heads."""
    number_format: str | None
    """Of the longest product; of its operands where these are widened."""
    masked: bool
    """Whether scores are masked by an operator."""
    causal: bool = False
    """Whether one square mask serves all samples and heads, as a causal one does: it halves the work of a fused
    kernel."""
    calls: float
    """Softmax calls forward."""
    widened: bool = False
    """Whether PyTorch wrote it out itself, in fp32, of 16-bit operands (`as_given`)."""
    work: tuple[OperatorWork, ...] = ()
    """The operators whose kernels take that time; copies: what the driver copied for them within the device."""
    copies: tuple[OperatorWork, ...] = ()
    bias: AttentionBias | None = None
    """Added to the scores, where it needs a gradient; of attention with scores of one size."""
    parts: tuple[WrittenAttention, ...] = ()
    """The same for each size of scores, the longest first; empty where there is one."""


def written_attention(work: Sequence[OperatorWork], copies: Sequence[OperatorWork] = ()) -> WrittenAttention | None:
    """Attention that is written out; None where there is none, or no shapes to see it by.

    copies    what the driver copied within the device: clones of scores are such copies
    """
    scores = _score_shapes(work)
    if not scores:
        return None
    # A compiled region has shapes too, those of all that goes into it: it is no operator on scores.
    some = [one for one in work if countable(one.operator) and one.kind != "attention"]
    found = _attention(work, some, copies, scores)
    if found is None or len(scores) < 2:
        return found
    parts = [_attention(work, some, copies, {one}) for one in scores]
    known = sorted((one for one in parts if one is not None), key=lambda one: -one.ns)
    return replace(found, parts=_apart(known))


def as_given(found: WrittenAttention, autocast: str | None) -> WrittenAttention:
    """Attention that PyTorch wrote out itself, in the number format of its operands.

    autocast    the format in which autocast hands them over (`bfloat16`), where that is known

    Of 16-bit operands it makes fp32 ones (`_scaled_dot_product_attention_math` in native/transformers/attention.cpp);
    a mask keeps its format, which has to be theirs.
    """
    types = {FORMATS.get(name) for one in found.work for name in operands_of(one.shapes or "").types}
    given = next((short for short, name in _SHORT.items() if short in types or name == autocast), None)
    if given is None or found.number_format not in ("fp32", "tf32"):
        return found
    parts = tuple(replace(one, number_format=given, widened=True) for one in found.parts)
    return replace(found, number_format=given, widened=True, parts=parts)


def head_widths(found: WrittenAttention) -> set[int]:
    """Of queries and keys, by the products of its scores forward."""
    products = [product_of(one) for one in found.work if not one.backward]
    scores = (found.queries, found.keys)
    return {product.k for product in products if product is not None and (product.m, product.n) == scores}


def _apart(parts: Sequence[WrittenAttention]) -> tuple[WrittenAttention, ...]:
    """The parts, with each operator (keys laid out for scores of two sizes) in the first that has it."""
    taken: set[object] = set()
    found = []
    for one in parts:
        work = tuple(part for part in one.work if part.key not in taken)
        taken |= {part.key for part in work}
        found.append(replace(one, work=work, ns=sum(part.ns for part in (*work, *one.copies))))
    return tuple(found)


def _attention(
    work: Sequence[OperatorWork],
    some: Sequence[OperatorWork],
    copies: Sequence[OperatorWork],
    scores: set[tuple[int, int, int]],
) -> WrittenAttention | None:
    """Attention with scores of these sizes; None without a product.

    some    the operators that may be on scores
    """
    touching = [one for one in some if _touches(one, scores)]
    products = [one for one in touching if one.flops is not None]
    softmax = [one for one in touching if one.operator in _SOFTMAX]
    if not products:
        return None
    laid = _operand_copies(work, products, scores)
    cloned = [one for one in copies if _touches(one, scores)]
    queries, keys, elements = max(scores, key=lambda one: one[2])
    longest = max(products, key=lambda one: one.ns)
    return WrittenAttention(
        ns=sum(one.ns for one in (*touching, *laid, *cloned)),
        softmax_ns=sum(one.ns for one in softmax),
        flops=sum(one.flops or 0.0 for one in products),
        backward_flops=sum(one.flops or 0.0 for one in products if one.backward and not one.recomputed),
        operand_bytes=sum(_outside(one, scores) for one in products),
        queries=queries,
        keys=keys,
        heads=elements // (queries * keys),
        number_format=longest.number_format,
        masked=any(one.operator in _MASKING for one in touching),
        causal=any(one.operator in _MASKING and _has_square_mask(one, scores) for one in touching),
        calls=sum(one.calls for one in softmax if not one.backward),
        work=(*touching, *laid),
        copies=tuple(cloned),
        bias=learned_bias(touching, (queries, keys, elements)) if len(scores) == 1 else None,
    )


def _score_shapes(work: Sequence[OperatorWork]) -> set[tuple[int, int, int]]:
    """(S, T, elements) of every softmax input that a batched product makes: that of a loss or a router is not."""
    made = {_key(dims) for one in work if one.shapes and (dims := result_elements(one.operator, one.shapes))}
    found: set[tuple[int, int, int]] = set()
    for one in work:
        if one.operator in _SOFTMAX and one.shapes:
            scores = operands_of(one.shapes).dims[:1]
            found |= {_key(dims) for dims in scores if len(dims) >= 3 and _key(dims) in made}
    return found


def _key(dims: Sequence[int]) -> tuple[int, int, int]:
    return (dims[-2], dims[-1], math.prod(dims)) if len(dims) >= 3 else (0, 0, 0)


def _is_score(dims: Sequence[int], scores: set[tuple[int, int, int]]) -> bool:
    rows, columns, elements = _key(dims)
    return elements > 0 and ((rows, columns, elements) in scores or (columns, rows, elements) in scores)


def _touches(one: OperatorWork, scores: set[tuple[int, int, int]]) -> bool:
    text = one.shapes or ""
    shapes = [*operands_of(text).dims, result_elements(one.operator, text) or ()]
    return any(_is_score(dims, scores) for dims in shapes)


def _operand_copies(
    work: Sequence[OperatorWork], products: Sequence[OperatorWork], scores: set[tuple[int, int, int]]
) -> list[OperatorWork]:
    """Copies that lay out queries, keys and values for a batched product; a fused kernel reads them as they lie."""
    inputs = {_key(dims) for one in products for dims in operands_of(one.shapes or "").dims if len(dims) >= 3}
    result = []
    for one in work:
        if one.operator == "aten::copy_" and one.shapes:
            copied = operands_of(one.shapes)
            same = len(copied.types) > 1 and copied.types[0] == copied.types[1]
            if same and _key(copied.dims[0]) in inputs and not _is_score(copied.dims[0], scores):
                result.append(one)
    return result


def _has_square_mask(one: OperatorWork, scores: set[tuple[int, int, int]]) -> bool:
    sizes = {rows for rows, columns, _ in scores if rows == columns}
    masks = [dims for dims in operands_of(one.shapes or "").dims if len(dims) >= 2]
    return any(dims[-2] == dims[-1] and dims[-1] in sizes and math.prod(dims) == dims[-1] ** 2 for dims in masks)


def _outside(one: OperatorWork, scores: set[tuple[int, int, int]]) -> float:
    """Bytes per step of a product's operands and result that are no scores."""
    text = one.shapes or ""
    operands: Operands = operands_of(text)
    result = result_elements(one.operator, text) or ()
    places = [i for i in operands.tensors if not _is_score(operands.dims[i], scores)]
    size = operands.size(places[0]) if places else 2
    moved = sum(operands.bytes(i) for i in places)
    if not _is_score(result, scores):
        moved += math.prod(result) * size
    return float(moved * one.calls)
