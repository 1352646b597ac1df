"""How much arithmetic is in a convolution? Its FLOPs and bytes, with the size of the result from its gradient.

The recorded shapes of a convolution are those of its input and weight; stride and padding are not recorded. The size of
the result stands in the shapes of the backward call, as the gradient that comes in. A convolution without one (frozen,
or run without gradients) stays uncounted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from llmprof.analyzers.facts.operators.op_bytes import Operands, operands_of

__all__ = [
    "BACKWARD_CONVOLUTION",
    "FORWARD_CONVOLUTION",
    "Results",
    "convolution_bytes",
    "convolution_flops",
    "is_depthwise",
    "results_of",
]

FORWARD_CONVOLUTION = "aten::convolution"
BACKWARD_CONVOLUTION = "aten::convolution_backward"

Dims = tuple[int, ...]
Results = Mapping[tuple[Dims, Dims], Dims]
"""The dimensions of the result of a convolution by those of its input and weight."""


def results_of(calls: Iterable[tuple[str, str]]) -> Results:
    """From (operator, shapes) of many calls; a convolution that has results of two sizes is left out."""
    found: dict[tuple[Dims, Dims], set[Dims]] = {}
    for operator, text in calls:
        if operator == BACKWARD_CONVOLUTION:
            dims = operands_of(text).dims
            if len(dims) >= 3 and dims[0]:
                found.setdefault((dims[1], dims[2]), set()).add(dims[0])
    return {key: next(iter(sizes)) for key, sizes in found.items() if len(sizes) == 1}


def convolution_flops(operator: str, text: str, results: Results) -> float | None:
    """FLOPs of one call; backward computes the gradients of input and weight, which is twice the forward."""
    operands = operands_of(text)
    parts = _parts(operator, operands, results)
    if parts is None:
        return None
    image, weight, result = parts
    # The weight of a transposed convolution has the input's channels first: each input pixel meets all of it.
    around = image if _is_transposed(image, weight, result) else result
    return (2.0 if operator == BACKWARD_CONVOLUTION else 1.0) * 2.0 * math.prod(around) * math.prod(weight[1:])


def convolution_bytes(operator: str, text: str, results: Results) -> float | None:
    """Least traffic of one call: input, weight and result, backward also their gradients."""
    operands = operands_of(text)
    parts = _parts(operator, operands, results)
    if parts is None:
        return None
    try:
        size = operands.size(0)
    except KeyError:
        return None
    image, weight, result = map(math.prod, parts)
    if operator == BACKWARD_CONVOLUTION:
        return float(size * (result + 2 * image + 2 * weight))
    return float(size * (image + weight + result))


def is_depthwise(operator: str, text: str) -> bool:
    """Whether each channel has a filter of its own: memory and CUDA cores do that, not tensor cores."""
    dims = operands_of(text).dims
    image, weight = (*(dims[1:3] if operator == BACKWARD_CONVOLUTION else dims[:2]), (), ())[:2]
    return len(image) == len(weight) > 2 and weight[1] == 1 and image[1] == weight[0] > 1


def _parts(operator: str, operands: Operands, results: Results) -> tuple[Dims, Dims, Dims] | None:
    """Dimensions of input, weight and result."""
    dims = operands.dims
    if operator == BACKWARD_CONVOLUTION and len(dims) >= 3:
        image, weight, result = dims[1], dims[2], dims[0]
    elif operator == FORWARD_CONVOLUTION and len(dims) >= 2 and (dims[0], dims[1]) in results:
        image, weight, result = dims[0], dims[1], results[dims[0], dims[1]]
    else:
        return None
    if not len(image) == len(weight) == len(result) or len(image) < 3:
        return None
    return image, weight, result


def _is_transposed(image: Dims, weight: Dims, result: Dims) -> bool:
    usual = result[1] == weight[0] and image[1] % weight[1] == 0
    turned = image[1] == weight[0] and result[1] % weight[1] == 0
    if usual and turned:  # as many channels in as out: only the transposed one makes images much larger
        return any(out > 1.5 * inside for out, inside in zip(result[2:], image[2:], strict=True))
    return turned
