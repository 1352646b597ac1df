"""Which pictures stand in the sections? Rows of bars, curves and the roofline, as static SVG with their words in HTML.

Words stay outside of the stretched SVG, so they keep their size on a phone and in print, and are read aloud. Every
picture has a table beside it that says the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llmprof.reports.html.markup import esc
from llmprof.reports.text import short
from llmprof.units import format_ms

__all__ = ["Piece", "Row", "bars", "curve", "legend", "roofline"]

WIDTH = 1000.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bar: its length, the class that colours it, and what it is."""

    value: float
    paint: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One bar: its name, its pieces from left to right, and the text at its end."""

    name: str
    pieces: tuple[Piece, ...]
    text: str
    mark: float | None = None
    """Where a line crosses the bar, in the unit of the pieces: a limit."""
    faint: bool = False


def bars(label: str, rows: Sequence[Row], *, top: float | None = None) -> str:
    """Bars one below the other on one scale; empty without a positive value.

    top    what the full width stands for, by default the longest bar
    """
    longest = max((max(sum(p.value for p in row.pieces), row.mark or 0.0) for row in rows), default=0.0)
    scale = top or longest
    if scale <= 0:
        return ""
    lines = "".join(_line(row, WIDTH / scale) for row in rows)
    return f'<div class="bars" role="img" aria-label="{esc(label)}">{lines}</div>'


def _line(row: Row, scale: float) -> str:
    at, drawn = 0.0, []
    for piece in row.pieces:
        width = max(piece.value, 0.0) * scale
        if width > 0:
            title = f"<title>{esc(piece.name, 120)}</title>" if piece.name else ""
            drawn.append(f'<rect class="{piece.paint}" x="{at:.1f}" width="{width:.1f}" height="10">{title}</rect>')
        at += width
    mark = "" if row.mark is None else f'<path class="limit" d="M{row.mark * scale:.1f} 0V10"/>'
    return (
        f'<div class="line{" faint" if row.faint else ""}"><span class="name">{esc(row.name, 90)}</span>'
        f'<svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">{"".join(drawn)}{mark}</svg>'
        f'<span class="end">{esc(row.text, 60)}</span></div>'
    )


def legend(entries: Mapping[str, str]) -> str:
    """Names by the class that colours them."""
    items = "".join(f'<li><i class="swatch {paint}"></i>{esc(name, 60)}</li>' for paint, name in entries.items())
    return f'<ul class="keys">{items}</ul>' if entries else ""


def curve(
    title: str,
    values: Sequence[float | None],
    *,
    ends: tuple[str, str],
    top: str,
    limit: float | None = None,
    limit_text: str = "",
    highest: float | None = None,
    step: bool = False,
) -> str:
    """A curve over evenly spaced points from zero up, with a rule at `limit`; None is passed over.

    Empty below two known points.

    ends       words at the left and right end of the axis
    top        the value at the upper edge in words
    highest    what the upper edge stands for, by default the largest value
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    ceiling = highest or max([*known, limit or 0.0], default=0.0)
    if len(known) < 2 or ceiling <= 0:
        return ""
    across = WIDTH / max(len(values) - 1, 1)
    pieces, pen = [], "M"
    for place, value in enumerate(values):
        if value is None or not math.isfinite(value):
            continue
        y = 100 - 100 * min(max(value / ceiling, 0.0), 1.0)
        pieces.append(f"H{place * across:.1f}V{y:.1f}" if step and pen == "L" else f"{pen}{place * across:.1f} {y:.1f}")
        pen = "L"
    rule = "" if limit is None else f'<path class="limit" d="M0 {100 - 100 * min(limit / ceiling, 1.0):.1f}H1000"/>'
    said = f"{title}: {len(known)} points from {ends[0]} to {ends[1]}, at most {top}"
    note = f'<span class="limit-text">{esc(limit_text, 60)}</span>' if limit_text else ""
    return (
        f'<figure class="curve"><figcaption><b>{esc(title, 80)}</b><span>{esc(top, 40)}{note}</span></figcaption>'
        f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="{esc(said)}">'
        f'<path class="base" d="M0 100H1000"/><path class="trace" d="{"".join(pieces)}"/>{rule}</svg>'
        f'<p class="ends"><span>{esc(ends[0], 40)}</span><span>{esc(ends[1], 40)}</span></p></figure>'
    )


