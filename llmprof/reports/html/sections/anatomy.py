"""Is every step alike, and why does the GPU wait? Step by step, and idle time by cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmprof.analyzers.diagnosis import PARTS
from llmprof.reports.html.charts import Piece, Row, bars, curve, legend
from llmprof.reports.html.frame import Content, Page, at_link, cell, grid, ms_cell, short_ms, text_cell
from llmprof.reports.html.markup import esc
from llmprof.reports.labels import PART_LABELS, STALL_NAMES
from llmprof.units import format_ms, format_percent

__all__ = ["CAUSES", "anatomy", "idle"]

CAUSES = {
    "wait": ("data", "the next batch was not there"),
    "launch": ("host", "the host had not launched the next kernel"),
    "gap": ("host", "latency of a launch that was queued already"),
    "python": ("host", "Python between operators"),
    "sync": ("sync", "refilling the queue after the host had waited for the device"),
    "memory_management": ("memory_management", "calls of the allocator to the driver"),
    "dependency": ("other", "waiting for work on another stream"),
    "unlinked": ("other", "before work whose launch was not recorded"),
    "untraced": ("other", "beyond what the trace explains"),
    "checkpoint": ("stalls", "a checkpoint was written"),
    "evaluation": ("stalls", "evaluation"),
    "gc": ("stalls", "garbage collection"),
    "compile": ("stalls", "compilation"),
    "plan_build": ("stalls", "planning an operator for a new shape"),
}
"""Detailed classes of idle time: the part that they belong to, and what they mean."""
MOST_GAPS = 8
MUCH_IDLE = 0.1
"""From this share of the step on, the picture is shown at once."""
OUTLIER = 1.3
"""A traced step longer than the median by this factor is marked; three robust deviations are rarely more."""


def anatomy(page: Page) -> Content | None:
    """Every traced step as a bar, the spread of each part, and the steps that stand out of the run."""
    found = page.figures("anatomy")
    history = page.view.history_ms
    steps = list(found.get("steps", ()))
    if not found and len(history) < 2:
        return None
    blocks = [_history(page), _bars(steps), _spread(found.get("spread", {})), _longest(page, found), _stalls(found)]
    return Content(esc(_answer(page, found, steps), 500), blocks)


def _answer(page: Page, found: Mapping[str, Any], steps: list[Mapping[str, Any]]) -> str:
    outliers, step = found.get("outliers"), page.diagnosis.step
    told = []
    if outliers is not None and found.get("steady_steps"):
        count = outliers["count"]
        if count:
            often = f", one every {outliers['period_steps']} steps" if outliers.get("period_steps") else ""
            verb, they = ("stands", "it adds") if count == 1 else ("stand", "together they add")
            told.append(f"{count} of {found['steady_steps']} steady steps {verb} out{often}")
            excess = outliers["excess_ms"]
            told[-1] += (
                f"; {they} {short_ms(excess)} to the mean step." if excess > 0 else ", none of those that count."
            )
        else:
            told.append(f"All {found['steady_steps']} steady steps are alike.")
    elif step.median_ms and step.p95_ms:
        told.append(
            f"The median step takes {format_ms(step.median_ms)}, one in twenty {format_ms(step.p95_ms)} or more."
        )
    if steps:
        was = "step was" if len(steps) == 1 else "steps were"
        told.append(f"{len(steps)} {was} traced, which the profiler makes longer.")
    return " ".join(told) or "Step times as recorded."


def _history(page: Page) -> str:
    values = page.view.history_ms
    if len(values) < 3:
        return ""
    median = sorted(values)[len(values) // 2]
    return curve(
        "Steps without the profiler, in order",
        values,
        ends=("first", f"{len(values)} shown"),
        top=f"up to {format_ms(max(values))}",
        limit=median,
        limit_text=f"median {format_ms(median)}",
    )


def _bars(steps: list[Mapping[str, Any]]) -> str:
    if not steps:
        return ""
    walls = sorted(step["wall_ms"] for step in steps)
    usual = walls[len(walls) // 2] * OUTLIER
    rows = []
    for step in steps:
        pieces = tuple(
            Piece(step["parts"][part], f"p-{part}", f"{PART_LABELS[part].name} {format_ms(step['parts'][part])}")
            for part in PARTS
            if step["parts"].get(part)
        )
        late = " (long)" if step["wall_ms"] > usual else ""
        rows.append(Row(f"step {step['number']}{late}", pieces, format_ms(step["wall_ms"])))
    shown = [part for part in PARTS if any(step["parts"].get(part) for step in steps)]
    keys = legend({f"p-{part}": PART_LABELS[part].name for part in shown})
    return bars("Traced steps, each split into its parts", rows) + keys


def _spread(spread: Mapping[str, Any]) -> str:
    rows = [
        [esc(PART_LABELS[part].name), ms_cell(one["median_ms"]), ms_cell(one["p95_ms"]), ms_cell(one["max_ms"])]
        for part in PARTS
        if (one := spread.get(part))
    ]
    return grid("Parts of the traced steps", ["Part", "Median", "p95", "Longest"], rows)


def _longest(page: Page, found: Mapping[str, Any]) -> str:
    longest = (found.get("outliers") or {}).get("longest", ())
    rank = page.diagnosis.partition_rank
    rows = [
        [
            f"step {esc(one['step'])}{at_link(page, rank, one.get('window_ns'))}",
            ms_cell(one["wall_ms"]),
            ms_cell(one["excess_ms"]),
            text_cell((one.get("cause") or "no measured part grew").replace("_", " ")),
        ]
        for one in longest[:10]
    ]
    return grid("The longest steps of the run", ["Step", "Time", "Beyond the median", "Which part grew"], rows)


def _stalls(found: Mapping[str, Any]) -> str:
    rows = [
        [
            esc(STALL_NAMES.get(name, name.replace("_", " "))),
            cell(one["count"], str(one["count"])),
            ms_cell(one["longest_ms"]),
            ms_cell(one["per_step_ms"]),
            text_cell(f"every {one['period_steps']} steps" if one.get("period_steps") else "not regular"),
        ]
        for name, one in (found.get("stalls") or {}).items()
    ]
    warm = found.get("warm_up")
    if warm:
        rows.append(
            [
                "warm-up (not counted)",
                cell(warm["steps"], f"{warm['steps']} steps"),
                ms_cell(warm["first_ms"]),
                "<td></td>",
                text_cell(f"{format_ms(warm['total_ms'])} in all"),
            ]
        )
    return grid("What stops training between steps", ["What", "Times", "Longest", "Per step", "When"], rows)


def idle(page: Page) -> Content | None:
    """Idle time by cause, and the longest gaps."""
    found = page.figures("idle")
    causes: Mapping[str, float] = found.get("causes", {})
    if not found:
        if page.without_gpu:
            return Content("This run used no GPU.")
        return Content("The recording does not tell when the GPU works: trace it with CUDA activities.")
    if not causes:
        return Content("The GPU never waits.")
    total = sum(causes.values())
    first = max(causes, key=lambda name: causes[name])
    answer = f"The GPU does nothing for {format_ms(total)} of every step ({format_percent(found.get('share'))})"
    answer += f", {format_percent(causes[first] / total)} of it because {_because(first)}." if total > 0 else "."
    reported = found.get("reported_utilization")
    if reported is not None:
        answer += (
            f" The driver's utilization reads {format_percent(reported)}: the share of time with any kernel at all."
        )
    rows = [
        Row(_meaning(name), (Piece(value, f"p-{_part(name)}"),), f"{format_ms(value)}, {format_percent(value / total)}")
        for name, value in causes.items()
        if value >= 0.001 * total
    ]
    blocks = [bars("Idle time by cause", rows), _gaps(page, found)]
    return Content(esc(answer, 500), blocks, quiet=(found.get("share") or 0.0) < MUCH_IDLE)


def _because(name: str) -> str:
    told = _meaning(name)
    return told if name in ("wait", "launch", "checkpoint") else f"of {told}"


def _meaning(name: str) -> str:
    return CAUSES[name][1] if name in CAUSES else name.replace("_", " ")


def _part(name: str) -> str:
    return CAUSES[name][0] if name in CAUSES else "other"


def _gaps(page: Page, found: Mapping[str, Any]) -> str:
    rank = page.diagnosis.partition_rank
    rows = [
        [
            esc(_meaning(gap["cause"])) + at_link(page, rank, gap.get("window_ns")),
            ms_cell(gap["ms"]),
            text_cell(gap.get("step")),
        ]
        for gap in found.get("gaps", ())[:MOST_GAPS]
    ]
    return grid("The longest gaps of the traced steps", ["Cause", "Length", "Step"], rows)
