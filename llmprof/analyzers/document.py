"""How does a record become plain containers, and they a record again? By the types of its fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from llmprof.units import round_ms

__all__ = ["plain", "restored"]

Record = TypeVar("Record")


def plain(value: Any) -> Any:
    """A record as containers of JSON: milliseconds rounded to a tenth of a microsecond, what is no number as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return round_ms(value) if value == value and abs(value) != float("inf") else None
    return value


def restored(kind: type[Record], data: Mapping[str, Any]) -> Record:
    """The record that `plain` made these containers of; keys that it has no field for are ignored.

    Raises TypeError, KeyError or ValueError when a part of it is missing or of another kind.
    """
    record: Any = kind  # that it is a dataclass no type says
    nested = _records_of(record)
    known = {field.name for field in dataclasses.fields(record)}
    return kind(**{name: _value(item, nested.get(name)) for name, item in data.items() if name in known})


def _value(item: Any, kind: type | None) -> Any:
    if isinstance(item, list):
        return tuple(item if kind is None else [restored(kind, one) for one in item])
    return item if kind is None or item is None else restored(kind, item)


@cache
def _records_of(kind: Any) -> dict[str, type]:
    """By field, the record that it holds: one, one or None, or a tuple of them."""
    found = {}
    for name, hint in get_type_hints(kind).items():
        for one in (hint, *get_args(hint)):
            if dataclasses.is_dataclass(one) and isinstance(one, type):
                found[name] = one
    return found
