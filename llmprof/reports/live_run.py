"""What has a job that is going on written since the last look? Its run directory, read as it grows, and nothing twice.

Only the small files of the always-on tier are read (docs/run-directory.md): steps, events, telemetry, and how each rank
is. What is damaged or half written counts as not there yet.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmprof.errors import LlmprofError
from llmprof.timeline import rundir
from llmprof.units import NS_PER_MS, NS_PER_S

__all__ = ["GpuNow", "LiveRun", "LiveState", "StepNow"]

KEPT_STEPS = 240
KEPT_READINGS = 100
RECENT_NS = 5 * NS_PER_S
"""How busy a GPU is jumps from reading to reading: what is shown is the mean of five seconds."""
MOST_RANKS = 64
"""Ranks whose steps are followed, the first ones; of a larger job these tell enough at a glance."""
MOST_AT_ONCE = 4 << 20
"""Bytes of a file that one look reads; the first look at a long run starts that far before its end."""
LIMIT = 1 << 62
FRESH_NS = 30 * NS_PER_S
"""Telemetry that is older than this is not how the GPU is now."""
STALLS = ("checkpoint", "evaluation", "gc")
THROTTLED = 0x8 | 0x20 | 0x40 | 0x80
"""Bits of NVML's clock event reasons that mean "held down": hardware slowdown, software thermal, hardware thermal,
hardware power brake. The power cap (0x4) is how a busy GPU normally runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepNow:
    """One completed step; times in ms, None where it was not measured."""

    number: int
    end_ns: int
    wall_ms: float
    phase: str
    waited_ms: float | None
    """Wait for data with an idle device; without a device the loop's wait."""
    stalls_ms: Mapping[str, float]
    tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuNow:
    """The last readings of one GPU; None where it does not answer."""

    host: str
    gpu: int
    util: float | None = None
    memory_used: float | None = None
    memory_total: float | None = None
    power_w: float | None = None
    sm_mhz: float | None = None
    temp_c: float | None = None
    throttled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveState:
    """The run at one moment; `steps` are the last ones of the first rank."""

    name: str
    elapsed_s: float | None
    ended: str
    """Empty while the run goes on; else how it ended."""
    world_size: int | None
    ranks: int
    steps: tuple[StepNow, ...] = ()
    silent_s: float | None = None
    """Since the end of the last step of any rank; None before the first, and after the end."""
    gpus: tuple[GpuNow, ...] = ()
    notes: tuple[str, ...] = ()
    """What happened lately: a burst, a checkpoint, a collector that was switched off."""


