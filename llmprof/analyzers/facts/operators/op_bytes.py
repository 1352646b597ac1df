"""How many bytes does an operator have to move? Operands read once and results written once, from recorded shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "Operands",
    "broadcast",
    "bytes_of",
    "countable",
    "largest_elements",
    "operands_of",
    "result_bytes",
    "result_elements",
]

SIZES = {
    "double": 8, "long int": 8, "long": 8, "float": 4, "int": 4, "c10::BFloat16": 2, "c10::Half": 2, "short": 2,
    "bool": 1, "unsigned char": 1, "signed char": 1, "char": 1, "c10::complex<float>": 8,
    "c10::Float8_e4m3fn": 1, "c10::Float8_e5m2": 1, "c10::Float8_e4m3fnuz": 1,
}  # fmt: skip
"""Bytes of one element by the profiler's name of its type."""

_LIST = re.compile(r"\[([\d,]*)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operands:
    """The tensors among an operator's arguments, in order."""

    dims: tuple[tuple[int, ...], ...]
    """An argument that is no tensor is `()`, as a scalar tensor is."""
    types: tuple[str, ...]

    def numel(self, place: int) -> int:
        """Elements of one argument; IndexError when there is none."""
        return math.prod(self.dims[place])

    def size(self, place: int) -> int:
        """Bytes of one element; KeyError when its type is not known."""
        return SIZES[self.types[place]]

    def bytes(self, place: int) -> int:
        """Bytes of one argument."""
        return self.numel(place) * self.size(place)

    @property
    def tensors(self) -> tuple[int, ...]:
        """Places of the arguments that are tensors with a known type and at least one dimension."""
        return tuple(
            i for i, (dims, kind) in enumerate(zip(self.dims, self.types, strict=True)) if dims and kind in SIZES
        )


def operands_of(text: str) -> Operands:
    """Read shapes as `EventTable.shapes` has them, `[16,64];[]|float;Scalar`; a list of tensors becomes one `()`."""
    dims, _, types = text.partition("|")
    items = dims.split(";") if dims else []
    names = types.split(";") if types else []
    names += [""] * (len(items) - len(names))
    shapes = tuple(() if one.startswith("[[") else tuple(map(int, re.findall(r"\d+", one))) for one in items)
    return Operands(dims=shapes, types=tuple(names[: len(items)]))


def bytes_of(operator: str, text: str) -> float | None:
    """Least traffic of one call in bytes; None for an operator or a type that is not known."""
    if operator in ("aten::cat", "aten::stack", "aten::_foreach_copy_"):
        return _joined(text)
    formula = _FORMULAS.get(operator)
    if formula is None:
        return None
    try:
        result = formula(operands_of(text))
    except (IndexError, KeyError, ValueError):
        return None
    return float(result) if result > 0 else None


def countable(operator: str) -> bool:
    """Whether FLOPs or bytes of an operator can be counted, so that its kernels are booked to it."""
    return operator in _FORMULAS or operator in _OTHERS


def result_bytes(operator: str, text: str) -> float | None:
    """Bytes of what one call returns; 0 for an operator that writes in place, None for an unknown one."""
    if operator in IN_PLACE or operator in ("aten::fill_", "aten::zero_"):
        return 0.0
    moved = bytes_of(operator, text)
    if moved is None or operator in ("aten::cat", "aten::stack"):
        return None if moved is None else moved / 2
    operands = operands_of(text)
    if operator == "aten::copy_":
        return float(operands.bytes(0))
    if operator.endswith(("attention", "attention_forward")):
        return float(operands.bytes(0))
    return max(0.0, moved - sum(operands.bytes(i) for i in operands.tensors))


def result_elements(operator: str, text: str) -> tuple[int, ...] | None:
    """Dimensions of what a matrix product returns; None for any other operator."""
    first = _PRODUCTS.get(operator)
    dims = operands_of(text).dims
    if first is None or len(dims) < first + 2 or len(dims[first]) < 2 or len(dims[first + 1]) < 2:
        return None
    return (*dims[first][:-1], dims[first + 1][-1])


def largest_elements(text: str) -> int:
    """Elements of the largest tensor of a call, lists included; 0 without tensors."""
    dims = text.partition("|")[0]
    return max((math.prod(map(int, one.split(","))) for one in _LIST.findall(dims) if one), default=0)


def _joined(text: str) -> float | None:
    """A list of tensors of one type: read and written once. The type of a list is not recorded: taken as 16 bits."""
    first = text.partition("|")[0].split(";[")[0]
    elements = sum(math.prod(map(int, one.split(","))) for one in _LIST.findall(first) if one)
    return 2.0 * 2 * elements if elements else None


def broadcast(operands: Operands) -> int:
    """Elements of the result of a pointwise operator."""
    shapes = [operands.dims[i] for i in operands.tensors]
    longest = max(map(len, shapes), default=0)
    padded = [(1,) * (longest - len(one)) + one for one in shapes]
    return math.prod(max(column) for column in zip(*padded, strict=True))


def _pointwise(operands: Operands) -> float:
    """All inputs once, the result once in the type of the largest input."""
    tensors = operands.tensors
    if not tensors:
        raise ValueError
    widest = max(tensors, key=lambda i: (operands.numel(i), operands.size(i)))
    return sum(operands.bytes(i) for i in tensors) + broadcast(operands) * operands.size(widest)


def _binary(operands: Operands) -> float:
    """Two inputs; a third tensor is where the result goes (`out=`), which is not read."""
    places = [i for i, kind in enumerate(operands.types) if kind in SIZES]
    if len(places) < 3:
        return _pointwise(operands)
    read = [i for i in places[:2] if operands.dims[i]]
    return sum(operands.bytes(i) for i in read) + operands.bytes(places[2])


def _in_place(operands: Operands) -> float:
    return sum(operands.bytes(i) for i in operands.tensors) + operands.bytes(0)


def _copy(operands: Operands) -> float:
    target = operands.numel(0)
    return target * operands.size(0) + min(target, operands.numel(1)) * operands.size(1)


def _read(operands: Operands) -> float:
    return operands.bytes(0)


def _through(operands: Operands) -> float:
    """Read and written once: softmax and norms, whose weights are small beside it."""
    return 2 * operands.bytes(0)


def _back_through(operands: Operands) -> float:
    """Gradient and saved tensor read, gradient written."""
    return 2 * operands.bytes(0) + operands.bytes(1)


def _batch_norm(operands: Operands) -> float:
    """Read for the statistics of the whole batch, read again and written: no kernel keeps a batch in the processor."""
    return 3 * operands.bytes(0)


def _batch_norm_backward(operands: Operands) -> float:
    """Gradient and input read for their sums, read again, and the gradient of the input written."""
    return 2 * (operands.bytes(0) + operands.bytes(1)) + operands.bytes(1)


def _dropout(operands: Operands) -> float:
    return 2 * operands.bytes(0) + operands.numel(0)


def _written(place: int) -> Callable[[Operands], float]:
    return lambda operands: float(operands.bytes(place))


def _embedding(operands: Operands) -> float:
    return 2.0 * operands.numel(1) * operands.dims[0][1] * operands.size(0)


def _product(first: int, *, batched: bool = False) -> Callable[[Operands], float]:
    def count(operands: Operands) -> float:
        left, right = operands.dims[first], operands.dims[first + 1]
        if len(left) != 2 + batched or len(right) != 2 + batched:
            raise ValueError
        result = math.prod(left[:-1]) * right[-1]
        return float(operands.bytes(first) + operands.bytes(first + 1) + result * operands.size(first))

    return count


def _attention(first: int, passes: int) -> Callable[[Operands], float]:
    """Q, K, V and the result; backward has the gradients of all of them beside it."""

    def count(operands: Operands) -> float:
        query = operands.bytes(first)
        return float(passes * (2 * query + operands.bytes(first + 1) + operands.bytes(first + 2)))

    return count


def _names(text: str) -> tuple[str, ...]:
    return tuple(f"aten::{name}" for name in text.split())


POINTWISE: Sequence[str] = _names(
    "gelu silu relu tanh sigmoid exp log sqrt rsqrt neg abs where masked_fill addcmul addcdiv lerp "
    "clamp clamp_min clamp_max gelu_backward silu_backward threshold_backward tanh_backward sigmoid_backward "
    "native_dropout_backward sin cos reciprocal rsub softplus elu leaky_relu hardswish hardtanh "
    "bitwise_not leaky_relu_backward hardswish_backward erf"
)
BINARY: Sequence[str] = _names("add sub mul div maximum minimum pow bitwise_and bitwise_or eq ne lt gt le ge")
IN_PLACE: Sequence[str] = _names(
    "add_ sub_ mul_ div_ addcmul_ addcdiv_ lerp_ relu_ clamp_ masked_fill_ sqrt_ neg_ silu_ pow_ exp_ leaky_relu_"
)
_PRODUCTS = {
    "aten::mm": 0,
    "aten::addmm": 1,
    "aten::bmm": 0,
    "aten::baddbmm": 1,
    "aten::_scaled_mm": 0,
}
"""Matrix products, with the place of the left operand."""
_OTHERS = frozenset(
    _names("cat stack convolution convolution_backward embedding_dense_backward nll_loss_forward mv addmv")
)
"""Operators whose kernels are booked to them although no formula above counts their bytes."""
_FORMULAS: Mapping[str, Callable[[Operands], float]] = {
    **dict.fromkeys(POINTWISE, _pointwise),
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(IN_PLACE, _in_place),
    **dict.fromkeys(_names("sum mean max min amax argmax norm linalg_vector_norm var any all prod"), _read),
    **dict.fromkeys(_names("_softmax _log_softmax native_layer_norm _fused_rms_norm"), _through),
    **dict.fromkeys(_names("native_group_norm rms_norm cumsum"), _through),
    **dict.fromkeys(_names("native_layer_norm_backward _fused_rms_norm_backward"), _back_through),
    **dict.fromkeys(_names("_softmax_backward_data _log_softmax_backward_data"), _back_through),
    "aten::native_group_norm_backward": _back_through,
    **dict.fromkeys(_names("native_batch_norm cudnn_batch_norm"), _batch_norm),
    **dict.fromkeys(_names("native_batch_norm_backward cudnn_batch_norm_backward"), _batch_norm_backward),
    "aten::copy_": _copy,
    "aten::fill_": _written(0),
    "aten::zero_": _written(0),
    "aten::nll_loss_backward": _written(1),
    "aten::native_dropout": _dropout,
    "aten::embedding": _embedding,
    "aten::mm": _product(0),
    "aten::addmm": _product(1),
    "aten::bmm": _product(0, batched=True),
    "aten::baddbmm": _product(1, batched=True),
    "aten::_scaled_mm": _product(0),
    **{f"aten::_scaled_dot_product_{kind}_attention": _attention(0, 1) for kind in ("flash", "efficient", "cudnn")},
    **{
        f"aten::_scaled_dot_product_{kind}_attention_backward": _attention(1, 2)
        for kind in ("flash", "efficient", "cudnn")
    },
    "aten::_flash_attention_forward": _attention(0, 1),
    "aten::_flash_attention_backward": _attention(1, 2),
    "aten::_efficient_attention_forward": _attention(0, 1),
    "aten::_efficient_attention_backward": _attention(1, 2),
    "flash_attn::_flash_attn_forward": _attention(0, 1),
    "flash_attn::_flash_attn_backward": _attention(1, 2),
}
