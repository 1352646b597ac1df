"""What does one report hold? All its processes that did something, each ready to become the timeline of a rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from llmprof.collectors.files.nsys import ranks
from llmprof.collectors.files.nsys.clock import Clock, read_clock
from llmprof.collectors.files.nsys.collectives import Payloads, collective_calls, read_payloads
from llmprof.collectors.files.nsys.devices import Gpus, read_gpus
from llmprof.collectors.files.nsys.diagnostics import read_diagnostics
from llmprof.collectors.files.nsys.lanes import pid_of
from llmprof.collectors.files.nsys.nvtx import Marks, read_ranges
from llmprof.collectors.files.nsys.processes import Built, build, main_device
from llmprof.collectors.files.nsys.projection import with_shadows
from llmprof.collectors.files.nsys.rows import RowReader
from llmprof.collectors.files.nsys.steps import Steps, find_steps
from llmprof.collectors.files.nsys.tables import NULL, Tables
from llmprof.timeline.environment import Device, Environment
from llmprof.timeline.events import DEVICE_KINDS, NONE, Int32, Kind, StringTable, UInt8
from llmprof.timeline.timeline import Quality, RankTimeline
from llmprof.units import format_count

__all__ = ["Member", "Report", "read_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One process of a report, before it is known which rank it is."""

    path: Path
    pid: int
    gpu: int | None
    """Its GPU, for the order of processes that do not say their rank."""
    claimed_rank: int | None
    timeline_: RankTimeline

    def timeline(self, rank: int) -> RankTimeline:
        """The timeline of this process as that of `rank`."""
        lanes = tuple(replace(lane, rank=rank) for lane in self.timeline_.lanes)
        return replace(self.timeline_, rank=rank, lanes=lanes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report, all processes of it; `members` is empty when nothing was recorded of any."""

    path: Path
    members: tuple[Member, ...]
    world_size: int | None
    warnings: tuple[str, ...]


def read_report(tables: Tables, path: Path) -> Report:
    """Read a report. `path` is what the user gave, for messages. Raises UnreadableError when the file is damaged."""
    clock = read_clock(tables)
    reader = RowReader(tables)
    reader.read()
    marks = read_ranges(reader, clock.capture_end_ns)
    payloads = read_payloads(tables)
    gpus = read_gpus(tables)
    strings, place = reader.names.finish(tables)
    columns = reader.finish()
    columns.name = place[columns.name]
    labels = marks.labels(strings, place)
    chosen = _processes(reader, columns.lane, columns.kind)
    built = [
        found
        for process in chosen
        if (found := build(reader, columns, strings, process, labels, clock.version)) is not None
    ]
    del columns
    known = ranks.claims(
        tables, [one.process for one in built], _thread_names(marks, strings, place), _nccl_ranks(payloads, built)
    )
    size = ranks.world_size(tables) or max((payloads.world(one.process)[1] or 0 for one in built), default=0) or None
    members = []
    while built:
        one = built.pop(0)  # one table at a time is held twice
        timeline = _timeline(one, reader, clock, gpus, payloads, path, size, several=len(chosen) > 1)
        device = main_device(one)
        members.append(
            Member(
                path=path,
                pid=pid_of(one.process),
                gpu=None if device is None else gpus.id_of(pid_of(one.process), device),
                claimed_rank=known.get(one.process),
                timeline_=timeline,
            )
        )
    warnings = [f"{path.name}: {text}" for text in read_diagnostics(tables)]
    if gpus.guessed([member.pid for member in members if member.gpu is not None]):
        warnings.append(
            f"{path.name}: the machine has different GPUs and the report does not say which one each process used; the "
            "GPU's name is a guess."
        )
    return Report(path=path, members=tuple(members), world_size=size, warnings=tuple(warnings))


def _processes(reader: RowReader, lane: Int32, kind: UInt8) -> list[int]:
    """The processes that are ranks: those that used a device, else those with any call or range."""
    owner = reader.lanes.processes()
    active = np.unique(lane[np.isin(kind, (*DEVICE_KINDS, Kind.RUNTIME, Kind.ANNOTATION))]).tolist()
    on_device = [number for number in active if reader.lanes.keys[number].device != NONE]
    used = owner[on_device or active]
    return [int(process) for process in np.unique(used).tolist() if process != NULL]


def _thread_names(marks: Marks, strings: StringTable, place: Int32) -> Mapping[int, Sequence[str]]:
    result: dict[int, list[str]] = {}
    for process, slot in marks.threads:
        result.setdefault(process, []).append(strings[int(place[slot])])
    return result


def _nccl_ranks(payloads: Payloads, built: Sequence[Built]) -> dict[int, int]:
    found = {one.process: payloads.world(one.process)[0] for one in built}
    return {process: rank for process, rank in found.items() if rank is not None}


def _timeline(
    built: Built,
    reader: RowReader,
    clock: Clock,
    gpus: Gpus,
    payloads: Payloads,
    path: Path,
    size: int | None,
    *,
    several: bool,
) -> RankTimeline:
    device = main_device(built)
    calls = collective_calls(built.events, built.lanes, payloads, built.process, built.origin)
    events = replace(built.events, collectives=calls) if calls else built.events
    # Steps with nothing in them to explain would read as a host that does nothing: a wrong verdict instead of none.
    steps = find_steps(events, built.lanes) if events.rows(*DEVICE_KINDS, Kind.CPU_OP).size else Steps()
    events, lanes = with_shadows(events, built.lanes)
    return RankTimeline(
        rank=0,
        events=events,
        lanes=lanes,
        origin_ns=built.origin + clock.to_unix_ns,
        marks=steps.marks,
        environment=Environment(
            device=Device() if device is None else gpus.device(pid_of(built.process), device),
            gpus_per_node=len(gpus.devices) or None,
            # Processes of one report share its clock; the machine's name itself is nobody's business.
            host=f"the machine of {path.name}" if several else None,
            world_size=size,
        ),
        quality=_quality(built, reader, steps, path),
    )


def _quality(built: Built, reader: RowReader, steps: Steps, path: Path) -> Quality:
    events = built.events
    work = events.rows(*DEVICE_KINDS)
    who = f"{path.name}, process {pid_of(built.process)}"
    warnings = [
        f"{who}: left out {format_count(count)} event{'' if count == 1 else 's'} with {reason}."
        for reason, count in sorted(built.dropped.items())
    ]
    graphs = reader.graph_launches[built.process]
    if graphs:
        warnings.append(
            f"{who}: {format_count(graphs)} CUDA graph launches were recorded as a whole, so their time is one unnamed "
            "class; record with `--cuda-graph-trace=node` to see their kernels."
        )
    warnings += [f"{who}: {text}" for text in _about_steps(steps, bool(work.size))]
    return Quality(
        unlinked_kernel_share=float(np.mean(events.launch[work] == NONE)) if work.size else None,
        dropped_events=sum(built.dropped.values()),
        has_operators=events.rows(Kind.CPU_OP).size > 0,
        has_sync_events=events.rows(Kind.SYNC).size > 0,
        warnings=tuple(warnings),
    )


def _about_steps(steps: Steps, device_work: bool) -> list[str]:
    source, text = steps.marks.source, []
    if len(steps.marks) == 0:
        if not device_work:
            return []
        return [
            "no NVTX range and no optimizer kernel tells where a step ends, so the whole recording counts as one step; "
            'put `with torch.cuda.nvtx.range("step"):` around the step.'
        ]
    if steps.left_out:
        text.append(
            f"the first {format_count(steps.left_out)} step{'s' if steps.left_out > 1 else ''} took much longer than "
            "the others and are left out as warm-up."
        )
    if "warm" in source.lower():
        text.append(f"only warm-up steps are marked ({source}); the verdict is about them.")
    if source.startswith("optimizer"):
        text.append(f"no NVTX range marks a step, so steps are told from the {source}.")
    return text
