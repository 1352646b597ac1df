"""How does a JSON object become a record? Field by field by the declared types; what does not fit keeps its default."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["record_of"]

T = TypeVar("T")

LIMIT = 1 << 62
"""No size and no count of a run is as large; a number beyond it is damage."""
_UNFIT = object()


def record_of(cls: type[T], data: Any) -> T:
    """A `cls`, a dataclass whose fields all have defaults, from a parsed JSON object written by strangers."""
    if not isinstance(data, Mapping):
        return cls()
    values = {}
    kinds: Mapping[str, Any] = _kinds(cls)  # type: ignore[arg-type]
    for name, kind in kinds.items():
        if name in data and (value := _fitting(kind, data[name])) is not _UNFIT:
            values[name] = value
    return cls(**values)


@cache
def _kinds(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _fitting(kind: Any, value: Any) -> Any:
    """`value` as this type, or _UNFIT."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        found = (_fitting(one, value) for one in inner if one is not type(None))
        return None if value is None else next((fit for fit in found if fit is not _UNFIT), _UNFIT)
    if origin is tuple:
        return _sequence(inner, value)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(inner[1], value)
    if is_dataclass(kind) and isinstance(kind, type):
        return record_of(kind, value) if isinstance(value, Mapping) else _UNFIT
    return _plain(kind, value)


def _plain(kind: Any, value: Any) -> Any:
    if kind is int:
        return value if type(value) is int and abs(value) < LIMIT else _UNFIT
    if kind is float:
        return float(value) if type(value) in (int, float) and abs(value) < LIMIT else _UNFIT
    return value if type(value) is kind else _UNFIT


def _sequence(inner: tuple[Any, ...], value: Any) -> Any:
    """Of any length, entries that do not fit left out; or of the declared length, where all have to fit."""
    if not isinstance(value, list):
        return _UNFIT
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(fit for entry in value if (fit := _fitting(inner[0], entry)) is not _UNFIT)
    fits = tuple(_fitting(one, entry) for one, entry in zip(inner, value, strict=False))
    return fits if len(value) == len(inner) and _UNFIT not in fits else _UNFIT


def _mapping(kind: Any, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return _UNFIT
    return {str(name): fit for name, entry in value.items() if (fit := _fitting(kind, entry)) is not _UNFIT}
