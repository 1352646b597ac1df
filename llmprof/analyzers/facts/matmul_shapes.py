"""Do matrix products have shapes that suit the device? Alignment of their dimensions, and tiles that fill its cores."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from llmprof.analyzers.facts.op_bytes import operands_of, result_elements
from llmprof.analyzers.facts.operators import OperatorWork

__all__ = ["Product", "fills", "misaligned", "odd_dimensions", "product_of", "tile_of"]

ALIGNED = {"bf16": 8, "fp16": 8, "tf32": 4, "fp8": 16}
"""Elements to which every dimension must be a multiple for tensor cores to load 16 bytes at once (NVIDIA's guide to
matrix multiplication performance)."""

_ALIGN = re.compile(r"_align(\d+)\b")
_TILE = re.compile(r"(?:nvjet_(?:sm\d+[af]?_)?[a-z]+_|tilesize|gemm_(?:[a-z0-9]+_)*?)(\d{2,3})x(\d{2,3})(?:x\d+|_)")


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


def tile_of(kernel: str) -> tuple[int, int] | None:
    """Rows and columns of the result that one block of threads computes, from the kernel's name."""
    found = _TILE.search(kernel)
    return None if found is None else (int(found[1]), int(found[2]))


def fills(one: OperatorWork, cores: int) -> float | None:
    """The share of the device's cores that work on average over a product's waves of tiles, 0 to 1.

    None where the tile is not in the name. Which side of the tile lies along the rows is not known: the better fit
    counts. Kernels that split along K keep more cores busy than this says.
    """
    product, tile = product_of(one), tile_of(one.kernel)
    if product is None or tile is None or cores <= 0:
        return None
    tiles = product.batch * min(
        math.ceil(product.m / rows) * math.ceil(product.n / columns) for rows, columns in (tile, tile[::-1])
    )
    return tiles / (math.ceil(tiles / cores) * cores)
