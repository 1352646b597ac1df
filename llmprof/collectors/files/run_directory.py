"""What did a recorded run leave behind? The timeline of a run directory (docs/run-directory.md), complete or not.

A rank that was killed, a line that was cut, a trace that is damaged: each costs what it held, and leaves a warning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from llmprof.collectors.files.run_telemetry import NodeTelemetry
from llmprof.errors import LlmprofError, NotEnoughDataError, NotFoundError
from llmprof.timeline import rundir
from llmprof.timeline.environment import Device, Environment, LoaderSettings, OptimizerSettings, Parallelism
from llmprof.timeline.events import NONE
from llmprof.timeline.intervals import Int64
from llmprof.timeline.memory import AllocatorStats
from llmprof.timeline.steps import StepMarks, StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline, Timeline

__all__ = ["read_run_directory"]

T = TypeVar("T")
Record = Mapping[str, Any]

PHASES = {phase.name.lower(): phase for phase in StepPhase}
STRUCTURE = frozenset({"n", "t", "wall", "phase", "micro", "tokens"})
STALLS = ("checkpoint", "evaluation", "gc")
"""Parts that are left out of a line when they are 0; of every other part, left out means unknown."""
LIMIT = 1 << 62
"""No time and no count of a run is as large; a number beyond it is damage."""


def read_run_directory(path: Path) -> Timeline:
    """The timeline of a run directory, one process a rank: of a restarted rank the one with most steps.

    Raises NotFoundError when there is no such folder, NotEnoughDataError when nothing was recorded in it.
    """
    if not path.is_dir():
        raise NotFoundError(f"{path} is no folder; give the run directory that `llmprof run` printed.")
    warnings: list[str] = []
    run = _object(path / rundir.RUN, warnings)
    processes = [_Process(rank, folder, warnings) for rank, _, folder in rundir.rank_dirs(path)]
    recorded = [process for process in processes if process.recorded]
    if not recorded:
        raise NotEnoughDataError(_why_nothing(path, run, processes))
    chosen = _one_a_rank(recorded, warnings)
    nodes: dict[str, NodeTelemetry] = {}
    over = run.get("exit_code") is not None
    ranks = tuple(_timeline(process, path, nodes, over=over, warnings=warnings) for process in chosen)
    sizes = [size for process in chosen if (size := _integer(process.header.get("world_size"))) is not None]
    world_size = max(sizes, default=None)
    if world_size is not None and len(ranks) < world_size:
        warnings.append(f"{len(ranks)} of {world_size} ranks were recorded: {[rank.rank for rank in ranks]}.")
    if run.get("exit_code"):
        warnings.append(f"the command ended with exit code {run['exit_code']}.")
    return Timeline(
        ranks=ranks, kind="run", paths=(str(path),), world_size=world_size, warnings=tuple(dict.fromkeys(warnings))
    )


class _Process:
    """One folder below ranks/: its rank.json and its steps."""

    def __init__(self, rank: int, folder: Path, warnings: list[str]) -> None:
        self.rank = rank
        self.folder = folder
        self.header = _object(folder / rundir.RANK, warnings)
        self.times = _step_times(_lines(folder / rundir.STEPS, warnings))

    @property
    def recorded(self) -> bool:
        return self.times is not None or self.trace is not None

    @property
    def trace(self) -> Path | None:
        """The burst's trace, as it was written or compressed since."""
        names = (rundir.TRACE, f"{rundir.TRACE}.gz")
        return next((path for name in names if (path := self.folder / name).is_file()), None)

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
    process: _Process, run: Path, nodes: dict[str, NodeTelemetry], *, over: bool, warnings: list[str]
) -> RankTimeline:
    header = process.header
    host = str(header.get("host") or "")
    node = nodes.get(host)
    if node is None:
        node = nodes[host] = NodeTelemetry.read(rundir.node_dir(run, host), warnings)
    traced = _traced(process, warnings)
    overhead = header.get("overhead_ns_per_step")
    return replace(
        traced,
        times=process.times,
        telemetry=node.of_rank(process.rank, _mapping(header.get("device"))),
        memory=_allocator(process, warnings),
        environment=_merged(_environment(_mapping(header.get("environment"))), traced.environment),
        overhead_ns_per_step=float(overhead) if isinstance(overhead, (int, float)) else None,
        died=_death(header, over=over),
    )


