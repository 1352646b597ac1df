"""What did `llmprof run --nsys` record? The report of nsys, joined with what the recorder measured on every step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from llmprof.collectors.files.nsys import read_nsys
from llmprof.collectors.files.run_directory import read_run_directory
from llmprof.errors import LlmprofError, NotEnoughDataError
from llmprof.timeline import rundir
from llmprof.timeline.events import NONE
from llmprof.timeline.steps import StepMarks, StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline, Timeline

__all__ = ["read_nsys_run", "report_in_run"]

_TOLD = "NVTX range"
_KEPT = (StepPhase.BASELINE, StepPhase.AFTER)


def report_in_run(directory: Path) -> Path | None:
    """The report of nsys in a run directory, exported or not; None when there is none."""
    found = (directory / name for name in (rundir.NSYS_EXPORT, rundir.NSYS))
    return next((path for path in found if path.is_file()), None)


def read_nsys_run(directory: Path, report: Path) -> Timeline:
    """The timeline of a run that nsys recorded; errors as for both of its halves.

    The two halves of a rank are joined by its process number. A half that is alone is used alone.
    """
    traced = read_nsys([report])
    try:
        run = read_run_directory(directory)
    except NotEnoughDataError:
        return replace(traced, paths=(str(directory),))
    by_pid = {pid: rank for rank in traced.ranks if (pid := _pid_of(rank)) is not None}
    pids = _recorded_pids(directory)
    ranks = []
    for rank in run.ranks:
        mine = next((by_pid[pid] for pid in pids.get(rank.rank, []) if pid in by_pid), None)
        ranks.append(rank if mine is None else _joined(rank, mine))
    lost = [rank.rank for rank in ranks if rank.events is None]
    warnings = [text for text in traced.warnings if not text.startswith("nothing says which rank")]
    if lost:
        warnings.append(f"nsys recorded nothing of rank {', '.join(map(str, lost))}.")
    if any(rank.times is not None for rank in ranks):
        warnings.append("the step times were taken while nsys recorded, which slows the launching of work.")
    return replace(run, kind="nsys", ranks=tuple(ranks), warnings=tuple(dict.fromkeys((*run.warnings, *warnings))))


def _joined(measured: RankTimeline, traced: RankTimeline) -> RankTimeline:
    """One rank from what was measured of its steps and what nsys saw of it."""
    marks, quality = traced.marks, traced.quality
    if not marks.source.startswith(_TOLD) and measured.times is not None and traced.events is not None:
        marks = _marks(measured.times, traced) or marks
        told = [text for text in quality.warnings if "NVTX range" not in text] if marks is not traced.marks else None
        quality = quality if told is None else replace(quality, warnings=tuple(told))
    known = measured.environment
    device = traced.environment.device if known.device.name is None else known.device
    return replace(
        measured,
        events=traced.events,
        lanes=tuple(replace(lane, rank=measured.rank) for lane in traced.lanes),
        origin_ns=traced.origin_ns,
        marks=marks,
        environment=replace(
            known, device=device, gpus_per_node=known.gpus_per_node or traced.environment.gpus_per_node
        ),
        quality=replace(quality, warnings=(*measured.quality.warnings, *quality.warnings)),
    )


def _marks(times: StepTimes, traced: RankTimeline) -> StepMarks | None:
    """The steady steps that lie inside the recording, as the training loop marked them; both clocks are Unix time."""
    assert traced.events is not None
    start = times.start_ns - traced.origin_ns
    end = start + times.wall_ns
    inside = (start >= 0) & (end <= int(traced.events.end.max())) & np.isin(times.phase, _KEPT)
    if not inside.any():
        return None
    return StepMarks(times.number[inside], start[inside], end[inside], "llmprof")


def _pid_of(rank: RankTimeline) -> int | None:
    """The process of a rank of a report; its host threads carry it."""
    return next((lane.process for lane in rank.lanes if lane.device == NONE and lane.thread != NONE), None)


def _recorded_pids(directory: Path) -> dict[int, list[int]]:
    """The processes that recorded each rank, the latest attempt first."""
    result: dict[int, list[int]] = {}
    for rank, _, folder in reversed(rundir.rank_dirs(directory)):
        try:
            pid = rundir.read_json(folder / rundir.RANK).get("pid")
        except LlmprofError:
            continue
        if isinstance(pid, int):
            result.setdefault(rank, []).append(pid)
    return result
