"""How does a job that is going on look at a glance? A block of at most twelve lines, from a LiveState alone.

What it suspects is a suspicion, from the always-on figures of the last steps; the verdict comes with the analysis.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich.text import Text

from llmprof.reports.live_run import GpuNow, LiveState, StepNow
from llmprof.reports.text import clip, visible
from llmprof.units import format_bytes, format_count, format_ms, format_percent

__all__ = ["LINES", "panel", "suspicion_of"]

LINES = 12
MOST_GPUS = 4
RECENT = 20
"""Steps that the figures are about."""
NOTABLE = 0.1
"""A tenth of the step is worth a word."""
LAZY = 50.0
"""Percent of the time with a kernel, below which the GPU is rather waited for than waits."""
NEARLY_FULL = 0.97
SILENT_S, SILENT_STEPS = 30.0, 10
"""A step that takes ten times as long as usual, and half a minute at least: steps are written every two seconds."""
_BARS = "▁▂▃▄▅▆▇█"


def panel(state: LiveState, width: int, *, ascii_only: bool = False) -> list[Text]:
    """At most LINES lines, none wider than `width`."""
    lines = [_headline(state)]
    if state.steps:
        lines += [_times(state.steps, width, ascii_only), _parts(state.steps)]
    else:
        lines.append(Text("  no completed step yet", style="dim"))
    lines += _gpus(state.gpus)
    suspicion = suspicion_of(state)
    if suspicion:
        lines.append(Text(f"  looks {suspicion}", style="yellow"))
    lines += [Text(f"  {visible(note)}", style="dim") for note in state.notes[-2:]]
    for line in lines[:LINES]:
        line.truncate(width, overflow="crop")
    return lines[:LINES]


def suspicion_of(state: LiveState) -> str:
    """What the last steps look like, with how many of them do; empty when nothing stands out."""
    recent = state.steps[-RECENT:]
    if len(recent) < 3:
        return ""
    usual_s = statistics.median(step.wall_ms for step in recent) / 1000
    if state.silent_s is not None and state.silent_s > max(SILENT_S, SILENT_STEPS * usual_s):
        return f"quiet: no step has ended for {state.silent_s:.0f} s (saving, evaluating, or hanging)"
    measured = [step for step in recent if step.waited_ms is not None]
    waiting = [step for step in measured if (step.waited_ms or 0.0) >= NOTABLE * step.wall_ms]
    if measured and 2 * len(waiting) > len(measured):
        share = sum(step.waited_ms or 0.0 for step in measured) / sum(step.wall_ms for step in measured)
        return f"input-bound: waits for data {format_percent(share)} of the step, {len(waiting)}/{len(measured)} steps"
    total = sum(step.wall_ms for step in recent)
    for name in ("checkpoint", "evaluation", "gc"):
        stalled = sum(step.stalls_ms.get(name, 0.0) for step in recent)
        if stalled >= NOTABLE * total:
            return f"stalled: {name} takes {format_percent(stalled / total)} of the last {len(recent)} steps"
    known = [gpu.util for gpu in state.gpus if gpu.util is not None]
    if any(gpu.throttled for gpu in state.gpus):
        return "throttled: the clocks of a GPU are held down"
    if known and statistics.median(known) < LAZY:
        return f"host-bound: GPUs run kernels {statistics.median(known):.0f} % of the time and do not wait for data"
    full = [gpu for gpu in state.gpus if gpu.memory_used and gpu.memory_total]
    if any((gpu.memory_used or 0) >= NEARLY_FULL * (gpu.memory_total or 1) for gpu in full):
        return "short of memory: a GPU is nearly full"
    return ""


def _headline(state: LiveState) -> Text:
    line = Text("llmprof ", style="bold")
    line.append(clip(visible(state.name), 40), style="none")
    if state.elapsed_s is not None:
        line.append(f"  {_clock(state.elapsed_s)}", style="dim")
    if state.steps:
        last = state.steps[-1]
        line.append(f"  step {last.number:,}", style="bold")
        line.append(f" ({visible(last.phase)})", style="dim")
    whole = state.world_size or state.ranks
    if whole > 1:
        line.append(f"  {state.ranks} of {whole} ranks")
    if state.ended:
        line.append(f"  {state.ended}", style="bold")
    return line


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _times(steps: Sequence[StepNow], width: int, ascii_only: bool) -> Text:
    recent = [step.wall_ms for step in steps[-RECENT:]]
    middle = statistics.median(recent)
    late = sorted(recent)[max(int(0.95 * len(recent)) - 1, 0)]
    told = f"  {format_ms(middle)}/step, p95 {format_ms(late)}"
    tokens = [step.tokens for step in steps[-RECENT:] if step.tokens is not None]
    if len(tokens) == len(recent):
        told += f", {format_count(1000 * sum(tokens) / sum(recent))} tokens/s a rank"
    line = Text(told + "  ")
    room = min(width - len(told) - 4, 60)
    if room >= 8 and not ascii_only:
        line.append(_spark([step.wall_ms for step in steps[-room:]]), style="cyan")
    return line


def _spark(values: Sequence[float]) -> str:
    """Steps from 0 to twice the median: noise of a steady run looks like noise."""
    top = 2 * statistics.median(values) or 1.0
    return "".join(_BARS[min(int(value / top * len(_BARS)), len(_BARS) - 1)] for value in values)


def _parts(steps: Sequence[StepNow]) -> Text:
    """What the always-on figures tell of the step; the rest is kernels and everything that only a trace tells apart."""
    recent = steps[-RECENT:]
    total = sum(step.wall_ms for step in recent)
    line = Text("  ")
    measured = [step for step in recent if step.waited_ms is not None]
    if measured:
        share = sum(step.waited_ms or 0.0 for step in measured) / (sum(step.wall_ms for step in measured) or 1.0)
        line.append(f"input wait {format_percent(share)}", style="red" if share >= NOTABLE else "none").append(" | ")
    for name in ("checkpoint", "evaluation", "gc"):
        share = sum(step.stalls_ms.get(name, 0.0) for step in recent) / (total or 1.0)
        if share > 0:
            line.append(f"{name} {format_percent(share)} | ")
    return line.append(f"the rest is work, of the last {len(recent)} steps", style="dim")


def _gpus(gpus: Sequence[GpuNow]) -> list[Text]:
    if len(gpus) <= MOST_GPUS:
        return [_gpu_line(f"GPU {gpu.gpu}", gpu) for gpu in gpus]
    known = [gpu for gpu in gpus if gpu.util is not None]
    if not known:
        return [Text(f"  {len(gpus)} GPUs do not answer", style="dim")]
    by_use = sorted(known, key=lambda gpu: gpu.util or 0.0)
    chosen = (("least", by_use[0]), ("median", by_use[len(by_use) // 2]), ("most", by_use[-1]))
    return [_gpu_line(f"{word} busy of {len(gpus)}: GPU {gpu.gpu} of {visible(gpu.host)}", gpu) for word, gpu in chosen]


def _gpu_line(name: str, gpu: GpuNow) -> Text:
    memory = None
    if gpu.memory_used is not None and gpu.memory_total is not None:
        memory = f"{format_bytes(gpu.memory_used)} of {format_bytes(gpu.memory_total)}"
    shown = (
        None if gpu.util is None else f"busy {gpu.util:.0f} %",
        memory,
        None if gpu.power_w is None else f"{gpu.power_w:.0f} W",
        None if gpu.sm_mhz is None else f"{gpu.sm_mhz:.0f} MHz",
        None if gpu.temp_c is None else f"{gpu.temp_c:.0f} C",
    )
    line = Text(f"  {name}  " + "  ".join(text for text in shown if text))
    return line.append("  throttled", style="bold red") if gpu.throttled else line
