"""What is not hidden of the collectives, and is the wire slow?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmprof.reports.html.charts import Piece, Row, bars, legend
from llmprof.reports.html.frame import Content, Page, cell, grid, ms_cell, short_ms
from llmprof.reports.html.markup import esc
from llmprof.units import UNKNOWN, format_bytes, format_count, format_ms, format_percent

__all__ = ["communication"]


def communication(page: Page) -> Content | None:
    """Exposed and hidden time by operation and by size of the message."""
    found = page.figures("communication")
    if not found:
        ranks = page.diagnosis.source.world_size or len(page.diagnosis.source.ranks)
        if ranks == 1:
            return Content("One rank: there is nobody to talk to.")
        return Content("No collective was recorded.")
    total, exposed = found["total_ms"], found["exposed_ms"]
    overlap = found.get("overlap")
    answer = f"Collectives run for {format_ms(total)} of every step; compute hides {format_percent(overlap)} of that, "
    answer += f"{format_ms(exposed)} is not hidden"
    skew = found.get("skew_ms")
    answer += f", {format_ms(skew)} of it waiting for a late rank." if skew else "."
    blocks = [_picture(found), _table(found), _sizes(found), _fit(found)]
    return Content(esc(answer, 400), blocks)


def _name(group: Mapping[str, Any]) -> str:
    words = [str(group["op"]).replace("_", " ")]
    if group.get("format"):
        words.append(str(group["format"]))
    if group.get("ranks"):
        words.append(f"over {group['ranks']} ranks")
    return " ".join(words)


def _picture(found: Mapping[str, Any]) -> str:
    rows = []
    for group in found.get("groups", ())[:12]:
        hidden = max(group["ms"] - group["exposed_ms"], 0.0)
        pieces = (
            Piece(group["exposed_ms"], "p-communication", f"not hidden {format_ms(group['exposed_ms'])}"),
            Piece(hidden, "pale p-communication", f"hidden {format_ms(hidden)}"),
        )
        rows.append(Row(_name(group), pieces, format_ms(group["ms"])))
    keys = legend({"p-communication": "not hidden", "pale p-communication": "hidden behind compute"})
    return bars("Collectives by operation", rows) + keys if rows else ""


def _table(found: Mapping[str, Any]) -> str:
    rows = [
        [
            esc(_name(group)) + (f" <code>{esc(group['group'], 40)}</code>" if group.get("group") else ""),
            cell(group["count"], format_count(group["count"])),
            cell(group.get("bytes"), format_bytes(group.get("bytes"))),
            ms_cell(group["ms"]),
            ms_cell(group["exposed_ms"]),
            cell(group.get("bus_bytes_per_s"), _rate(group.get("bus_bytes_per_s"))),
            cell(group.get("best_bus_bytes_per_s"), _rate(group.get("best_bus_bytes_per_s"))),
        ]
        for group in found.get("groups", ())
    ]
    head = ["Operation", "Calls", "Bytes", "Time", "Not hidden", "Bus bandwidth", "Best large messages"]
    return grid("Collectives per step", head, rows)


def _sizes(found: Mapping[str, Any]) -> str:
    rows = [
        [
            f"up to {esc(format_bytes(size['up_to_bytes']))}",
            cell(size["count"], format_count(size["count"])),
            ms_cell(size["ms"]),
            ms_cell(size["exposed_ms"]),
        ]
        for size in found.get("sizes", ())
    ]
    return grid("Messages by size", ["Message", "Calls", "Time", "Not hidden"], rows)


def _fit(found: Mapping[str, Any]) -> str:
    fit = found.get("fit")
    if not fit:
        return ""
    told = (
        f"A message costs {short_ms(fit['latency_ms'])} and then {_rate(fit['bytes_per_s'])} "
        f"(a straight line through {format_count(fit['calls'])} calls)."
    )
    return f'<p class="aside">{esc(told)}</p>'


def _rate(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value / 1e9:,.4g} GB/s"
