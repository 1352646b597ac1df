"""Was anything compiled again, and is the hardware held back?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmprof.reports.html.charts import curve
from llmprof.reports.html.frame import Content, Page, cell, grid, ms_cell, text_cell
from llmprof.reports.html.markup import esc
from llmprof.reports.text import short
from llmprof.units import UNKNOWN, format_bytes, format_count, format_ms, format_percent

__all__ = ["compilation", "devices"]

_SERIES = {
    "gpu_util": ("GPU utilization", lambda v: f"{v:.0f} %", 100.0),
    "sm_mhz": ("SM clock", lambda v: f"{v:,.0f} MHz", None),
    "power_w": ("Power", lambda v: f"{v:,.0f} W", None),
    "temp_c": ("Temperature", lambda v: f"{v:.0f} °C", None),
    "mem_used_bytes": ("Memory in use on the device", format_bytes, None),
    "sm_active": ("SMs active", lambda v: f"{v:.0f} %", 100.0),
    "tensor_active": ("Tensor cores active", lambda v: f"{v:.0f} %", 100.0),
    "dram_active": ("Memory traffic", lambda v: f"{v:.0f} %", 100.0),
}


def compilation(page: Page) -> Content | None:
    """What torch.compile was asked for and did."""
    found = page.figures("compile")
    if not found.keys() - {"graph_launches"} and not found.get("graph_launches"):
        return Content("Nothing tells whether torch.compile was used.")
    told = []
    if found.get("compiled"):
        frames, graphs, breaks = found.get("frames"), found.get("graphs"), found.get("graph_breaks")
        told.append("The model is compiled")
        told[-1] += f": {format_count(frames)} frames in {format_count(graphs)} graphs" if frames is not None else ""
        told[-1] += f", broken {format_count(breaks)} times." if breaks is not None else "."
    elif "compiled" in found:
        told.append("torch.compile is not used.")
    if found.get("graph_launches"):
        told.append(f"{format_count(found['graph_launches'])} CUDA graphs are launched per step.")
    if found.get("compile_ms"):
        told.append(f"Compiling takes {format_ms(found['compile_ms'])} of the mean step.")
    steps = found.get("steps") or ()
    names = (
        "modules",
        "whole_model",
        "backend",
        "mode",
        "dynamic",
        "fullgraph",
        "frames",
        "graphs",
        "graph_breaks",
        "cuda_graphs",
    )
    rows = [
        [esc(name.replace("_", " ")), text_cell(_yes(found[name]))] for name in names if found.get(name) is not None
    ]
    slow = [
        [f"step {esc(one['number'])}", ms_cell(one["ms"])] for one in sorted(steps, key=lambda one: -one["ms"])[:15]
    ]
    blocks = [
        grid("Steps in which something was compiled", ["Step", "Compiling"], slow),
        grid("Settings and counts", ["What", "Value"], rows),
    ]
    return Content(esc(" ".join(told) or "What is known of torch.compile:", 400), blocks)


def _yes(value: object) -> object:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def devices(page: Page) -> Content | None:
    """Clocks, power and temperature, and what held the clocks down."""
    found = page.figures("devices")
    rows = found.get("ranks") or ()
    if not rows and not found.get("series"):
        if page.without_gpu:
            return Content("This run used no GPU.")
        return Content("The device was not sampled: record with llmprof run on a machine with NVML.")
    slowed = [one for one in rows if (one.get("slowed_share") or 0.0) > 0]
    told = []
    if slowed:
        worst = max(slowed, key=lambda one: one["slowed_share"])
        told.append(
            f"The clocks of rank {worst['rank']}'s GPU are held down in {format_percent(worst['slowed_share'])} "
            "of the samples."
        )
    elif any(one.get("slowed_share") is not None for one in rows):
        told.append("No GPU was held down.")
    if rows and rows[0].get("sm_mhz") is not None:
        one = rows[0]
        share = f" ({format_percent(one['clock_share'])} of the highest)" if one.get("clock_share") is not None else ""
        told.append(f"Rank {one['rank']}'s SMs run at {one['sm_mhz']:,.0f} MHz{share}.")
    return Content(esc(" ".join(told) or "Samples of the device over the run:", 400), [_strips(found), _table(rows)])


def _strips(found: Mapping[str, Any]) -> str:
    drawn = []
    for one in found.get("series", ()):
        title, show, highest = _SERIES.get(one["name"], (one["name"], short, None))
        known = [value for value in one["value"] if value is not None]
        if len(known) < 2:
            continue
        ends = ("0 s", f"{one['s'][-1]:,.1f} s")
        top = f"{show(min(known))} to {show(max(known))}"
        drawn.append(curve(title, one["value"], ends=ends, top=top, highest=highest))
    return f'<div class="pair">{"".join(drawn)}</div>' if any(drawn) else ""


def _table(rows: Any) -> str:
    lines = []
    for one in rows:
        reasons = ", ".join(
            f"{name.replace('_', ' ')} {format_percent(share)}" for name, share in (one.get("reasons") or {}).items()
        )
        lines.append(
            [
                f"rank {esc(one['rank'])}",
                cell(one.get("utilization"), format_percent(one.get("utilization"))),
                cell(one.get("sm_mhz"), _number(one.get("sm_mhz"), "MHz")),
                cell(one.get("power_w"), _number(one.get("power_w"), "W")),
                cell(one.get("temperature_c"), _number(one.get("temperature_c"), "°C")),
                cell(one.get("used_bytes"), format_bytes(one.get("used_bytes"))),
                cell(one.get("slowed_share"), format_percent(one.get("slowed_share"))),
                text_cell(reasons or None),
            ]
        )
    head = ["GPU of", "Utilization", "SM clock", "Power", "Hottest", "Memory in use", "Held down", "Reasons"]
    return grid("GPUs during the counted steps", head, lines)


def _number(value: float | None, unit: str) -> str:
    return UNKNOWN if value is None else f"{value:,.0f} {unit}"
