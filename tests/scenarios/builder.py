"""What would a recording of this look like? Builds timelines, or the same as a Kineto file, from a few calls.

    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.op("aten::mm", 10_000, 20_000)
    b.kernel("gemm", 40_000, 500_000, launch_ns=15_000)
    timeline = b.timeline()

All times are ns from the origin of the rank; nothing is rounded, shifted or clipped, so a test knows every figure.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from llmprof.timeline.environment import Environment
from llmprof.timeline.events import (
    DEVICE_KINDS,
    NONE,
    CollectiveCall,
    EventTable,
    Kind,
    Lane,
    StringTable,
    link_launches,
)
from llmprof.timeline.steps import NO_STEPS, StepMarks
from llmprof.timeline.timeline import Quality, RankTimeline, Timeline

__all__ = ["HOST_PROCESS", "ORIGIN_NS", "TraceBuilder"]

ORIGIN_NS = 1_790_857_026_000_000_000
"""Unix ns of ts == 0 in everything that is built here."""

HOST_PROCESS = 4711

_CATEGORIES = {
    Kind.CPU_OP: "cpu_op",
    Kind.RUNTIME: "cuda_runtime",
    Kind.KERNEL: "kernel",
    Kind.MEMCPY: "gpu_memcpy",
    Kind.MEMSET: "gpu_memset",
    Kind.ANNOTATION: "user_annotation",
    Kind.PYTHON: "python_function",
    Kind.SYNC: "cuda_sync",
    Kind.GPU_ANNOTATION: "gpu_user_annotation",
    Kind.OVERHEAD: "overhead",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    kind: Kind
    name: str
    start_ns: int
    dur_ns: int
    lane: Lane
    correlation: int = NONE
    external: int = NONE
    collective: CollectiveCall | None = None
    copied_bytes: int | None = None
    shapes: tuple[list[Any], list[str]] | None = None
    waiting_stream: int | None = None


class TraceBuilder:
    """Collects rows of one rank in any order; `rank()`, `timeline()` and `write_kineto()` give them out."""

    def __init__(self) -> None:
        self._rows: list[_Row] = []
        self._steps: list[tuple[int, int, int]] = []
        self._correlation = 100
        self._external = 0
        self._tid = 1

    def thread(self, tid: int = 1) -> TraceBuilder:
        """The thread that later calls without `tid` use."""
        self._tid = tid
        return self

    def step(self, number: int, start_ns: int, end_ns: int) -> None:
        """One step: its mark and its `ProfilerStep#N` annotation on the host."""
        self._steps.append((number, start_ns, end_ns))
        self.annotation(f"ProfilerStep#{number}", start_ns, end_ns - start_ns)

    def op(
        self,
        name: str,
        start_ns: int,
        dur_ns: int,
        tid: int | None = None,
        *,
        shapes: tuple[list[Any], list[str]] | None = None,
        collective: CollectiveCall | None = None,
    ) -> int:
        """An operator on the host; `shapes` is (dims, types), such as ([[16, 1024], []], ["float", "Scalar"])."""
        self._external += 1
        lane, external = self._host(tid), self._external
        self._add(Kind.CPU_OP, name, start_ns, dur_ns, lane, external=external, shapes=shapes, collective=collective)
        return external

    def python(self, name: str, start_ns: int, dur_ns: int, tid: int | None = None) -> None:
        """A Python frame."""
        self._add(Kind.PYTHON, name, start_ns, dur_ns, self._host(tid))

    def annotation(self, name: str, start_ns: int, dur_ns: int, tid: int | None = None) -> None:
        """A user annotation on the host."""
        self._add(Kind.ANNOTATION, name, start_ns, dur_ns, self._host(tid))

    def gpu_annotation(self, name: str, start_ns: int, dur_ns: int, *, stream: int = 7, device: int = 0) -> None:
        """The device-side shadow of an annotation."""
        self._add(Kind.GPU_ANNOTATION, name, start_ns, dur_ns, _stream(device, stream))

    def runtime(
        self, name: str, start_ns: int, dur_ns: int, tid: int | None = None, correlation: int | None = None
    ) -> int:
        """A CUDA runtime or driver call; gives its correlation, a fresh one when none is given."""
        if correlation is None:
            self._correlation += 1
            correlation = self._correlation
        self._add(Kind.RUNTIME, name, start_ns, dur_ns, self._host(tid), correlation=correlation)
        return correlation

    def kernel(
        self,
        name: str,
        start_ns: int,
        dur_ns: int,
        *,
        launch_ns: int | None,
        stream: int = 7,
        device: int = 0,
        tid: int | None = None,
        launch_dur_ns: int = 4000,
        launch_name: str = "cudaLaunchKernel",
        collective: CollectiveCall | None = None,
        correlation: int | None = None,
    ) -> None:
        """A kernel and its launch. `launch_ns` None: the launch lies outside the recording, or `correlation` names
        the call of an earlier `runtime(...)` (a CUDA graph launch owns many kernels)."""
        key = self._launch(launch_name, launch_ns, launch_dur_ns, tid, correlation)
        lane = _stream(device, stream)
        self._add(Kind.KERNEL, name, start_ns, dur_ns, lane, correlation=key, collective=collective)

    def memcpy(
        self,
        kind: str,
        start_ns: int,
        dur_ns: int,
        bytes: int,
        *,
        launch_ns: int | None,
        stream: int = 7,
        device: int = 0,
        tid: int | None = None,
        launch_dur_ns: int = 4000,
        launch_name: str = "cudaMemcpyAsync",
    ) -> None:
        """A copy on the device; `kind` is what follows "Memcpy ", such as `HtoD (Pinned -> Device)`."""
        key = self._launch(launch_name, launch_ns, launch_dur_ns, tid, None)
        lane = _stream(device, stream)
        self._add(Kind.MEMCPY, f"Memcpy {kind}", start_ns, dur_ns, lane, correlation=key, copied_bytes=bytes)

    def memset(
        self,
        start_ns: int,
        dur_ns: int,
        *,
        launch_ns: int | None,
        stream: int = 7,
        device: int = 0,
        tid: int | None = None,
        launch_dur_ns: int = 4000,
    ) -> None:
        """A memset on the device."""
        key = self._launch("cudaMemsetAsync", launch_ns, launch_dur_ns, tid, None)
        self._add(Kind.MEMSET, "Memset (Device)", start_ns, dur_ns, _stream(device, stream), correlation=key)

    def sync(self, name: str, start_ns: int, dur_ns: int, *, stream: int | None = None, tid: int | None = None) -> None:
        """A cuda_sync row (`Stream Sync`, `Event Sync`, `Context Sync`, `Stream Wait Event`); `stream` waits."""
        virtual = 1_000_000 + (stream or 0)
        lane = Lane(rank=0, device=NONE, process=0, thread=virtual if tid is None else tid, label="cuda_sync")
        self._add(Kind.SYNC, name, start_ns, dur_ns, lane, waiting_stream=stream)

    def overhead(self, name: str, start_ns: int, dur_ns: int) -> None:
        """The profiler's own work."""
        lane = Lane(rank=0, device=NONE, process=-1, thread=0)
        self._add(Kind.OVERHEAD, name, start_ns, dur_ns, lane)

    def rank(self, rank: int = 0, **overrides: Any) -> RankTimeline:
        """The rank's timeline; keyword arguments replace fields of RankTimeline."""
        rows = sorted(self._rows, key=lambda row: (row.start_ns, -row.dur_ns))
        lanes = list(dict.fromkeys(replace(row.lane, rank=rank) for row in rows))
        events = _table(rows, [lanes.index(replace(row.lane, rank=rank)) for row in rows])
        marks = NO_STEPS
        if self._steps:
            number, start, end = np.array(sorted(self._steps, key=lambda step: step[1]), dtype=np.int64).T
            marks = StepMarks(number, start, end)
        values: dict[str, Any] = {
            "rank": rank,
            "events": events,
            "lanes": tuple(lanes),
            "origin_ns": ORIGIN_NS,
            "marks": marks,
            "environment": Environment(),
            "quality": _quality(events),
        }
        return RankTimeline(**(values | overrides))

    def timeline(self, *ranks: RankTimeline, **overrides: Any) -> Timeline:
        """A timeline of these ranks; of this builder's rank 0 when none is given."""
        chosen = ranks or (self.rank(),)
        values: dict[str, Any] = {"ranks": chosen, "kind": "kineto", "paths": (), "world_size": len(chosen)}
        return Timeline(**(values | overrides))

    def write_kineto(
        self, path: Path, *, rank: int | None = None, world_size: int = 1, indent: int | None = None, **top: Any
    ) -> Path:
        """Write the rows as a Kineto Chrome trace, gzipped when the name ends in .gz; `top` adds top-level keys.

        Timestamps are absolute epoch µs with three decimals split as Kineto does it: a base and a small remainder.
        """
        document: dict[str, Any] = {"schemaVersion": 1, "deviceProperties": []}
        if rank is not None:
            document["distributedInfo"] = {"backend": "nccl", "rank": rank, "world_size": world_size}
        document |= top
        document["traceEvents"] = [_event(row) for row in self._rows]
        document.setdefault("baseTimeNanoseconds", ORIGIN_NS)
        text = json.dumps(document, indent=indent).encode()
        path.write_bytes(gzip.compress(text) if path.name.endswith(".gz") else text)
        return path

    def _add(self, kind: Kind, name: str, start_ns: int, dur_ns: int, lane: Lane, **details: Any) -> None:
        self._rows.append(_Row(kind=kind, name=name, start_ns=start_ns, dur_ns=dur_ns, lane=lane, **details))

    def _host(self, tid: int | None) -> Lane:
        return Lane(rank=0, device=NONE, process=HOST_PROCESS, thread=self._tid if tid is None else tid)

    def _launch(self, name: str, at_ns: int | None, dur_ns: int, tid: int | None, correlation: int | None) -> int:
        if at_ns is not None:
            return self.runtime(name, at_ns, dur_ns, tid, correlation)
        if correlation is not None:
            return correlation
        self._correlation += 1
        return self._correlation


