"""Which tables get so many gradients on so few rows that atomic additions to them wait for each other?

The gradient of an embedding is sorted by rows and summed in PyTorch's own kernels. A compiler adds every look-up's
gradient to its row with an atomic addition instead (PyTorch source, torch/_decomp/decompositions.py,
`embedding_dense_backward`, and torch/_inductor/lowering.py, `index_put_impl_`), and additions to one place take turns.
That is no matter with a vocabulary, and it is with a small table that every pair of tokens looks into, such as learned
distances in attention: compiled, a gradient that adds to one row was recorded to take 52 times as long
(pytorch/pytorch issue 137425).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmprof.analyzers.facts.operators.op_bytes import operands_of
from llmprof.analyzers.facts.operators.operators import OperatorWork

__all__ = ["ContendedTable", "contended_tables"]

ADDITIONS_PER_NS = 0.8
"""To one sector of 32 bytes: a compiled scatter made 10 million additions to 100 neighbouring numbers in 0.96 ms on a
GH200 (openxla/xla issue 26371)."""
SECTOR, LINE = 8, 32
"""Numbers in fp32 of a sector of the cache and of a line, whose sectors take turns at worst."""
LEAST_LOOKUPS = 1000
"""With fewer look-ups for each row no row gets enough to matter (an assumption)."""

_LOOKUP, _GRADIENT = "aten::embedding", "aten::embedding_dense_backward"

Dims = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContendedTable:
    """The gradient of one table; ns per step."""

    work: OperatorWork
    """The operator that sums it now, of this and other tables with as many look-ups."""
    rows: int
    lookups: int
    """Of one call."""
    best_ns: float
    """What atomic additions take when all rows get as many."""
    expected_ns: float
    worst_ns: float
    """When one row gets all, and the sectors of a line take turns."""


def contended_tables(work: Sequence[OperatorWork]) -> tuple[ContendedTable, ...]:
    """The tables whose gradients a compiler would add up on few rows; none where they are summed by a compiler."""
    tables = {given: one for one in work if (given := _lookup(one)) is not None}
    found = []
    for one in work:
        gradient = _gradient(one)
        same = [rows for rows, *given in tables if rows > 0 and tuple(given) == gradient]
        if gradient is None or not same:
            continue
        (indices, width), rows = gradient, min(same)
        lookups = math.prod(indices)
        if lookups >= LEAST_LOOKUPS * rows:
            found.append(_table(one, rows, indices, width))
    return tuple(found)


def _table(one: OperatorWork, rows: int, indices: Dims, width: int) -> ContendedTable:
    lookups = math.prod(indices)
    additions = one.calls * lookups / ADDITIONS_PER_NS
    even = additions * min(width, SECTOR) / rows
    hot = additions * min(width, SECTOR) * _hottest(rows, indices)
    return ContendedTable(
        work=one,
        rows=rows,
        lookups=lookups,
        best_ns=even,
        expected_ns=max(even, hot),
        worst_ns=additions * min(width, LINE),
    )


def _hottest(rows: int, indices: Dims) -> float:
    """The share of the look-ups that the row with most of them gets, as expected.

    A look-up for every pair of n tokens in a table of fewer rows is one of distances, of which the farthest share a
    row: (1 - rows / n)^2 of all pairs are that far apart.
    """
    if len(indices) >= 2 and indices[-1] == indices[-2] > rows:
        return (1 - rows / indices[-1]) ** 2
    return 1 / rows


def _lookup(one: OperatorWork) -> tuple[int, Dims, int] | None:
    """(rows, indices, width) of a look-up that has a gradient."""
    if one.operator != _LOOKUP or one.compiled:
        return None
    dims = operands_of(one.shapes or "").dims[:2]
    if len(dims) < 2 or len(dims[0]) != 2:
        return None
    return dims[0][0], dims[1], dims[0][1]


def _gradient(one: OperatorWork) -> tuple[Dims, int] | None:
    """(indices, width) of a table's gradient."""
    if one.operator != _GRADIENT or one.compiled:
        return None
    dims = operands_of(one.shapes or "").dims[:2]
    if len(dims) < 2 or len(dims[0]) != len(dims[1]) + 1:
        return None
    return dims[1], dims[0][-1]
