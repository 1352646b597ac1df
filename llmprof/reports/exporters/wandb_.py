"""How do the figures get into Weights & Biases? As an offline run, which the user uploads with `wandb sync` or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmprof.reports.exporters.figures import Figures
from llmprof.reports.text import visible

__all__ = ["write"]


_QUIET = {"x_disable_stats": True, "x_disable_meta": True, "x_disable_machine_info": True, "x_save_requirements": False}
"""What the machine of the export is and does is no part of the training."""


def write(figures: Figures, out: Path | str) -> str:
    """Write an offline run into the folder `out`; says how to upload it."""
    import wandb

    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False)
    for name, wanted in _QUIET.items():
        if hasattr(settings, name):  # they come and go with the versions
            setattr(settings, name, wanted)
    run = wandb.init(
        project="llmprof",
        name=visible(figures.name),
        dir=str(folder),
        mode="offline",
        config={f"llmprof/{name}": text for name, text in figures.texts.items()},
        settings=settings,
    )
    try:
        by_step: dict[int, dict[str, Any]] = {}
        for track in figures.tracks:
            for step, value in zip(track.step.tolist(), track.value.tolist(), strict=True):
                by_step.setdefault(step, {})[f"llmprof/{visible(track.tag)}"] = value  # the last reading of a step
        for step in sorted(by_step):
            run.log(by_step[step], step=step)
        for name, value in figures.summary.items():
            run.summary[f"llmprof/{name}"] = value
        place = Path(run.dir).parent
    finally:
        run.finish()
    return f"{place}: nothing was uploaded; `wandb sync {place}` does it."
