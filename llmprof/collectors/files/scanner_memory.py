"""How does a numba function read and write memory by address? A handful of intrinsics and one jit decorator.

Addresses are int64. Without arrays the compiled scanner keeps no reference counts, and needs
nothing of numba when it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numba.extending
from llvmlite import ir
from numba import types

__all__ = [
    "byte",
    "first_bit",
    "get",
    "get32",
    "intrinsic",
    "jit",
    "jit_small",
    "load",
    "put",
    "put8",
    "put32",
    "quotes",
    "structure",
]

_extend: Any = numba.extending.intrinsic


def intrinsic(make: Callable[..., Any]) -> Any:
    """A function of compiled code that `make` writes as LLVM instructions."""
    return _extend(make)


# Typed as Any: the parts are called by compiled code only, with what numba infers.
_PART: dict[str, Any] = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
jit: Callable[..., Any] = numba.njit(**_PART)
"""For the parts of the scanner."""

jit_small: Callable[..., Any] = numba.njit(**_PART, forceinline=True)
"""For the smallest parts, which are to become a part of their callers."""

_LANES = 32
_QUOTE, _BACKSLASH, _OPEN, _CLOSE, _FOLD = 34, 92, 123, 125, 0x20


def _loader(bits: int, result: Any) -> Callable[..., Any]:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.IntType(bits)
        value = builder.load(builder.inttoptr(args[0], kind.as_pointer()), align=1)
        return value if bits == 64 else builder.zext(value, ir.IntType(64))

    return lambda typing, at: (result(types.int64), build)


def _element(builder: Any, args: Any, bits: int) -> Any:
    size = ir.Constant(ir.IntType(64), bits // 8)
    at = builder.add(args[0], builder.mul(args[1], size))
    return builder.inttoptr(at, ir.IntType(bits).as_pointer())


def _getter(bits: int) -> Callable[..., Any]:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.load(_element(builder, args, bits))
        return value if bits == 64 else builder.sext(value, ir.IntType(64))

    return lambda typing, base, index: (types.int64(types.int64, types.int64), build)


def _putter(bits: int) -> Callable[..., Any]:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = args[2] if bits == 64 else builder.trunc(args[2], ir.IntType(bits))
        builder.store(value, _element(builder, args, bits))
        return context.get_dummy_value()

    return lambda typing, base, index, value: (types.void(types.int64, types.int64, types.int64), build)


def _intrinsic(make: Callable[..., Any], name: str, doc: str) -> Any:
    make.__name__ = make.__qualname__ = name
    make.__doc__ = doc
    return intrinsic(make)


byte = _intrinsic(_loader(8, types.int64), "byte", "The byte at an address, as int64.")
load = _intrinsic(_loader(64, types.uint64), "load", "Eight bytes as a little-endian uint64.")
get = _intrinsic(_getter(64), "get", "Element `index` of an int64 array.")
get32 = _intrinsic(_getter(32), "get32", "Element `index` of an int32 array, as int64.")
put = _intrinsic(_putter(64), "put", "Set element `index` of an int64 array.")
put32 = _intrinsic(_putter(32), "put32", "Set element `index` of an int32 array.")
put8 = _intrinsic(_putter(8), "put8", "Set element `index` of a byte array.")


def _equal(builder: Any, vector: Any, character: int) -> Any:
    return builder.icmp_unsigned("==", vector, ir.Constant(vector.type, [character] * _LANES))


def _bits(builder: Any, mask: Any) -> Any:
    return builder.zext(builder.bitcast(mask, ir.IntType(_LANES)), ir.IntType(64))


def _vector(builder: Any, at: Any) -> Any:
    kind = ir.VectorType(ir.IntType(8), _LANES)
    return builder.load(builder.inttoptr(at, kind.as_pointer()), align=1)


@intrinsic
def quotes(typing: Any, at: Any) -> Any:
    """Bit i: the byte at `at + i` is a quote or a backslash."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = _vector(builder, args[0])
        return _bits(builder, builder.or_(_equal(builder, vector, _QUOTE), _equal(builder, vector, _BACKSLASH)))

    return types.uint64(types.int64), build


@intrinsic
def structure(typing: Any, at: Any) -> Any:
    """Bit i: the byte at `at + i` is a quote or a bracket of any kind (round ones aside, they differ in bit 5)."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = _vector(builder, args[0])
        folded = builder.or_(vector, ir.Constant(vector.type, [_FOLD] * _LANES))
        brackets = builder.or_(_equal(builder, folded, _OPEN), _equal(builder, folded, _CLOSE))
        return _bits(builder, builder.or_(brackets, _equal(builder, vector, _QUOTE)))

    return types.uint64(types.int64), build


@intrinsic
def first_bit(typing: Any, mask: Any) -> Any:
    """The number of zeros below the lowest bit that is set."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build
