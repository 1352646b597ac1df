"""How do the figures get into Prometheus? A file in its text format, for the textfile collector of node_exporter.

The last value of every quantity, as gauges; replaced as a whole, so that the collector never reads half a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from llmprof.reports.exporters.figures import Figures
from llmprof.reports.text import visible
from llmprof.timeline.rundir import write_text_atomic

__all__ = ["text_of", "write"]

_HELP = {
    "step_ms": "Wall time of the last completed training step.",
    "data_wait_ms": "Time in the loader's next() in the last step.",
    "data_wait_exposed_ms": "Of it, time with an idle device, in the last sampled step.",
    "tokens_per_s": "Tokens of the last step over its wall time.",
}


def write(figures: Figures, out: Path | str) -> str:
    """Write the file; says what to do with it."""
    write_text_atomic(Path(out), text_of(figures))
    return f"{out}: put it where node_exporter's --collector.textfile.directory points to."


def text_of(figures: Figures) -> str:
    """The figures in Prometheus' text exposition format, version 0.0.4."""
    run = {"run": figures.name}
    rows: dict[str, list[str]] = {}
    for track in figures.tracks:
        rows.setdefault(f"llmprof_{track.name}", []).append(
            f"{_labels({**run, **track.labels})} {float(track.value[-1])!r}"
        )
        if track.name == "step_ms":
            rows.setdefault("llmprof_last_step", []).append(f"{_labels({**run, **track.labels})} {track.step[-1]}")
    for name, value in figures.summary.items():
        rows.setdefault(f"llmprof_run_{name}", []).append(f"{_labels(run)} {value!r}")
    if figures.texts:
        rows["llmprof_run_info"] = [f"{_labels({**run, **figures.texts})} 1"]
    lines = []
    for name, values in rows.items():
        told = _HELP.get(name.removeprefix("llmprof_"), name.removeprefix("llmprof_").replace("_", " ") + ".")
        lines += [f"# HELP {name} {told}", f"# TYPE {name} gauge", *(f"{name}{value}" for value in values)]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    def quoted(text: str) -> str:
        return visible(text).replace("\\", "\\\\").replace('"', '\\"')

    return "{" + ",".join(f'{name}="{quoted(value)}"' for name, value in labels.items()) + "}"
