"""Are norms written out? Operators that scale a tensor by a statistic of its last dimension.

A norm in separate operators squares or centres its input, takes the mean over the last dimension, and multiplies by the
reciprocal root of it: a tensor [.., 1] that goes into an operation with one of [.., width]. What else belongs to it
looks like the rest of the model: the weight, casts, and backward the products that autograd forms of whole tensors.
Their number follows from the number of norms and the rules of differentiation; of operators with the same inputs, so
many calls are taken to be those of norms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from llmprof.analyzers.facts.operators.op_bytes import SIZES, Operands, operands_of
from llmprof.analyzers.facts.operators.operators import OperatorWork

__all__ = ["WrittenNorm", "written_norm"]

_STATISTICS = ("aten::pow", "aten::mean", "aten::square", "aten::var", "aten::sum")
_ROOTS = ("aten::rsqrt", "aten::sqrt")

Dims = tuple[int, ...]
Shaped = Sequence[tuple[OperatorWork, Operands]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenNorm:
    """Norms in separate kernels, per step."""

    ns: float
    """Device time of their operators, of those that other work shares the part that is theirs."""
    calls: float
    """Norms forward."""
    forward_bytes: float
    """Of their inputs, those that are computed again in backward too."""
    backward_bytes: float
    """Of their inputs where the step has their backward, else 0."""
    width: int
    work: tuple[OperatorWork, ...] = ()
    """The operators that only a norm has."""
    shared: tuple[tuple[OperatorWork, float], ...] = ()
    """Operators like others of the model, each with the share of its calls that are of norms."""

    @property
    def backward(self) -> bool:
        """Whether the step has their backward."""
        return self.backward_bytes > 0


def written_norm(work: Sequence[OperatorWork]) -> WrittenNorm | None:
    """Norms that are written out; None where there are none, or no shapes to see them by."""
    shaped = [(one, operands_of(one.shapes)) for one in work if one.shapes and not one.compiled]
    roots = [(one, operands) for one, operands in shaped if one.operator in _ROOTS and _is_statistic(operands.dims[0])]
    rows = {operands.dims[0][:-1] for _, operands in roots}
    inputs: dict[Dims, str] = {}
    for one, operands in shaped:
        for dims, kind in _scaled(one, operands):
            if dims[:-1] in rows and SIZES[kind] <= SIZES[inputs.get(dims, kind)]:
                inputs[dims] = kind
    if not inputs:
        return None
    parts = [one for one, operands in shaped if _belongs(one, operands, inputs)]
    again = {dims: _calls(roots, dims) for dims in inputs}
    first = {dims: _calls([one for one in roots if not one[0].backward], dims) for dims in inputs}
    backward = any(one.backward and not one.recomputed for one in parts)
    casts = {dims: _casts(shaped, dims, inputs[dims], again[dims]) for dims in inputs}
    shared = tuple(
        found
        for dims, kind in inputs.items()
        for found in _shared(shaped, dims, (kind, casts[dims]), again[dims], first[dims] if backward else 0.0)
    )
    sizes = {dims: math.prod(dims) * _size(inputs[dims], casts[dims]) for dims in inputs}
    return WrittenNorm(
        ns=sum(one.ns for one in parts) + sum(share * one.ns for one, share in shared),
        calls=sum(one.calls for one, _ in roots if not one.backward),
        forward_bytes=sum(again[dims] * sizes[dims] for dims in inputs),
        backward_bytes=sum(first[dims] * sizes[dims] for dims in inputs) if backward else 0.0,
        width=max(inputs, key=math.prod)[-1],
        work=tuple(parts),
        shared=shared,
    )


def _is_statistic(dims: Dims) -> bool:
    return len(dims) >= 2 and dims[-1] == 1 and math.prod(dims) > 1


def _scaled(one: OperatorWork, operands: Operands) -> list[tuple[Dims, str]]:
    """The tensors that an operator combines with a statistic of their last dimension, with their types."""
    if one.operator not in ("aten::mul", "aten::div"):
        return []
    tensors = [(operands.dims[i], operands.types[i]) for i in operands.tensors]
    statistics = {dims[:-1] for dims, _ in tensors if _is_statistic(dims)}
    return [(dims, kind) for dims, kind in tensors if dims[-1] > 1 and dims[:-1] in statistics]


def _belongs(one: OperatorWork, operands: Operands, inputs: Mapping[Dims, str]) -> bool:
    if any(dims in inputs for dims, _ in _scaled(one, operands)):
        return True
    return one.operator in _STATISTICS and bool(operands.dims) and operands.dims[0] in inputs


def _calls(roots: Shaped, dims: Dims) -> float:
    return sum(one.calls for one, operands in roots if operands.dims[0][:-1] == dims[:-1])


def _role(one: OperatorWork, operands: Operands, dims: Dims) -> tuple[str, tuple[str, ...]] | None:
    """What an operator on whole tensors of these dimensions may do in a norm, with the types of its tensors."""
    tensors = [operands.dims[i] for i in operands.tensors]
    types = tuple(operands.types[i] for i in operands.tensors)
    name = one.operator.removeprefix("aten::").rstrip("_")
    if not tensors or dims not in tensors or name not in ("mul", "div", "add", "copy"):
        return None
    if len(tensors) == 1:
        return (name + " by a number", types) if name != "copy" else None
    if all(other == dims for other in tensors):
        return name, types
    return ("weight", types) if name == "mul" and (dims[-1],) in tensors else None


def _casts(shaped: Shaped, dims: Dims, kind: str, norms: float) -> tuple[str, float]:
    """The narrower type from which inputs are cast before the norm, and the share of norms for which they are."""
    found: dict[str, float] = {}
    for one, operands in shaped:
        role = None if one.backward and not one.recomputed else _role(one, operands, dims)
        if role is not None and role[0] == "copy" and role[1][0] == kind and SIZES[role[1][1]] < SIZES[kind]:
            found[role[1][1]] = found.get(role[1][1], 0.0) + one.calls
    if not found or norms <= 0:
        return kind, 0.0
    narrow = max(found, key=lambda name: found[name])
    return narrow, min(1.0, found[narrow] / norms)


def _size(kind: str, cast: tuple[str, float]) -> float:
    narrow, share = cast
    return share * SIZES[narrow] + (1 - share) * SIZES[kind]


def _shared(
    shaped: Shaped, dims: Dims, types: tuple[str, tuple[str, float]], forward: float, backward: float
) -> Iterator[tuple[OperatorWork, float]]:
    """Operators that norms share with other work, each with the share of its calls that are norms'.

    Differentiating w * x * rsqrt(mean(x ** 2)) by the rules of autograd takes a product of whole tensors for the
    weight, one for the reciprocal root and one for the square; a division for the mean and a factor for the square;
    and one sum of the two gradients of x.
    """
    kind, (narrow, cast) = types
    groups: dict[tuple[str, bool], list[OperatorWork]] = {}
    for one, operands in shaped:
        role = _role(one, operands, dims)
        if role is None:
            continue
        name, used = role
        if name == "copy":
            name = "widened" if used == (kind, narrow) else "narrowed" if used == (narrow, kind) else ""
        elif name != "weight" and not set(used) <= {kind, narrow}:
            continue
        groups.setdefault((name, one.backward and not one.recomputed), []).append(one)
    weights = sum(one.calls for one in groups.get(("weight", False), ()))
    weighted = min(1.0, weights / forward) if forward > 0 else 0.0
    squared = any(one.operator == "aten::pow" and operands.dims[0] == dims for one, operands in shaped)
    expected = {
        ("weight", False): forward,
        ("widened", False): cast * forward,
        ("narrowed", False): cast * forward,
        ("weight", True): weighted * backward,
        ("mul", True): (weighted + 1 + squared) * backward,
        ("div by a number", True): backward,
        ("mul by a number", True): squared * backward,
        ("add", True): backward,
        ("widened", True): cast * backward,
        ("narrowed", True): cast * backward,
    }
    for key, calls in expected.items():
        total = sum(one.calls for one in groups.get(key, ()))
        if total > 0 and calls > 0:
            yield from ((one, min(1.0, calls / total)) for one in groups[key])
