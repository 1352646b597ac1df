"""Do the loader's workers keep up, and is Python the limit? The input pipeline and the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmprof.reports.html.charts import Piece, Row, bars, curve
from llmprof.reports.html.frame import Content, Page, at_link, cell, grid, ms_cell, short_ms, text_cell
from llmprof.reports.html.markup import esc
from llmprof.reports.text import short
from llmprof.units import format_count, format_ms, format_percent

__all__ = ["host", "input_pipeline"]


def input_pipeline(page: Page) -> Content | None:
    """Waits, batch times and the queue of the loader."""
    found = dict(page.figures("input"))
    if page.without_gpu:
        found.pop("exposed_wait_ms", None)  # nothing that could be idle meanwhile
    if not found:
        return Content("No DataLoader was seen, and no wait for a batch was measured.")
    return Content(esc(_supply(found), 500), [_waits(found), _curves(found), _stages(page, found)])


def _supply(found: Mapping[str, Any]) -> str:
    wait, exposed = found.get("wait_ms"), found.get("exposed_wait_ms")
    made, needed = found.get("delivered_per_s"), found.get("needed_per_s")
    told = []
    if wait is not None:
        told.append(f"The loop waits {format_ms(wait)} for its batch in every step")
        around = "of that" if exposed is not None and exposed <= 1.001 * wait else "around it"
        told[-1] += "." if exposed is None else f"; the GPU has nothing to do for {short_ms(exposed)} {around}."
    if found.get("in_process"):
        told.append("Batches are made in the training process, between steps.")
    elif made is not None and needed is not None:
        told.append(f"The workers can make {short(made)} batches per second, the step needs {short(needed)}.")
    empty = found.get("queue_empty_share")
    if empty is not None:
        told.append(f"{format_percent(empty)} of the fetches found no batch ready.")
    return " ".join(told) or "A DataLoader was seen; its times were not measured."


def _waits(found: Mapping[str, Any]) -> str:
    rows = [
        Row(name, (Piece(value, paint),), format_ms(value))
        for name, key, paint in (
            ("making one batch", "batch_ms", "p-compute"),
            ("waiting for it", "wait_ms", "pale p-data"),
            ("GPU idle meanwhile", "exposed_wait_ms", "p-data"),
        )
        if (value := found.get(key)) is not None
    ]
    workers = found.get("batch_by_worker_ms") or ()
    spread = [
        Row(f"worker {place}", (Piece(value, "p-compute"),), format_ms(value)) for place, value in enumerate(workers)
    ]
    extra = (
        "<h3>Time per batch by worker</h3>" + bars("Time per batch by worker", spread[:32]) if len(spread) > 1 else ""
    )
    return bars("Batches and waits", rows) + extra if rows else extra


def _curves(found: Mapping[str, Any]) -> str:
    by_step = found.get("by_step") or {}
    numbers = list(by_step.get("number") or ())
    if len(numbers) < 2:
        return ""
    ends = (f"step {numbers[0]}", f"step {numbers[-1]}")
    drawn = []
    wait = by_step.get("wait_ms")
    if wait:
        highest = max(value for value in wait if value is not None)
        drawn.append(curve("Wait for the batch", wait, ends=ends, top=f"up to {format_ms(highest)}"))
    queue = by_step.get("queue")
    if queue:
        highest = max(value for value in queue if value is not None)
        top = f"up to {highest:.0f} batches"
        drawn.append(curve("Batches ready when the loop asks", queue, ends=ends, top=top, step=True))
    return f'<div class="pair">{"".join(drawn)}</div>' if any(drawn) else ""


_STAGES = (
    ("Wait for the batch", "wait_ms"),
    ("of it with an idle GPU", "exposed_wait_ms"),
    ("Making one batch, mean", "batch_ms"),
    ("Making one batch, median", "batch_p50_ms"),
    ("Making one batch, p95", "batch_p95_ms"),
    ("CPU time of one batch", "batch_cpu_ms"),
    ("Handing over a ready batch", "hand_over_ms"),
)


def _stages(page: Page, found: Mapping[str, Any]) -> str:
    mean = page.diagnosis.step.mean_ms
    rows = [
        [esc(name), ms_cell(value), cell(value / mean if mean else None, format_percent(value / mean) if mean else "")]
        for name, key in _STAGES
        if (value := found.get(key)) is not None
    ]
    settings = found.get("settings") or {}
    lines = [[f"<code>{esc(name, 60)}</code>", text_cell(value)] for name, value in settings.items()]
    return grid("Stages of the input", ["Stage", "Time", "Share of the step"], rows) + grid(
        "Settings of the loader", ["Setting", "Value"], lines
    )


def host(page: Page) -> Content | None:
    """Launches, waits and the operators in which the host spends its time."""
    found = page.figures("host")
    if not found:
        return Content("The host was not traced: record a burst with CPU activities.")
    late = found.get("late") or {}
    blocks = [_late(page, late), _blocking(found), _self_times(found), _load(found)]
    return Content(esc(_launches(page, found, late), 500), blocks)


def _launches(page: Page, found: Mapping[str, Any], late: Mapping[str, Any]) -> str:
    told = []
    launches, kernels = found.get("launches"), found.get("kernels")
    if launches is not None:
        told.append(f"{format_count(launches)} launches from {format_count(found.get('operators'))} operators per step")
        mean = found.get("kernel_mean_ms")
        if kernels and mean is not None:
            told[-1] += f", for {format_count(kernels)} kernels of {short_ms(mean)} each"
            short = found.get("short_share")
            told[-1] += f" ({format_percent(short)} below 10 µs)" if short is not None else ""
        told[-1] += "."
    if page.without_gpu:
        return f"Python between operators takes {format_ms(late.get('all_ms'))} of a traced step."
    if late.get("all_ms"):
        told.append(f"In a traced step the GPU waits {format_ms(late['all_ms'])} for the host.")
    return " ".join(told) or "What the host did in the traced steps:"


def _late(page: Page, late: Mapping[str, Any]) -> str:
    total = late.get("all_ms")
    if not total:
        return ""
    pieces = {
        "preparing the batch": late.get("preparing_ms"),
        "Python, 1 ms and longer at a time": late.get("python_long_ms"),
        "Python between operators": late.get("python_short_ms"),
    }
    known = {name: value for name, value in pieces.items() if value}
    rest = total - sum(known.values())
    if rest > 0:
        known["operators and launches"] = rest
    rows = [Row(name, (Piece(value, "p-host"),), format_ms(value)) for name, value in known.items()]
    link = at_link(page, page.diagnosis.partition_rank, late.get("longest_ns"))
    where = f'<p class="aside">The longest wait{link}.</p>' if link else ""
    title = "Between operators" if page.without_gpu else "What the host does while the GPU waits for it"
    return f"<h3>{title}</h3>" + bars("Waits for the host", rows) + where


def _blocking(found: Mapping[str, Any]) -> str:
    rows = [
        [
            f"<code>{esc(one['operator'], 90)}</code>",
            text_cell(str(one["what"]).replace("-", " ")),
            cell(one["count"], short(one["count"])),
            ms_cell(one["blocked_ms"]),
            text_cell(one.get("place"), 120),
        ]
        for one in found.get("blocking", ())
    ]
    head = ["Operator or call", "It waits for", "Times per step", "Host time inside", "Where"]
    return grid("Calls in which the host waits", head, rows)


def _self_times(found: Mapping[str, Any]) -> str:
    rows = [
        [f"<code>{esc(one['name'], 90)}</code>", ms_cell(one["self_ms"]), cell(one["calls"], f"{one['calls']:,.4g}")]
        for one in found.get("self_times", ())
    ]
    return grid("Host time by operator, without what it calls", ["Operator or call", "Own time", "Calls"], rows)


def _load(found: Mapping[str, Any]) -> str:
    used, collected = found.get("cores_used"), found.get("garbage_collection")
    told = []
    if used is not None:
        told.append(f"The rank's processes use {used:.1f} cores.")
    if collected is not None and collected.get("mean_ms"):
        told.append(
            f"Garbage collection takes {short_ms(collected['mean_ms'])} per step, "
            f"{format_ms(collected['longest_ms'])} at most, in {format_percent(collected['steps_share'])} of the steps."
        )
    return f'<p class="aside">{esc(" ".join(told))}</p>' if told else ""
