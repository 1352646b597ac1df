"""Are norms written out? Operators that scale a tensor by a statistic of its last dimension.

A norm in separate operators squares or centres its input, takes the mean over the last dimension, and multiplies by the
reciprocal root of it: a tensor [.., 1] that goes into an operation with one of [.., width].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmprof.analyzers.facts.op_bytes import Operands, operands_of
from llmprof.analyzers.facts.operators import OperatorWork

__all__ = ["WrittenNorm", "written_norm"]

_STATISTICS = ("aten::pow", "aten::mean", "aten::square", "aten::var", "aten::sum")
_ROOTS = ("aten::rsqrt", "aten::sqrt")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenNorm:
    """Norms in separate kernels, per step."""

    ns: float
    """Device time of the operators that only a norm has; scaling by a weight and casts are left out."""
    calls: float
    """Norms forward."""
    forward_bytes: float
    """Of their inputs, in the smallest type in which they were seen."""
    backward: bool
    """Whether the step has their backward."""
    width: int
    work: tuple[OperatorWork, ...] = ()
    """The operators whose kernels take that time."""


def written_norm(work: Sequence[OperatorWork]) -> WrittenNorm | None:
    """Norms that are written out; None where there are none, or no shapes to see them by."""
    shaped = [(one, operands_of(one.shapes)) for one in work if one.shapes and not one.compiled]
    roots = [(one, operands) for one, operands in shaped if one.operator in _ROOTS and _is_statistic(operands.dims[0])]
    rows = {operands.dims[0][:-1] for _, operands in roots}
    inputs = {dims for one, operands in shaped for dims in _scaled(one, operands) if dims[:-1] in rows}
    if not inputs:
        return None
    parts = [one for one, operands in shaped if _belongs(one, operands, inputs)]
    forward = [(one, operands) for one, operands in roots if not one.backward]
    sizes = {
        dims: min(operands.size(i) for _, operands in shaped for i in operands.tensors if operands.dims[i] == dims)
        for dims in inputs
    }
    by_rows = {dims[:-1]: math.prod(dims) * sizes[dims] for dims in inputs}
    return WrittenNorm(
        ns=sum(one.ns for one in parts),
        calls=sum(one.calls for one, _ in forward),
        forward_bytes=sum(one.calls * by_rows.get(operands.dims[0][:-1], 0) for one, operands in forward),
        backward=any(one.backward and not one.recomputed for one in parts),
        width=max(inputs, key=math.prod)[-1],
        work=tuple(parts),
    )


def _is_statistic(dims: tuple[int, ...]) -> bool:
    return len(dims) >= 2 and dims[-1] == 1 and math.prod(dims) > 1


def _scaled(one: OperatorWork, operands: Operands) -> list[tuple[int, ...]]:
    """The tensors that an operator combines with a statistic of their last dimension."""
    if one.operator not in ("aten::mul", "aten::div"):
        return []
    dims = [operands.dims[i] for i in operands.tensors]
    statistics = {one[:-1] for one in dims if _is_statistic(one)}
    return [one for one in dims if one[-1] > 1 and one[:-1] in statistics]


def _belongs(one: OperatorWork, operands: Operands, inputs: set[tuple[int, ...]]) -> bool:
    if any(dims in inputs for dims in _scaled(one, operands)):
        return True
    return one.operator in _STATISTICS and bool(operands.dims) and operands.dims[0] in inputs
