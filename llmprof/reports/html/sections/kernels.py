"""Where does GPU time go, and how far from the peak? Kernels by class and name, precision, and the roofline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llmprof.reports.html.charts import Piece, Row, bars, legend, roofline
from llmprof.reports.html.frame import Content, Page, cell, grid, ms_cell, text_cell
from llmprof.reports.html.markup import esc
from llmprof.reports.labels import CLASS_LABELS
from llmprof.reports.text import short
from llmprof.units import UNKNOWN, format_count, format_ms, format_percent

__all__ = ["kernels", "precision"]

LONG_NAME = 110
_OTHERS = {"communication": "collectives", "memcpy": "copies between memories", "memset": "filling memory"}
_PARTS = {"communication": "p-communication", "memcpy": "p-memcpy", "memset": "p-memcpy"}


def kernels(page: Page) -> Content | None:
    """GPU time by class, by kernel and by operator."""
    found = page.figures("kernels")
    if not found:
        return Content("This run used no GPU." if page.without_gpu else "No kernel was recorded.")
    total, classes = found.get("summed_ms") or 0.0, found.get("classes") or {}
    top = found.get("top") or ()
    answer = f"{format_count(found.get('count'))} kernels per step"
    answer += " besides the collectives" if "communication" in classes else ""
    first = max(classes, key=lambda name: classes[name]["ms"], default=None)
    if first is not None and total > 0:
        answer += f"; {format_percent(classes[first]['ms'] / total)} of the time is {_class(first)}"
    answer += "." if len(top) < 10 else f"; the ten longest names take {format_percent(_share(top[:10], total))}."
    rows = [
        Row(
            _class(name),
            (Piece(one["ms"], _paint(name)),),
            f"{format_ms(one['ms'])}, {format_percent(one['ms'] / total)}",
        )
        for name, one in classes.items()
        if total > 0 and one["ms"] > 0
    ]
    blocks = [bars("Kernel time by class", rows), _top(top, total), _operators(found), _modules(found)]
    return Content(esc(answer, 400), blocks, quiet=page.diagnosis.verdict.bound not in ("compute", "memory"))


_NOISE = re.compile(r"^void |\(anonymous namespace\)::|\bat::native::|\bat::|\bc10::")


def _short(name: str) -> str:
    """What tells kernels of PyTorch apart stands late in their names; the whole name is in the title."""
    return _NOISE.sub("", name)


def _share(top: Sequence[Mapping[str, Any]], total: float) -> float | None:
    return sum(one["ms"] for one in top) / total if total > 0 else None


def _class(name: str) -> str:
    return _OTHERS.get(name) or (CLASS_LABELS[name].name if name in CLASS_LABELS else name)


def _paint(name: str) -> str:
    return _PARTS.get(name) or f"k-{name if name in CLASS_LABELS else 'other'}"


def _top(top: Sequence[Mapping[str, Any]], total: float) -> str:
    rows = [
        [
            _name(one, LONG_NAME),
            text_cell(_class(one["class"])),
            ms_cell(one["ms"]),
            cell(one["ms"] / total if total else None, format_percent(one["ms"] / total if total else None)),
            cell(one["count"], short(one["count"])),
            text_cell(_unit(one)),
        ]
        for one in top
    ]
    head = ["Kernel", "Class", "Per step", "Share", "Calls", "Format"]
    return grid("The longest kernels", head, rows, name="wide")


def _name(one: Mapping[str, Any], limit: int) -> str:
    paint, whole = _paint(one["class"]), esc(one["name"])
    return f'<i class="swatch {paint}"></i><code title="{whole}">{esc(_short(str(one["name"])), limit)}</code>'


def _unit(one: Mapping[str, Any]) -> str | None:
    parts = [one.get("format"), {True: "tensor cores", False: "no tensor cores"}.get(one.get("tensor_core"))]  # type: ignore[arg-type]
    return ", ".join(part for part in parts if part) or None


def _operators(found: Mapping[str, Any]) -> str:
    rows = [
        [
            _name(one, 70),
            text_cell(one.get("shapes"), 90),
            ms_cell(one["ms"]),
            cell(one["calls"], short(one["calls"])),
            text_cell("backward" if one.get("backward") else "forward"),
            cell(one.get("efficiency"), format_percent(one.get("efficiency"))),
            text_cell({True: "memory", False: "arithmetic"}.get(one.get("memory_limited"))),
        ]
        for one in found.get("operators", ())
    ]
    head = ["Operator", "Input shapes", "Per step", "Calls", "Pass", "Of the peak", "Limited by"]
    return grid("The longest operators with their shapes", head, rows, name="wide")


def _modules(found: Mapping[str, Any]) -> str:
    rows = [
        [f"<code>{esc(one['path'], 120)}</code>", ms_cell(one["forward_ms"]), ms_cell(one["backward_ms"])]
        for one in found.get("modules", ())
    ]
    return grid("Modules by their own GPU time", ["Module", "Forward", "Backward"], rows)


def precision(page: Page) -> Content | None:
    """Matrix products by number format, and operators under the roofs of the device."""
    found = page.figures("precision")
    if not found:
        return Content("This run used no GPU." if page.without_gpu else "No kernel was recorded.")
    formats: Mapping[str, float] = found.get("gemm_ms_by_format") or {}
    blocks = [_formats(formats), _roofline(page, found), _rates(found)]
    return Content(esc(_distance(found, formats), 500), blocks)


def _distance(found: Mapping[str, Any], formats: Mapping[str, float]) -> str:
    total, told = sum(formats.values()), []
    if total > 0:
        first = max(formats, key=lambda name: formats[name])
        name = "in a format that their names do not tell" if first == "unknown" else first
        told.append(f"{format_percent(formats[first] / total)} of the time in matrix products is {name}.")
        plain = found.get("cuda_core_gemm_ms") or 0.0
        if plain / total >= 0.01:
            told.append(f"{format_ms(plain)} per step of it runs without tensor cores.")
    if found.get("mfu") is not None:
        told.append(f"The model uses {format_percent(found['mfu'])} {found.get('basis') or 'of the peak'}.")
    elif found.get("basis"):
        told.append(f"No utilization: {found['basis']}.")
    return " ".join(told) or "No matrix product was recorded."


def _formats(formats: Mapping[str, float]) -> str:
    rows = [
        Row(name if name != "unknown" else "format unknown", (Piece(value, "k-gemm"),), format_ms(value))
        for name, value in sorted(formats.items(), key=lambda item: -item[1])
        if value > 0
    ]
    return "<h3>Matrix products by number format</h3>" + bars("Matrix products by format", rows) if rows else ""


def _roofline(page: Page, found: Mapping[str, Any]) -> str:
    device = found.get("device")
    work = page.figures("kernels").get("operators") or ()
    points = [
        (
            one["name"] + (f" {one['shapes'][:60]}" if one.get("shapes") else ""),
            _paint(one["class"]),
            one["flops"] / one["bytes"],
            one["flops"] / (one["ms"] / 1e3),
            one["ms"],
        )
        for one in work
        if one.get("flops") and one.get("bytes") and one["ms"] > 0
    ]
    if device is None or not points:
        return ""
    shown = {one["class"] for one in work if one.get("flops") and one.get("bytes")}
    picture = roofline(points, flops=device["flops"], bytes_per_s=device["bytes_per_s"])
    keys = legend({_paint(name): _class(name) for name in shown})
    return f"<h3>Operators under the roofs of {esc(device['name'], 60)}</h3>{picture}{keys}"


def _rates(found: Mapping[str, Any]) -> str:
    peaks = (found.get("device") or {}).get("flops") or {}
    rows = []
    for one in found.get("formats", ()):
        rate = one["flops"] / (one["ms"] / 1e3) if one["ms"] > 0 else None
        peak = peaks.get(one["format"])
        share = rate / peak if rate is not None and peak else None
        rows.append(
            [
                esc(_class(one["class"])),
                text_cell(one["format"]),
                ms_cell(one["ms"]),
                cell(rate, UNKNOWN if rate is None else f"{rate / 1e12:,.4g} TFLOP/s"),
                cell(share, format_percent(share)),
            ]
        )
    return grid("Arithmetic by class and format", ["Class", "Format", "Per step", "Rate", "Of the peak"], rows)
