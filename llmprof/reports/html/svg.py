"""Which small pictures stand beside the numbers? SVG strings: step history, meter, interval of a gain."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from llmprof.reports.html.markup import esc
from llmprof.units import format_ms

__all__ = ["interval", "meter", "sparkline"]


def sparkline(values_ms: Sequence[float]) -> str:
    """Step times in order as a line, with the median as a rule; empty for fewer than three steps.

    The picture spans at least 10 % of the median on both sides, so that noise of a steady run looks like noise.
    """
    if len(values_ms) < 3:
        return ""
    middle = statistics.median(values_ms)
    low, high = min(*values_ms, middle * 0.9), max(*values_ms, middle * 1.1)
    span = high - low or 1.0
    width, height = 200.0, 28.0

    def at(value: float) -> float:
        return round(1.5 + (height - 3) * (1 - (value - low) / span), 2)

    points = " ".join(
        f"{round(index * width / (len(values_ms) - 1), 2)},{at(value)}" for index, value in enumerate(values_ms)
    )
    label = f"{len(values_ms)} step times, {format_ms(min(values_ms))} to {format_ms(max(values_ms))}"
    return (
        f'<svg class="spark" viewBox="0 0 200 28" preserveAspectRatio="none" role="img" aria-label="{esc(label)}">'
        f'<line class="rule" x1="0" x2="200" y1="{at(middle)}" y2="{at(middle)}"/>'
        f'<polyline points="{points}"/></svg>'
    )


def meter(level: float | None, label: str) -> str:
    """How full something is, 0 to 1; empty when unknown."""
    if level is None:
        return ""
    filled = round(100 * min(max(level, 0.0), 1.0), 2)
    high = " high" if level >= 0.97 else ""
    return (
        f'<svg class="meter{high}" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label="{esc(label)}">'
        f'<rect class="track" width="100" height="4"/><rect class="fill" width="{filled}" height="4"/></svg>'
    )


def interval(low_ms: float, high_ms: float, step_ms: float | None) -> str:
    """The share of the step that a fix takes away: full up to its low end, pale up to its high end."""
    if not step_ms or high_ms <= 0:
        return ""
    low, high = (round(100 * min(max(value / step_ms, 0.0), 1.0), 2) for value in (low_ms, high_ms))
    return (
        '<svg class="interval" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" width="100" height="6"/><rect class="maybe" width="{high}" height="6"/>'
        f'<rect class="sure" width="{low}" height="6"/></svg>'
    )
