"""How a number is shown: the one place that formats and rounds nanoseconds, bytes, FLOP and shares.

Inside llmprof time is an integer of nanoseconds and size an integer of bytes. Unknown is `None` and is shown as
"unknown", never as 0.
"""

from __future__ import annotations

__all__ = [
    "NS_PER_MS",
    "NS_PER_S",
    "NS_PER_US",
    "UNKNOWN",
    "format_bytes",
    "format_count",
    "format_ms",
    "format_ms_range",
    "format_ms_within",
    "format_ns",
    "format_percent",
    "ms",
    "round_ms",
]

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
UNKNOWN = "unknown"


def ms(ns: float | None) -> float | None:
    """Milliseconds of `ns` nanoseconds, unrounded; None stays None."""
    return None if ns is None else ns / NS_PER_MS


def round_ms(value: float | None) -> float | None:
    """Milliseconds as they are written to analysis.json: to a tenth of a microsecond."""
    return None if value is None else round(float(value), 4)


def format_ms(value: float | None) -> str:
    """Milliseconds for a reader, with three significant digits: `0.42 ms`, `41.2 ms`, `486 ms`, `12.3 s`."""
    if value is None:
        return UNKNOWN
    size = abs(value)
    if size >= 10_000:
        return f"{value / 1000:.1f} s"
    if size >= 99.95:
        return f"{value:.0f} ms"
    if size >= 9.995:
        return f"{value:.1f} ms"
    return f"{value:.2f} ms"


def format_ns(ns: float | None) -> str:
    """Nanoseconds for a reader: `830 ns`, `12.4 µs`, from a tenth of a millisecond on as `format_ms`."""
    if ns is None:
        return UNKNOWN
    if abs(ns) < NS_PER_US:
        return f"{ns:.0f} ns"
    if abs(ns) < 99_950:
        return f"{ns / NS_PER_US:.1f} µs"
    return format_ms(ns / NS_PER_MS)


def format_ms_range(low: float | None, high: float | None) -> str:
    """A range of milliseconds: `71-94 ms`; one number when both ends read the same."""
    if low is None or high is None:
        return UNKNOWN
    left, right = format_ms(low), format_ms(high)
    if left == right:
        return left
    if left.split()[-1] == right.split()[-1]:
        return f"{left.split()[0]}-{right}"
    return f"{left} to {right}"


def format_ms_within(value: float, low: float, high: float) -> str:
    """Milliseconds with the ends between which they lie: `12.4 ms (8.10-15.0)`; alone when all three read the same."""
    told = format_ms(value)
    ends = f"0-{format_ms(high)}" if low == 0 < high else format_ms_range(low, high)
    ends = f"{format_ms(low)} to {format_ms(high)}" if low < 0 else ends
    return told if ends == told else f"{told} ({ends.removesuffix(f' {told.split()[-1]}')})"


def format_percent(share: float | None) -> str:
    """A share of 1 as a percentage: `19 %`, `0.4 %`."""
    if share is None:
        return UNKNOWN
    value = share * 100
    return f"{value:.1f} %" if 0 < abs(value) < 9.95 else f"{value:.0f} %"


def format_bytes(size: float | None) -> str:
    """Bytes in binary units, as memory is sold to programs: `512 B`, `1.5 KiB`, `14.9 GiB`."""
    if size is None:
        return UNKNOWN
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def format_count(value: float | None) -> str:
    """A count with thousands separated by thin groups: `1,690,000`."""
    return UNKNOWN if value is None else f"{value:,.0f}"
