"""What did a recorded run leave behind? The timeline of a run directory (docs/run-directory.md), complete or not.

A rank that was killed, a line that was cut, a trace that is damaged: each costs what it held, and leaves a warning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from llmprof.collectors.files.run_bursts import burst_warning, chosen_burst, report_of, times_of
from llmprof.collectors.files.run_endings import Death, deaths, seen_from_outside, with_ending
from llmprof.collectors.files.run_kernel_times import read_kernel_times
from llmprof.collectors.files.run_lines import Record, integer_of, lines_of, mapping_of, object_of, step_times
from llmprof.collectors.files.run_loads import batch_loads
from llmprof.collectors.files.run_memory import allocator_stats, out_of_memory, snapshot_in, with_snapshot
from llmprof.collectors.files.run_pauses import with_collections
from llmprof.collectors.files.run_telemetry import NodeTelemetry
from llmprof.errors import LlmprofError, NotEnoughDataError, NotFoundError
from llmprof.timeline import rundir
from llmprof.timeline.memory import AllocatorStats, OutOfMemory
from llmprof.timeline.steps import StepMarks, StepPhase
from llmprof.timeline.timeline import RankTimeline, ShapedSteps, Timeline
from llmprof.units import format_bytes

__all__ = ["read_run_directory"]

T = TypeVar("T")


def read_run_directory(path: Path, *, only: Mapping[Path, int] | None = None, burst: int | None = None) -> Timeline:
    """The timeline of a run directory, one process a rank: of a restarted rank the one with most steps.

    only    folders below ranks/ with their rank, to read nothing else: the ranks can be read one by one
    burst   the number of the burst that is read; the latest complete one when not given

    Raises NotFoundError when there is no such folder, NotEnoughDataError when nothing was recorded in it.
    """
    if not path.is_dir():
        raise NotFoundError(f"{path} is no folder; give the run directory that `llmprof run` printed.")
    warnings: list[str] = []
    run = object_of(path / rundir.RUN, warnings)
    folders = {folder: rank for rank, _, folder in rundir.rank_dirs(path)} if only is None else only
    number = chosen_burst(path, burst)
    processes = [_Process(rank, folder, number, warnings) for folder, rank in folders.items()]
    recorded = [process for process in processes if process.recorded]
    if not recorded:
        raise NotEnoughDataError(_why_nothing(path, run, processes))
    chosen = _one_a_rank(recorded, warnings)
    nodes: dict[str, NodeTelemetry] = {}
    if len(processes) == 1:
        processes[0].header = with_ending(processes[0].header, seen_from_outside(run))
    over = run.get("exit_code") is not None
    ranks = tuple(
        _timeline(process, path, nodes, over=over, ended_well=run.get("exit_code") == 0, warnings=warnings)
        for process in chosen
    )
    timed = read_kernel_times(path / rundir.KERNEL_TIMES, warnings)
    if timed is not None:
        ranks = tuple(
            replace(rank, kernel_times=timed) if rank.environment.device.name == timed.device else rank
            for rank in ranks
        )
    warnings += deaths([_death_of(process, rank) for process, rank in zip(chosen, ranks, strict=True) if rank.died])
    sizes = [size for process in chosen if (size := integer_of(process.header.get("world_size"))) is not None]
    world_size = max(sizes, default=None)
    if only is None and world_size is not None and len(ranks) < world_size:
        warnings.append(f"{len(ranks)} of {world_size} ranks were recorded: {[rank.rank for rank in ranks]}.")
    if run.get("exit_code"):
        warnings.append(f"the command ended with exit code {run['exit_code']}.")
    return Timeline(
        ranks=ranks, kind="run", paths=(str(path),), world_size=world_size, warnings=tuple(dict.fromkeys(warnings))
    )


class _Process:
    """One folder below ranks/: its rank.json and its steps."""

    def __init__(self, rank: int, folder: Path, burst: int, warnings: list[str]) -> None:
        self.rank = rank
        self.burst = burst
        self.folder = folder
        self.end = object_of(folder / rundir.END, warnings)
        self.header = with_ending(object_of(folder / rundir.RANK, warnings), self.end)
        times = step_times(lines_of(folder / rundir.STEPS, warnings))
        self.times = None if times is None else times_of(times, self.header, burst)
        self.failure = object_of(folder / rundir.OUT_OF_MEMORY, warnings)

    @property
    def recorded(self) -> bool:
        return self.times is not None or self.trace is not None or bool(self.failure)

    @property
    def trace(self) -> Path | None:
        """The burst's trace, as it was written or compressed since."""
        return self._file(rundir.trace_files(self.burst)[0])

    @property
    def shapes(self) -> Path | None:
        """The burst's second trace, of names and shapes."""
        return self._file(rundir.trace_files(self.burst)[1])

    def _file(self, name: str) -> Path | None:
        return next((path for one in (name, f"{name}.gz") if (path := self.folder / one).is_file()), None)

    @property
    def steps(self) -> int:
        return 0 if self.times is None else len(self.times)


