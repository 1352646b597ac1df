"""Do matrix products have shapes that suit the device? Alignment of their dimensions."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from llmprof.analyzers.facts.operators.op_bytes import operands_of, result_elements
from llmprof.analyzers.facts.operators.operators import OperatorWork

__all__ = ["Product", "misaligned", "odd_dimensions", "product_of"]

ALIGNED = {"bf16": 8, "fp16": 8, "tf32": 4, "fp8": 16}
"""Elements to which every dimension must be a multiple for tensor cores to load 16 bytes at once (NVIDIA's guide to
matrix multiplication performance)."""

_ALIGN = re.compile(r"_align(\d+)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A matrix product [M, K] x [K, N], `batch` times."""

    batch: int
    m: int
    n: int
    k: int


def product_of(one: OperatorWork) -> Product | None:
    """The dimensions of a product; None for any other operator, or without shapes."""
    dims = result_elements(one.operator, one.shapes) if one.shapes else None
    if dims is None:
        return None
    operands = operands_of(one.shapes or "").dims
    first = 1 if one.operator in ("aten::addmm", "aten::baddbmm") else 0
    return Product(batch=math.prod(dims[:-2]), m=dims[-2], n=dims[-1], k=operands[first][-1])


def misaligned(work: Sequence[OperatorWork]) -> tuple[OperatorWork, ...]:
    """The products whose dimensions are not aligned, longest first.

    A kernel that says `alignN` in its name was chosen for what its operands allow, so its word counts. Else the
    dimensions along which operands lie in memory have to be aligned: N and K forward; backward N, and M or K unless
    that is the number of tokens, over which no operand of a linear layer lies in a row. Dimensions of 1 (a product with
    a vector) cannot be aligned and are no reason.
    """
    products = [one for one in work if one.kind == "gemm"]
    forward = [found for one in products if not one.backward and (found := product_of(one)) is not None]
    tokens = {found.m for found in forward}
    return tuple(one for one in products if _is_aligned(one, tokens) is False)


def odd_dimensions(one: OperatorWork, tokens: Collection[int] = ()) -> tuple[int, ...]:
    """The dimensions of a product that are not aligned for its format; `tokens` are dimensions that do not matter."""
    needed, product = ALIGNED.get(one.number_format or ""), product_of(one)
    if needed is None or product is None:
        return ()
    sides = {product.n, product.m if one.backward else product.k, product.k}
    return tuple(sorted(size for size in sides if size > 1 and size % needed and size not in tokens))


def _is_aligned(one: OperatorWork, tokens: Collection[int]) -> bool | None:
    needed = ALIGNED.get(one.number_format or "")
    if needed is None or product_of(one) is None:
        return None
    named = _ALIGN.search(one.kernel)
    if named is not None:
        return int(named[1]) >= needed
    return not odd_dimensions(one, tokens if one.backward else ())