class LiveRun:
    """A run directory that is looked at again and again. `look` never raises for what a run writes."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._tails: dict[Path, _Tail] = {}
        self._steps: dict[int, deque[StepNow]] = {}
        self._notes: deque[str] = deque(maxlen=3)
        self._columns: dict[Path, list[str]] = {}
        self._gpus: dict[tuple[str, int], deque[tuple[int, GpuNow]]] = {}
        self._on_device: set[int] = set()
        """Ranks with a device: what the host waits for data counts only while the device is idle."""
        self._world: int | None = None

    def look(self) -> LiveState:
        """Read what is new."""
        header = self._object(self._run / rundir.RUN)
        folders = rundir.rank_dirs(self._run)
        for rank, _, folder in folders[:MOST_RANKS]:
            known = self._steps.setdefault(rank, deque(maxlen=KEPT_STEPS))
            lines = list(self._lines(folder / rundir.STEPS))
            if any("device" in line for line in lines):
                self._on_device.add(rank)
            known.extend(filter(None, (_step(line, rank in self._on_device) for line in lines)))
            self._note(rank, folder)
            if self._world is None:
                self._world = _whole(self._object(folder / rundir.RANK).get("world_size"))
        for path in sorted((self._run / "nodes").glob("*/device.csv"))[:MOST_RANKS]:
            self._devices(path)
        start, end = _whole(header.get("start_unix_ns")), _whole(header.get("end_unix_ns"))
        stepped = max((known[-1].end_ns for known in self._steps.values() if known), default=None)
        # The clocks of the job, where they tell the time: the one here may be another.
        read = max((known[-1][0] for known in self._gpus.values()), default=None)
        now = end or max(read or time.time_ns(), stepped or 0)
        # After the end, readings of the idle GPU say nothing of the run.
        until = now if end is None or stepped is None else stepped
        first = min(self._steps, default=None)
        return LiveState(
            name=self._run.name,
            elapsed_s=None if start is None else (now - start) / NS_PER_S,
            silent_s=None if stepped is None or end is not None else (now - stepped) / NS_PER_S,
            ended=_ended(header),
            world_size=self._world,
            ranks=len({rank for rank, _, _ in folders}),
            steps=tuple(self._steps[first]) if first is not None else (),
            gpus=tuple(
                _recent(known, until) for _, known in sorted(self._gpus.items()) if until - known[-1][0] < FRESH_NS
            ),
            notes=tuple(self._notes),
        )

    def _lines(self, path: Path) -> Iterator[Mapping[str, Any]]:
        for line in self._tails.setdefault(path, _Tail(path)).lines():
            with suppress(ValueError, RecursionError):
                value = json.loads(line)
                if isinstance(value, dict):
                    yield value

    def _object(self, path: Path) -> Mapping[str, Any]:
        try:
            return rundir.read_json(path)
        except LlmprofError:
            return {}

    def _note(self, rank: int, folder: Path) -> None:
        for event in self._lines(folder / rundir.EVENTS):
            kind, step = event.get("kind"), event.get("step")
            where = f"step {step}" if isinstance(step, int) else "this run"
            if kind == "burst_armed":
                self._notes.append(f"from step {event.get('first_step', '?')} on some steps are traced")
            elif kind == "checkpoint" and (took := _whole(event.get("ns"))) is not None:
                self._notes.append(f"checkpoint in {where}: {took / NS_PER_S:.1f} s")
            elif kind == "out_of_memory":
                self._notes.append(f"rank {rank} ran out of memory in {where}")
            elif kind == "disarmed":
                self._notes.append(f"rank {rank} no longer measures {event.get('collector')}")

    def _devices(self, path: Path) -> None:
        """The last line of each GPU, by the names of its header."""
        host = path.parent.name
        for line in self._tails.setdefault(path, _Tail(path, header=True)).lines():
            cells = line.decode("utf-8", "replace").split(",")
            if cells[0] == "t_ns":
                self._columns[path] = cells
                continue
            row = dict(zip(self._columns.get(path, ()), cells, strict=False))
            with suppress(KeyError, ValueError):
                at, gpu = int(row["t_ns"]), int(row["gpu"])
                self._gpus.setdefault((host, gpu), deque(maxlen=KEPT_READINGS)).append((at, _gpu(host, gpu, row)))


class _Tail:
    """The whole lines that a file has got since the last look."""

    def __init__(self, path: Path, *, header: bool = False) -> None:
        self._path, self._header = path, header
        self._at: int | None = None

    def lines(self) -> list[bytes]:
        try:
            with open(self._path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                begin, found = self._begin(file, size)
                file.seek(begin)
                data = file.read(MOST_AT_ONCE)
        except OSError:
            return []
        end = data.rfind(b"\n") + 1
        self._at = begin + end
        return found + data[:end].split(b"\n")[:-1]

    def _begin(self, file: Any, size: int) -> tuple[int, list[bytes]]:
        """Where to go on, and the first line of a table, which names its columns."""
        if self._at is not None and self._at <= size:
            return self._at, []
        found = [file.readline().rstrip(b"\n")] if self._header else []
        begin = max(file.tell() if self._header else 0, size - MOST_AT_ONCE)
        if begin > 0 and begin == size - MOST_AT_ONCE:
            file.seek(begin)
            file.readline()  # the rest of a line
            begin = file.tell()
        return begin, found


def _step(line: Mapping[str, Any], on_device: bool) -> StepNow | None:
    number, start, wall = (_whole(line.get(key)) for key in ("n", "t", "wall"))
    if number is None or start is None or wall is None:
        return None
    waited = _whole(line.get("data_wait_exposed" if on_device else "data_wait"))
    stalls = {name: _whole(line.get(name)) for name in STALLS}
    return StepNow(
        number=number,
        end_ns=start + wall,
        wall_ms=wall / NS_PER_MS,
        phase=str(line.get("phase")),
        waited_ms=None if waited is None else waited / NS_PER_MS,
        stalls_ms={name: ns / NS_PER_MS for name, ns in stalls.items() if ns is not None},
        tokens=_whole(line.get("tokens")),
    )


def _whole(value: Any) -> int | None:
    """A count or a time of believable size; anything else is damage."""
    return value if type(value) is int and 0 <= value < LIMIT else None


def _recent(readings: deque[tuple[int, GpuNow]], until: int) -> GpuNow:
    """The last reading before `until`, with the mean use of the seconds before it."""
    known = [(at, gpu) for at, gpu in readings if at <= until] or [readings[0]]
    last = known[-1]
    uses = [gpu.util for at, gpu in known if at > last[0] - RECENT_NS and gpu.util is not None]
    return replace(last[1], util=sum(uses) / len(uses) if uses else None)


def _gpu(host: str, gpu: int, row: Mapping[str, str]) -> GpuNow:
    def number(name: str) -> float | None:
        try:
            value = float(row[name])
        except (KeyError, ValueError):
            return None
        return value if 0 <= value < LIMIT else None

    reasons = number("throttle_reasons")
    return GpuNow(
        host=host,
        gpu=gpu,
        util=number("gpu_util"),
        memory_used=number("mem_used_bytes"),
        memory_total=number("mem_total_bytes"),
        power_w=number("power_w"),
        sm_mhz=number("sm_mhz"),
        temp_c=number("temp_c"),
        throttled=reasons is not None and bool(int(reasons) & THROTTLED),
    )


def _ended(header: Mapping[str, Any]) -> str:
    code, signal = header.get("exit_code"), header.get("signal")
    if code is None:
        return ""
    return f"ended by {signal}" if signal else f"ended with exit code {code}"
