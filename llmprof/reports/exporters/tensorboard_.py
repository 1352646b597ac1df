"""How do the figures get into TensorBoard? An event file with one scalar a track, on the steps of the training."""

from __future__ import annotations

from pathlib import Path

from llmprof.reports.exporters.figures import Figures
from llmprof.reports.text import visible
from llmprof.units import NS_PER_S

__all__ = ["write"]


def write(figures: Figures, out: Path | str) -> str:
    """Write into the folder `out`/RUN; says how to look at it."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder = Path(out) / visible(figures.name)
    folder.mkdir(parents=True, exist_ok=True)
    writer = EventFileWriter(str(folder))
    last = figures.tracks[0]
    try:
        for track in figures.tracks:
            tag = f"llmprof/{visible(track.tag)}"
            for step, at, value in zip(track.step.tolist(), track.t_ns.tolist(), track.value.tolist(), strict=True):
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                writer.add_event(Event(wall_time=at / NS_PER_S, step=step, summary=summary))
        for name, value in figures.summary.items():
            summary = Summary(value=[Summary.Value(tag=f"llmprof/run/{name}", simple_value=value)])
            writer.add_event(Event(wall_time=last.t_ns[-1] / NS_PER_S, step=int(last.step[-1]), summary=summary))
    finally:
        writer.close()
    return f"{folder}: `tensorboard --logdir {out}` shows it."
