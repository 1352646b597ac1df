"""What did the node report about itself? The files in nodes/HOST of a run directory: series of each rank, and the node.

device.csv and host.csv become series; topology.json and devices.json tell which GPU is the rank's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llmprof.collectors.files.records import record_of
from llmprof.timeline.environment import Environment
from llmprof.timeline.intervals import Int64
from llmprof.timeline.telemetry import Series
from llmprof.timeline.topology import Node

__all__ = ["NodeTelemetry"]

UNITS = {
    "cpu_percent": "%",
    "dram_active": "%",
    "fp16_active": "%",
    "fp32_active": "%",
    "fp64_active": "%",
    "gpu_util": "%",
    "mem_mhz": "MHz",
    "mem_util": "%",
    "power_limit_w": "W",
    "power_violation_ns": "ns",
    "power_w": "W",
    "sm_active": "%",
    "sm_mhz": "MHz",
    "sm_occupancy": "%",
    "temp_c": "°C",
    "tensor_active": "%",
    "thermal_violation_ns": "ns",
}
"""Columns in bytes, also a second, say so in their name; every other column is a plain number."""
UNIX_NS = range(10**18, 2**63)
"""From 2001 on."""
MANY = 1_000_000
"""No node has as many GPUs and no job as many ranks: a number beyond it is damage."""


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """The rows of one file, in order of time; all columns have shape (rows,), NaN where a cell is empty or damaged."""

    t_ns: Int64
    key: Int64
    columns: Mapping[str, npt.NDArray[np.float64]]

    def series(self, key: int, device: int | None) -> list[Series]:
        """One series a column that has a reading in the rows of `key`."""
        rows = np.flatnonzero(self.key == key)
        return [
            Series(name, _unit(name), self.t_ns[rows], value[rows], device)
            for name, value in self.columns.items()
            if not np.isnan(value[rows]).all()
        ]


@dataclass(frozen=True, slots=True)
class NodeTelemetry:
    """The samples of one node; a table is None where it was not recorded."""

    devices: _Table | None
    hosts: _Table | None
    identities: tuple[Mapping[str, Any], ...] = ()
    node: Node | None = None

    @classmethod
    def read(cls, folder: Path, warnings: list[str]) -> NodeTelemetry:
        """The telemetry in nodes/HOST; what is damaged is left out with a warning."""
        return cls(
            _table(folder / "device.csv", "gpu", warnings),
            _table(folder / "host.csv", "rank", warnings),
            _identities(folder / "devices.json"),
            _node(folder / "topology.json", warnings),
        )

    def environment_of(self, header: Mapping[str, Any]) -> Environment:
        """The settings in a rank.json, with this node and the rank's GPU in it."""
        device = header.get("device")
        own = self._own_gpu(device) if isinstance(device, Mapping) else None
        return replace(record_of(Environment, header.get("environment")), node=self.node, gpu_index=own)

    def of_rank(self, rank: int, device: Mapping[str, Any]) -> tuple[Series, ...]:
        """The rank's host series and those of its own GPU; of all GPUs where nothing tells which is its own."""
        series: list[Series] = []
        if self.devices is not None:
            gpus = np.unique(self.devices.key).tolist()
            own = self._own_gpu(device)
            for gpu in gpus if own is None or own not in gpus else [own]:
                series += self.devices.series(gpu, gpu)
        if self.hosts is not None:
            series += self.hosts.series(rank, None)
        return tuple(series)

    def gpu_series(self) -> tuple[Series, ...]:
        """The series of all GPUs of the node."""
        if self.devices is None:
            return ()
        return tuple(one for gpu in np.unique(self.devices.key).tolist() for one in self.devices.series(gpu, gpu))

    def _own_gpu(self, device: Mapping[str, Any]) -> int | None:
        """NVML's number of the GPU that torch calls `device`, by UUID, else by PCI bus."""
        uuid, bus = device.get("uuid"), device.get("pci_bus")
        by_uuid = [known["gpu"] for known in self.identities if uuid and known.get("uuid") == uuid]
        by_bus = [known["gpu"] for known in self.identities if bus is not None and _bus(known.get("pci_bus_id")) == bus]
        matches = by_uuid or by_bus
        return matches[0] if len(matches) == 1 else None


def _table(path: Path, key: str, warnings: list[str]) -> _Table | None:
    """The rows that have a time and a `key`; None when there are none."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        warnings.append(f"{path} cannot be read ({error.strerror}); its telemetry is left out.")
        return None
    # Ranks of a node append to one file, so the header may come after a line, or twice; the last line may be cut.
    lines = text.split("\n")[:-1]
    names = next((line.split(",") for line in lines if line.startswith("t_ns,")), [])
    if key not in names:
        if lines:
            warnings.append(f"{path} has no header; its telemetry is left out.")
        return None
    place = names.index(key)
    rows: list[tuple[int, int, list[str]]] = []
    for line in lines:
        cells = line.split(",")
        if len(cells) == len(names):
            t_ns, owner = _whole(cells[0]), _whole(cells[place])
            if t_ns is not None and owner is not None and t_ns in UNIX_NS and owner < MANY:
                rows.append((t_ns, owner, cells))
    if not rows:
        return None
    rows.sort(key=lambda row: (row[0], row[1]))
    return _Table(
        np.array([t for t, _, _ in rows], dtype=np.int64),
        np.array([k for _, k, _ in rows], dtype=np.int64),
        {name: _numbers([row[i] for _, _, row in rows]) for i, name in enumerate(names) if i not in (0, place)},
    )


def _unit(column: str) -> str:
    if column.endswith("_bytes"):
        return "B"
    return "B/s" if column.endswith("_bytes_per_s") else UNITS.get(column, "")


def _node(path: Path, warnings: list[str]) -> Node | None:
    try:
        return record_of(Node, json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        warnings.append(f"{path} cannot be read; the topology of this node is unknown.")
        return None


def _whole(cell: str) -> int | None:
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) < 20 else None


def _numbers(cells: Sequence[str]) -> npt.NDArray[np.float64]:
    def number(cell: str) -> float:
        try:
            return float(cell) if cell else np.nan
        except ValueError:
            return np.nan

    return np.array([number(cell) for cell in cells], dtype=np.float64)


def _identities(path: Path) -> tuple[Mapping[str, Any], ...]:
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return ()
    entries = known if isinstance(known, list) else []
    return tuple(entry for entry in entries if isinstance(entry, dict) and type(entry.get("gpu")) is int)


def _bus(address: object) -> int | None:
    """The bus number in an address such as `00000000:19:00.0`."""
    parts = str(address).split(":")
    try:
        return int(parts[-2], 16)
    except (IndexError, ValueError):
        return None