def _one_a_rank(processes: Sequence[_Process], warnings: list[str]) -> list[_Process]:
    by_rank: dict[int, list[_Process]] = {}
    for process in processes:
        by_rank.setdefault(process.rank, []).append(process)
    chosen = [max(reversed(group), key=lambda process: process.steps) for _, group in sorted(by_rank.items())]
    for process in chosen:
        others = len(by_rank[process.rank]) - 1
        if others:
            warnings.append(
                f"rank {process.rank} trained in {others + 1} processes; the one with most steps is used "
                f"({process.folder.name}, {process.steps} steps)."
            )
    return chosen


def _timeline(
    process: _Process, run: Path, nodes: dict[str, NodeTelemetry], *, over: bool, ended_well: bool, warnings: list[str]
) -> RankTimeline:
    header = process.header
    host = str(header.get("host") or "")
    node = nodes.get(host)
    if node is None:
        node = nodes[host] = NodeTelemetry.read(rundir.node_dir(run, host), warnings)
    traced = _traced(process, warnings)
    overhead = header.get("overhead_ns_per_step")
    completed = None if process.times is None else int(process.times.number[-1])
    failure = out_of_memory(process.failure, completed=completed, ended_well=ended_well)
    return replace(
        traced,
        times=process.times,
        loads=batch_loads(lines_of(process.folder / rundir.LOADS, warnings)),
        telemetry=node.of_rank(process.rank, mapping_of(header.get("device"))),
        memory=_memory(process, failure, warnings),
        environment=_merged(node.environment_of(header), traced.environment),
        overhead_ns_per_step=float(overhead) if isinstance(overhead, (int, float)) else None,
        died=_death(header, failure, over=over),
    )


# The trace


def _traced(process: _Process, warnings: list[str]) -> RankTimeline:
    """Events, lanes, marks and quality of trace.json; without events, and with the reason, where it cannot be read."""
    from llmprof.collectors.files.kineto import read_kineto

    rank, path = process.rank, process.trace
    notes = lines_of(process.folder / rundir.EVENTS, warnings)
    for event in notes:
        warning = burst_warning(event, rank, process.burst)
        if warning is not None:
            warnings.append(warning)
        elif event.get("kind") == "disarmed":
            name, reason = event.get("collector"), event.get("reason")
            warnings.append(f"on rank {rank} the collector {name} was switched off: {reason}.")
    if path is None:
        return RankTimeline(rank=rank, events=None)
    try:
        timeline = read_kineto(path, rank=rank)
    except LlmprofError as error:
        warnings.append(f"the trace of rank {rank} is left out: {error}")
        return RankTimeline(rank=rank, events=None)
    timeline = replace(timeline, marks=_marks(timeline, process), shaped=_shaped(process))
    return with_collections(timeline, notes)


def _shaped(process: _Process) -> ShapedSteps | None:
    """The steps with input shapes. Without them FLOPs are not counted, and nothing else is lost."""
    from llmprof.collectors.files.kineto import read_kineto

    if process.shapes is None:
        return None
    try:
        timeline = read_kineto(process.shapes, rank=process.rank)
    except LlmprofError:
        return None
    return None if timeline.events is None else ShapedSteps(timeline.events, timeline.marks)