# The trace


def _traced(process: _Process, warnings: list[str]) -> RankTimeline:
    """Events, lanes, marks and quality of trace.json; without events, and with the reason, where it cannot be read."""
    from llmprof.collectors.files.kineto import read_kineto

    rank, path = process.rank, process.trace
    for event in _lines(process.folder / rundir.EVENTS, warnings):
        kind, reason = event.get("kind"), event.get("reason")
        if kind == "burst_skipped":
            warnings.append(f"rank {rank} was not traced: {reason}.")
        elif kind == "burst_cut_short":
            warnings.append(f"the trace of rank {rank} is shorter than planned: {reason}.")
        elif kind == "disarmed":
            warnings.append(f"on rank {rank} the collector {event.get('collector')} was switched off: {reason}.")
    if path is None:
        return RankTimeline(rank=rank, events=None)
    try:
        timeline = read_kineto(path, rank=rank)
    except LlmprofError as error:
        warnings.append(f"the trace of rank {rank} is left out: {error}")
        return RankTimeline(rank=rank, events=None)
    return replace(timeline, marks=_marks(timeline, process))


def _marks(timeline: RankTimeline, process: _Process) -> StepMarks:
    """The annotations of the whole traced steps; where there is none, the traced steps as the loop measured them."""
    marks, times = timeline.marks, process.times
    if len(marks):
        steps = _mapping(process.header.get("trace")).get("steps")
        whole = (
            np.isin(marks.number, [n for n in steps if _integer(n) is not None]) if isinstance(steps, list) else None
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


# Steps and memory


def _step_times(lines: Sequence[Record]) -> StepTimes | None:
    """One row a line that has n, t and wall; None when no line has."""
    rows = [line for line in lines if all(_integer(line.get(key)) is not None for key in ("n", "t", "wall"))]
    rows = [line for line in rows if line["wall"] >= 0]
    if not rows:
        return None
    names = dict.fromkeys(key for line in rows for key, value in line.items() if _integer(value) is not None)
    parts = {name: _column(rows, name, NONE) for name in names if name not in STRUCTURE and name not in STALLS}
    parts.update({name: _column(rows, name, 0) for name in STALLS})
    phases = [PHASES.get(line.get("phase", ""), StepPhase.UNSTEADY) for line in rows]
    return StepTimes(
        number=_column(rows, "n", NONE),
        start_ns=_column(rows, "t", NONE),
        wall_ns=_column(rows, "wall", NONE),
        phase=np.array(phases, dtype=np.uint8),
        parts=parts,
        tokens=_column(rows, "tokens", NONE) if "tokens" in names else None,
        microbatches=_column(rows, "micro", NONE) if "micro" in names else None,
    )


def _column(rows: Iterable[Record], key: str, absent: int) -> Int64:
    values = (_integer(row.get(key)) for row in rows)
    return np.array([absent if value is None else value for value in values], dtype=np.int64)


def _allocator(process: _Process, warnings: list[str]) -> AllocatorStats | None:
    """Levels of the last reading, peaks of the run, and what the counters grew by over the steady steps."""
    lines = [
        line for line in _lines(process.folder / rundir.ALLOCATOR, warnings) if _integer(line.get("n")) is not None
    ]
    if not lines:
        return None
    last = lines[-1]
    steady = _steady_readings(lines, process.times)

    def growth(key: str) -> int | None:
        if len(steady) < 2:
            return None
        before, after = _integer(steady[0].get(key)), _integer(steady[-1].get(key))
        return None if before is None or after is None else max(after - before, 0)

    def highest(key: str) -> int | None:
        return max((value for line in lines if (value := _integer(line.get(key))) is not None), default=None)

    return AllocatorStats(
        capacity_bytes=_integer(_mapping(process.header.get("memory")).get("capacity_bytes")),
        peak_allocated_bytes=highest("peak_allocated"),
        peak_reserved_bytes=highest("peak_reserved"),
        allocated_bytes=_integer(last.get("allocated")),
        reserved_bytes=_integer(last.get("reserved")),
        inactive_split_bytes=_integer(last.get("inactive_split")),
        retries=growth("retries"),
        out_of_memory_errors=growth("ooms"),
        device_allocations=growth("device_alloc"),
        device_frees=growth("device_free"),
        measured_steps=int(steady[-1]["n"] - steady[0]["n"]) if len(steady) > 1 else None,
    )


def _steady_readings(lines: Sequence[Record], times: StepTimes | None) -> list[Record]:
    """From the first reading in the baseline to the last of the run."""
    baseline = times.number[times.select(StepPhase.BASELINE)] if times is not None else np.empty(0, np.int64)
    return [line for line in lines if line["n"] >= int(baseline[0])] if baseline.size else []


# Settings and how it ended


def _environment(data: Record) -> Environment:
    device = _mapping(data.get("device"))
    capability = device.get("capability")
    pair = isinstance(capability, list) and len(capability) == 2 and all(_integer(c) is not None for c in capability)
    variables, sizes = _mapping(data.get("variables")), _mapping(data.get("parameter_bytes"))
    command = data.get("command")
    return replace(
        _plain(Environment, data),
        device=replace(_plain(Device, device), capability=tuple(capability) if pair and capability else None),
        parallelism=_plain(Parallelism, _mapping(data.get("parallelism"))),
        loaders=_plain_each(LoaderSettings, data.get("loaders")),
        optimizers=_plain_each(OptimizerSettings, data.get("optimizers")),
        parameter_bytes={str(k): size for k, v in sizes.items() if (size := _integer(v)) is not None},
        variables={str(name): value for name, value in variables.items() if isinstance(value, str)},
        command=tuple(str(word) for word in command) if isinstance(command, list) else (),
    )


def _plain(cls: type[T], data: Record) -> T:
    """`cls` with those fields of `data` that have the declared plain type; the others keep their default."""
    plain = {"int | None": int, "str | None": str, "bool | None": bool}
    values = {}
    for field in fields(cls):  # type: ignore[arg-type]
        kind = plain.get(str(field.type))
        if kind is not None and type(data.get(field.name)) is kind:
            values[field.name] = data[field.name]
    return cls(**values)


def _plain_each(cls: type[T], data: Any) -> tuple[T, ...]:
    return tuple(_plain(cls, _mapping(entry)) for entry in data) if isinstance(data, list) else ()


def _merged(first: T, second: T) -> T:
    """Field by field the value of `first` where it says something, else that of `second`."""
    values = {}
    for field in fields(first):  # type: ignore[arg-type]
        mine, other = getattr(first, field.name), getattr(second, field.name)
        if is_dataclass(mine):
            values[field.name] = _merged(mine, other)
        else:
            values[field.name] = other if mine is None or mine == () or mine == {} else mine
    return replace(first, **values)  # type: ignore[type-var]


def _death(header: Record, *, over: bool) -> str | None:
    """How the process ended when it did not end well; None also while the run still goes on."""
    ended, reason = header.get("ended"), str(header.get("reason") or "")
    message = _mapping(header.get("memory")).get("out_of_memory")
    if message or (ended == "exception" and "out of memory" in reason.lower()):
        return f"out of memory: {message or reason}"
    if ended == "exception":
        return f"exception: {reason}" if reason else "exception"
    if ended == "signal":
        return f"killed by {reason}" if reason else "killed"
    return "killed" if ended == "running" and over else None


def _why_nothing(path: Path, run: Record, processes: Sequence[_Process]) -> str:
    code = run.get("exit_code")
    if processes:
        ends = {_death(process.header, over=True) for process in processes} - {None}
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


# Reading files that may be damaged


def _object(path: Path, warnings: list[str]) -> Record:
    try:
        return rundir.read_json(path)
    except NotFoundError:
        return {}
    except LlmprofError as error:
        warnings.append(str(error))
        return {}


def _lines(path: Path, warnings: list[str]) -> list[Record]:
    """The objects of an append-only file; the unfinished last line of a killed process is nothing to warn about."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        warnings.append(f"{path} cannot be read ({error.strerror}); what it holds is left out.")
        return []
    found: list[Record] = []
    damaged = 0
    for line in data.split(b"\n")[:-1]:
        try:
            value = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            damaged += 1
            continue
        if isinstance(value, dict):
            found.append(value)
    if damaged:
        warnings.append(f"{path}: {damaged} damaged lines are left out.")
    return found


def _mapping(value: Any) -> Record:
    return value if isinstance(value, dict) else {}


def _integer(value: Any) -> int | None:
    """A JSON integer of a believable size, else None."""
    return value if type(value) is int and -LIMIT < value < LIMIT else None
