"""What fills the card, what is left, and what would fit?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmprof.reports.html.charts import Piece, Row, bars, curve, legend
from llmprof.reports.html.frame import Content, Page, cell, grid, text_cell
from llmprof.reports.html.markup import esc
from llmprof.units import format_bytes, format_count, format_percent

__all__ = ["memory"]

_PAINT = {
    "weights": "k-gemm",
    "gradients": "p-communication",
    "optimizer states": "p-memory_management",
    "activations and buffers": "p-host",
}
_PLANS = {
    "checkpointing": "recompute activations of every block",
    "half-batch": "half the batch per rank",
    "8bit-optimizer": "optimizer states in 8 bits",
    "zero-1": "optimizer states sharded (ZeRO 1)",
    "zero-2": "gradients sharded too (ZeRO 2)",
    "zero-3": "weights sharded too (ZeRO 3, FSDP)",
}


def memory(page: Page) -> Content | None:
    """Peaks, composition at the peak, what would be in use after a change, and the course of it."""
    found = page.figures("memory")
    if not found or all(
        found.get(key) is None for key in ("peak_allocated_bytes", "peak_reserved_bytes", "composition")
    ):
        if page.without_gpu:
            return Content("This run used no GPU.")
        return Content("The allocator was not read: record with llmprof run, a trace alone does not tell.")
    blocks = [_composition(found), _plans(found), _course(found), _figures(found), _live(found)]
    return Content(esc(_answer(page, found), 500), blocks)


def _answer(page: Page, found: Mapping[str, Any]) -> str:
    capacity, peak = found.get("capacity_bytes"), found.get("peak_allocated_bytes")
    reserved = found.get("peak_reserved_bytes")
    several = f" on rank {found['rank']}, the fullest" if len(page.diagnosis.source.ranks) > 1 else ""
    told = []
    if peak is not None:
        share = f" of {format_bytes(capacity)} ({format_percent(peak / capacity)})" if capacity else ""
        told.append(f"Tensors use {format_bytes(peak)}{share} at the peak{several}.")
    if reserved is not None and peak is not None and reserved > peak:
        told.append(f"The allocator holds {format_bytes(reserved)}.")
    if capacity and reserved is not None:
        told.append(f"{format_bytes(max(capacity - reserved, 0))} are left.")
    if found.get("retries"):
        told.append(f"It ran full {format_count(found['retries'])} times and had to give memory back.")
    return " ".join(told) or "What was recorded of the device's memory:"


def _composition(found: Mapping[str, Any]) -> str:
    made: Mapping[str, int] = found.get("composition") or {}
    capacity = found.get("capacity_bytes")
    total = sum(made.values())
    if total <= 0:
        return ""
    pieces = tuple(
        Piece(size, _PAINT.get(name, "p-other"), f"{name} {format_bytes(size)}") for name, size in made.items()
    )
    row = Row("at the peak", pieces, format_bytes(total), mark=capacity)
    how = "" if found.get("composition_measured") else "; gradients are taken as large as the weights that train"
    rows = [
        [esc(name), cell(size, format_bytes(size)), cell(size / total, format_percent(size / total))]
        for name, size in made.items()
    ]
    return (
        f"<h3>What tensors are{esc(how)}</h3>"
        + bars("Memory at the peak by what it is", [row])
        + legend({_PAINT.get(name, "p-other"): f"{name} {format_bytes(size)}" for name, size in made.items()})
        + grid("Memory at the peak", ["What", "Size", "Share"], rows)
    )


def _plans(found: Mapping[str, Any]) -> str:
    plans, capacity = found.get("plans") or (), found.get("capacity_bytes")
    if not plans:
        return ""
    rows = []
    for plan in sorted(plans, key=lambda one: one["bytes"]):
        fits = "" if capacity is None else ", fits" if plan["bytes"] <= capacity else ", does not fit"
        rows.append(
            Row(
                _PLANS.get(plan["name"], plan["name"]),
                (Piece(plan["bytes"], "p-memory_management"),),
                f"{format_bytes(plan['bytes'])}{fits}",
                mark=capacity,
            )
        )
    factor = found.get("batch_factor_that_fits")
    batch = "" if factor is None else f'<p class="aside">{esc(_batch(factor))}</p>'
    return "<h3>What would be in use after one change</h3>" + bars("Memory after one change", rows) + batch


def _batch(factor: float) -> str:
    if factor < 1:
        return f"To fit, the batch would have to shrink to {format_percent(factor)} of what it is."
    return f"With everything else as it is, a batch {factor:.1f} times as large would just fit."


def _course(found: Mapping[str, Any]) -> str:
    capacity, drawn = found.get("capacity_bytes"), []
    readings = found.get("readings") or {}
    if len(readings.get("bytes", ())) > 1:
        sizes, steps = readings["bytes"], readings["step"]
        drawn.append(
            curve(
                "In use between steps",
                sizes,
                ends=(f"step {steps[0]}", f"step {steps[-1]}"),
                top=f"up to {format_bytes(max(sizes))}",
            )
        )
    course = found.get("curve") or {}
    if len(course.get("bytes", ())) > 1:
        sizes = course["bytes"]
        limit = capacity if capacity and capacity < 3 * max(sizes) else None
        drawn.append(
            curve(
                "In use over the recorded history",
                sizes,
                ends=("start", f"{course['ms'][-1]:,.0f} ms"),
                top=f"up to {format_bytes(max(sizes))}",
                limit=limit,
                limit_text="" if limit is None else f"capacity {format_bytes(limit)}",
            )
        )
    return f'<div class="pair">{"".join(drawn)}</div>' if drawn else ""


_NAMES = {
    "capacity_bytes": "capacity",
    "peak_reserved_bytes": "held by the allocator, peak",
    "peak_allocated_bytes": "in tensors, peak",
    "unusable_bytes": "held, in no tensor, and not to be given back",
}


def _figures(found: Mapping[str, Any]) -> str:
    capacity = found.get("capacity_bytes")
    rows = []
    for key, name in _NAMES.items():
        size = found.get(key)
        if size is not None:
            share = size / capacity if capacity else None
            rows.append([esc(name), cell(size, format_bytes(size)), cell(share, format_percent(share))])
    return grid("Peaks of the allocator", ["What", "Size", "Of the device"], rows)


def _live(found: Mapping[str, Any]) -> str:
    rows = [
        [
            f"<code>{esc(one['place'], 140)}</code>",
            cell(one["bytes"], format_bytes(one["bytes"])),
            text_cell(one["blocks"]),
        ]
        for one in found.get("live", ())
    ]
    return grid("The biggest live blocks", ["Allocated at", "Size", "Blocks"], rows)