def _marks(timeline: RankTimeline, process: _Process) -> StepMarks:
    """The annotations of the whole traced steps; where there is none, the traced steps as the loop measured them."""
    marks, times = timeline.marks, process.times
    if len(marks):
        steps = report_of(process.header, process.burst).get("steps")
        whole = (
            np.isin(marks.number, [n for n in steps if integer_of(n) is not None]) if isinstance(steps, list) else None
        )
        if whole is None or not whole.any():
            return marks
        return replace(marks, number=marks.number[whole], start_ns=marks.start_ns[whole], end_ns=marks.end_ns[whole])
    if times is None:
        return marks
    rows = times.select(StepPhase.TRACED)
    if rows.size == 0:
        return marks
    start = times.start_ns[rows] - timeline.origin_ns
    return StepMarks(times.number[rows], start, start + times.wall_ns[rows], "llmprof")


def _memory(process: _Process, failure: OutOfMemory | None, warnings: list[str]) -> AllocatorStats | None:
    """The allocator's counters, the allocation that failed, and a snapshot that lies in the rank's folder."""
    lines = lines_of(process.folder / rundir.ALLOCATOR, warnings)
    capacity = integer_of(mapping_of(process.header.get("memory")).get("capacity_bytes"))
    if capacity is None and failure is not None:
        capacity = integer_of(process.failure.get("capacity"))
    stats = allocator_stats(lines, process.times, capacity, failure)
    return with_snapshot(stats, snapshot_in(process.folder, warnings))


# Settings and how it ended


def _merged(first: T, second: T) -> T:
    """Field by field the value of `first` where it says something, else that of `second`."""
    values = {}
    for field in fields(first):  # type: ignore[arg-type]
        mine, other = getattr(first, field.name), getattr(second, field.name)
        if is_dataclass(mine) and is_dataclass(other):
            values[field.name] = _merged(mine, other)
        else:
            values[field.name] = other if mine is None or mine == () or mine == {} else mine
    return replace(first, **values)  # type: ignore[type-var]


def _death(header: Record, failure: OutOfMemory | None, *, over: bool) -> str | None:
    """How the process ended when it did not end well; None also while the run still goes on."""
    ended, reason = header.get("ended"), str(header.get("reason") or "")
    message = mapping_of(header.get("memory")).get("out_of_memory")
    if message or (ended == "exception" and "out of memory" in reason.lower()):
        return f"out of memory: {message or reason}"
    if failure is not None and failure.ended_the_run and over:  # caught, or a process that leaves without a word
        return f"out of memory: {format_bytes(failure.requested_bytes)} could not be allocated"
    if ended == "exception":
        return f"exception: {reason}" if reason else "exception"
    if ended == "signal":
        return f"killed by {reason}" if reason else "killed"
    return "killed" if ended == "running" and over else None


def _death_of(process: _Process, rank: RankTimeline) -> Death:
    step = None if process.times is None else int(process.times.number[-1])
    return Death(rank=process.rank, how=rank.died or "", step=step, t_ns=integer_of(process.end.get("t")))


def _why_nothing(path: Path, run: Record, processes: Sequence[_Process]) -> str:
    code = run.get("exit_code")
    if processes:
        ends = {_death(process.header, None, over=True) for process in processes} - {None}
        how = f" ({', '.join(sorted(end for end in ends if end))})" if ends else ""
        return (
            f"{path} holds no completed step: {len(processes)} training process(es) ended before the second "
            f"optimizer step{how}; record a run of more steps."
        )
    if code:
        return (
            f"{path} holds no steps: the command failed with exit code {code} before any process had completed an "
            "optimizer step; make it run without llmprof first."
        )
    if code == 0:
        return (
            f"{path} holds no steps: no process completed an optimizer step of torch.optim; check that the command "
            "trains in a Python that it starts itself (a container or another host does not inherit the recording)."
        )
    return f"{path} holds no steps yet: the run has not ended, or it was killed; wait for it or record again."
