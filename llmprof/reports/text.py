"""How is text of unknown origin made safe to show? Names come from traces and paths, and may hold anything."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable

from llmprof.units import NS_PER_MS, UNKNOWN, format_bytes, format_count, format_ms, format_ns, format_percent

__all__ = ["clip", "quantity", "short", "short_unit", "visible"]


def _short_ms(value: float) -> str:
    return format_ns(value * NS_PER_MS) if 0 < abs(value) < 0.01 else format_ms(value)


_FORMATS: dict[str, Callable[[float], str]] = {
    "ms": _short_ms,
    "ns": format_ns,
    "bytes": format_bytes,
    "B": format_bytes,
    "share": format_percent,
    "ratio": format_percent,
}
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))


def visible(text: object, *, newlines: bool = False) -> str:
    r"""The text with every control, direction, separator and surrogate character spelled out, as in `\u202e`.

    A terminal would obey an escape sequence, a browser would reverse the line after U+202E, and a lone surrogate
    cannot be written as UTF-8. Line ends become spaces unless `newlines`; tabs become spaces.
    """
    source = str(text).replace("\r\n", "\n").replace("\t", "    ")
    if not newlines:
        source = " ".join(source.split("\n"))
    if source.isascii() and source.isprintable():
        return source
    return "".join(
        char if char == "\n" or unicodedata.category(char) not in _HIDDEN else _spelled(char) for char in source
    )


def _spelled(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def clip(text: str, limit: int) -> str:
    """At most `limit` characters, cut at the end with three dots."""
    return text if len(text) <= limit else text[: max(limit - 3, 0)].rstrip() + "..."


def short_unit(unit: str) -> str:
    """The unit without what the figure beside it says already: `share` for `of the step`, `ms` for `ms per step`."""
    head = unit.partition(" ")[0]
    return "share" if head == "of" else head if head in _FORMATS else unit


def quantity(value: float | str | None, unit: str) -> str:
    """One figure of evidence for a reader: the value in its unit, `unknown` for None or not a number.

    The first word of the unit tells how to format (`ms per step`, `share of the memory`); `of the step` means a share.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return UNKNOWN
    if isinstance(value, bool | str):
        return f"{visible(value)} {visible(unit)}".strip() if unit else visible(value)
    head, _, rest = unit.partition(" ")
    if head in _FORMATS:
        return f"{_FORMATS[head](value)} {visible(rest)}".strip()
    if head == "of":
        return f"{format_percent(value)} {visible(unit)}"
    if unit in ("%", "percent"):
        return format_percent(value / 100)
    return f"{short(value)} {visible(unit)}".strip()


def short(value: float) -> str:
    """A number with three digits, or all of those before its point: `24.1`, `3,340`; never a power of ten."""
    whole = float(value).is_integer() or abs(value) >= 999.5
    return format_count(value) if whole else f"{value:,.3g}"