def _stream(device: int, stream: int) -> Lane:
    return Lane(rank=0, device=device, process=device, thread=stream)


def _table(rows: list[_Row], lanes: list[int]) -> EventTable:
    strings = StringTable()
    kind = np.array([row.kind for row in rows], dtype=np.uint8)
    correlation = np.array([row.correlation for row in rows], dtype=np.int64)
    return EventTable(
        ts=np.array([row.start_ns for row in rows], dtype=np.int64),
        dur=np.array([row.dur_ns for row in rows], dtype=np.int64),
        kind=kind,
        lane=np.array(lanes, dtype=np.int32),
        name=np.array([strings.id(row.name) for row in rows], dtype=np.int32),
        correlation=correlation,
        launch=link_launches(kind, correlation),
        external=np.array([row.external for row in rows], dtype=np.int64),
        strings=strings,
        collectives={i: row.collective for i, row in enumerate(rows) if row.collective is not None},
        copied_bytes={i: row.copied_bytes for i, row in enumerate(rows) if row.copied_bytes is not None},
        shapes={i: _shape_text(*row.shapes) for i, row in enumerate(rows) if row.shapes is not None},
        streams={i: row.waiting_stream for i, row in enumerate(rows) if row.waiting_stream is not None},
    )


def _shape_text(dims: list[Any], types: list[str]) -> str:
    compact = ";".join(json.dumps(dim, separators=(",", ":")) for dim in dims)
    return f"{compact}|{';'.join(types)}"


