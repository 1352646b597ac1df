"""How do the figures get into MLflow? As a run in a store of files, which `mlflow ui` shows."""

from __future__ import annotations

import os
from pathlib import Path

from llmprof.reports.exporters.figures import Figures
from llmprof.reports.text import clip, visible
from llmprof.units import NS_PER_MS

__all__ = ["write"]

BATCH = 1000
"""MLflow takes at most this many values in one call (mlflow.utils.validation.MAX_METRICS_PER_BATCH)."""


def write(figures: Figures, out: Path | str) -> str:
    """Write a run into the store in the folder `out`; says how to look at it."""
    # From MLflow 3.7 on a store of files has to be asked for.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    folder = Path(out).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=folder.as_uri())
    known = client.get_experiment_by_name("llmprof")
    experiment = known.experiment_id if known is not None else client.create_experiment("llmprof")
    run = client.create_run(experiment, run_name=visible(figures.name))
    metrics = [
        Metric(f"llmprof/{visible(track.tag)}", value, at // NS_PER_MS, step)
        for track in figures.tracks
        for step, at, value in zip(track.step.tolist(), track.t_ns.tolist(), track.value.tolist(), strict=True)
    ]
    last = figures.tracks[0]
    at, step = int(last.t_ns[-1]) // NS_PER_MS, int(last.step[-1])
    metrics += [Metric(f"llmprof/run/{name}", value, at, step) for name, value in figures.summary.items()]
    params = [Param(f"llmprof.{name}", clip(visible(text), 500)) for name, text in figures.texts.items()]
    client.log_batch(run.info.run_id, params=params)
    for begin in range(0, len(metrics), BATCH):
        client.log_batch(run.info.run_id, metrics=metrics[begin : begin + BATCH])
    client.set_terminated(run.info.run_id)
    return f"{folder}: `mlflow ui --backend-store-uri {folder}` shows it."