def roofline(
    points: Sequence[tuple[str, str, float, float, float]],
    *,
    flops: Mapping[str, float],
    bytes_per_s: float,
) -> str:
    """Operators as dots under the roofs of the device, both axes logarithmic; empty without points.

    points         name, class that colours it, FLOP per byte, FLOP/s, ms per step (the dot's size)
    flops          peak FLOP/s by number format
    bytes_per_s    peak memory bandwidth
    """
    if not points or not flops:
        return ""
    xs = [math.log10(point[2]) for point in points] + [math.log10(max(flops.values()) / bytes_per_s)]
    x0, x1 = math.floor(min([*xs, -1.0])), math.ceil(max(xs) + 0.2)
    y1 = math.ceil(math.log10(max(flops.values())) + 0.1)
    y0 = min(math.floor(min(math.log10(point[3]) for point in points)), y1 - 4)
    left, bottom, wide, high = 62.0, 300.0, 660.0, 280.0

    def at(x: float, y: float) -> tuple[float, float]:
        return left + (x - x0) / (x1 - x0) * wide, bottom - (y - y0) / (y1 - y0) * high

    drawn = _grid(x0, x1, y0, y1, at)
    for peak in sorted(set(flops.values())):
        kx, ky = at(max(math.log10(peak / bytes_per_s), x0), math.log10(peak))
        ex, _ = at(x1, 0)
        names = ", ".join(name for name, value in flops.items() if value == peak)
        drawn.append(f'<path class="roof" d="M{kx:.1f} {ky:.1f}H{ex:.1f}"/>')
        drawn.append(f'<text x="{ex - 4:.1f}" y="{ky - 4:.1f}" text-anchor="end">{esc(names, 30)}</text>')
    top = math.log10(max(flops.values()))
    sx, sy = at(x0, max(x0 + math.log10(bytes_per_s), y0))
    if x0 + math.log10(bytes_per_s) < y0:
        sx, sy = at(y0 - math.log10(bytes_per_s), y0)
    ex, ey = at(top - math.log10(bytes_per_s), top)
    drawn.append(f'<path class="roof" d="M{sx:.1f} {sy:.1f}L{ex:.1f} {ey:.1f}"/>')
    largest = max(point[4] for point in points) or 1.0
    for name, paint, intensity, rate, ms in sorted(points, key=lambda point: -point[4]):
        x, y = at(math.log10(intensity), math.log10(rate))
        told = f"{name}: {short(intensity)} FLOP/byte, {short(rate / 1e12)} TFLOP/s, {format_ms(ms)} per step"
        size = 4 + 10 * math.sqrt(ms / largest)
        drawn.append(
            f'<circle class="{paint}" cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"><title>{esc(told)}</title></circle>'
        )
    label = f"Roofline with {len(points)} operators: arithmetic per byte against arithmetic per second"
    return (
        '<div class="scroll" role="region" tabindex="0" aria-label="Roofline"><svg class="roofline" '
        f'viewBox="0 0 740 340" role="img" aria-label="{esc(label)}">{"".join(drawn)}</svg></div>'
    )


def _grid(x0: float, x1: float, y0: float, y1: float, at: Callable[[float, float], tuple[float, float]]) -> list[str]:
    drawn = []
    for x in range(int(x0), int(x1) + 1):
        px, top = at(x, y1)
        drawn.append(f'<path class="grid" d="M{px:.1f} {top:.1f}V300"/>')
        drawn.append(f'<text x="{px:.1f}" y="316" text-anchor="middle">{10.0**x:g}</text>')
    for y in range(int(y0), int(y1) + 1):
        px, py = at(x0, y)
        drawn.append(f'<path class="grid" d="M{px:.1f} {py:.1f}H722"/>')
        drawn.append(f'<text x="{px - 6:.1f}" y="{py + 4:.1f}" text-anchor="end">{_rate(y)}</text>')
    drawn.append('<text x="392" y="335" text-anchor="middle">FLOP per byte of memory traffic</text>')
    return drawn


def _rate(exponent: int) -> str:
    for size, unit in ((15, "P"), (12, "T"), (9, "G"), (6, "M")):
        if exponent >= size:
            return f"{10 ** (exponent - size)} {unit}F/s"
    return f"1e{exponent} F/s"