def _quality(events: EventTable) -> Quality:
    work = events.rows(*DEVICE_KINDS)
    return Quality(
        unlinked_kernel_share=float(np.mean(events.launch[work] == NONE)) if work.size else None,
        has_shapes=bool(events.shapes),
        has_operators=events.rows(Kind.CPU_OP).size > 0,
        has_sync_events=events.rows(Kind.SYNC).size > 0,
    )


def _event(row: _Row) -> dict[str, Any]:
    return {
        "ph": "X",
        "cat": _CATEGORIES[row.kind],
        "name": row.name,
        "pid": row.lane.process,
        "tid": row.lane.thread,
        "ts": row.start_ns / 1000,  # far below 2**53, so three decimals survive as a float
        "dur": row.dur_ns / 1000,
        "args": dict(_arguments(row)),
    }


def _arguments(row: _Row) -> Iterator[tuple[str, Any]]:
    if row.external != NONE:
        yield "External id", row.external
    if row.correlation != NONE:
        yield "correlation", row.correlation
    if row.kind in DEVICE_KINDS:
        yield from (("device", row.lane.device), ("stream", row.lane.thread))
    if row.kind is Kind.SYNC:
        yield from (
            ("cuda_sync_kind", row.name),
            ("stream", NONE if row.waiting_stream is None else row.waiting_stream),
        )
    if row.copied_bytes is not None:
        yield "bytes", row.copied_bytes
    if row.shapes is not None:
        yield from zip(("Input Dims", "Input type"), row.shapes, strict=True)
    call = row.collective
    if call is None:
        return
    fields = {
        "Collective name": call.name,
        "In msg nelems": call.in_elements,
        "Out msg nelems": call.out_elements,
        "dtype": call.dtype,
        "Group size": call.group_size,
        "Process Group Name": call.group_name,
        "Process Group Description": call.group_description,
        "Process Group Ranks": None if call.ranks is None else str(list(call.ranks)),
        "Dst Rank" if call.name == "send" else "Src Rank": call.peer,
    }
    yield from ((key, value) for key, value in fields.items() if value is not None)
