"""How is NVML asked without a refusal costing more than the one answer? Values as text and numbers, or None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["answer", "text"]

T = TypeVar("T")


def answer(read: Callable[[], T]) -> T | None:
    """What NVML answers; None when it refuses, or the installed library does not know the question."""
    try:
        return read()
    except Exception:
        return None


def text(read: Callable[[], Any]) -> str | None:
    """An answer as text; older libraries answer in bytes."""
    value = answer(read)
    if value is None:
        return None
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
