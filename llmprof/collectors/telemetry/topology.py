"""How is this node built? GPUs with their limits, the links between them, network cards and the host: topology.json.

Asked once, outside the training processes. Levels and states are those of the NVML API reference
(nvmlGpuTopologyLevel_t, nvmlGpuP2PStatus_t); what the driver refuses stays null, with the reason in `unread`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from llmprof.collectors.telemetry.machine import machine, numa_node_of
from llmprof.collectors.telemetry.nvml import text
from llmprof.timeline.cpus import cpu_list, cpu_set
from llmprof.timeline.rundir import write_json_atomic

__all__ = ["node_topology", "write_topology"]

ANCESTORS = {0: "board", 10: "switch", 20: "switches", 30: "host-bridge", 40: "numa-node", 50: "system"}
MOST_LINKS = 36
"""More than any GPU has; the library's own constant is not the same in all versions."""
MOST_PAIRS = 16
"""GPUs of which all pairs are asked for: beyond that (no node has them) it would take too long."""
REASON_CHARACTERS = 120
WORD_BITS = 64


def write_topology(folder: Path, root: Path = Path("/")) -> None:
    """Write `topology.json` into a node's folder. `root` is where /proc and /sys are found."""
    write_json_atomic(folder / "topology.json", {"schema": 1, **node_topology(root)})


def node_topology(root: Path = Path("/")) -> dict[str, Any]:
    """The fields of timeline.topology.Node."""
    unread: dict[str, str] = {}
    found: dict[str, Any] = {**machine(root), "gpus": [], "pairs": []}
    try:
        nvml = import_module("pynvml")
        nvml.nvmlInit()
        found.update(_driver(nvml))
        asked = _Asked(nvml, unread)
        gpus = [_Gpu(asked, index, root) for index in range(nvml.nvmlDeviceGetCount())]
        found["gpus"] = [gpu.limits() for gpu in gpus]
        found["pairs"] = [_pair(asked, a, b) for a in gpus[:MOST_PAIRS] for b in gpus[:MOST_PAIRS] if a.index < b.index]
    except Exception as error:
        unread["gpus"] = _words(error)
    return {**found, "unread": unread}


def _driver(nvml: Any) -> dict[str, Any]:
    cuda = text(nvml.nvmlSystemGetCudaDriverVersion)
    known = cuda is not None and cuda.isdigit()
    return {
        "driver_version": text(nvml.nvmlSystemGetDriverVersion),
        "driver_cuda_version": f"{int(cuda or 0) // 1000}.{int(cuda or 0) % 1000 // 10}" if known else None,
    }


class _Asked:
    """Questions to NVML; of each kind of question that was refused the first reason is kept."""

    def __init__(self, nvml: Any, unread: dict[str, str]) -> None:
        self.nvml = nvml
        self._unread = unread

    def __call__(self, name: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Exception as error:
            self._unread.setdefault(name, _words(error))
            return None


class _Gpu:
    """One GPU: its address, its limits, and where its NVLinks lead."""

    def __init__(self, asked: _Asked, index: int, root: Path) -> None:
        self._asked = asked
        self._root = root
        self.index = index
        self.handle = asked.nvml.nvmlDeviceGetHandleByIndex(index)
        bus = text(lambda: asked.nvml.nvmlDeviceGetPciInfo(self.handle).busId)
        self.bus = None if bus is None else bus.lower()
        self.links = self._links()
        """By link the address of what is at its other end, `switch`, or None when that is not told; None: refused."""

    def limits(self) -> dict[str, Any]:
        """Fields of timeline.topology.Gpu."""
        asked, nvml, gpu = self._asked, self._asked.nvml, self.handle
        return {
            "index": self.index,
            "name": text(lambda: nvml.nvmlDeviceGetName(gpu)),
            "uuid": text(lambda: nvml.nvmlDeviceGetUUID(gpu)),
            "pci_bus_id": self.bus,
            "memory_bytes": asked("memory_bytes", lambda: nvml.nvmlDeviceGetMemoryInfo(gpu).total),
            "numa_node": self._numa_node(),
            "cpu_affinity": asked("cpu_affinity", self._cpus),
            "pcie_gen_max": asked("pcie_gen_max", lambda: nvml.nvmlDeviceGetMaxPcieLinkGeneration(gpu)),
            "pcie_width_max": asked("pcie_width_max", lambda: nvml.nvmlDeviceGetMaxPcieLinkWidth(gpu)),
            "sm_mhz_max": asked("sm_mhz_max", lambda: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM)),
            "mem_mhz_max": asked("mem_mhz_max", lambda: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_MEM)),
            "power_limit_w": asked("power_limit_w", lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000),
            "power_default_w": asked(
                "power_default_w", lambda: nvml.nvmlDeviceGetPowerManagementDefaultLimit(gpu) / 1000
            ),
            "nvlinks": None if self.links is None else len(self.links),
            "mig": asked("mig", lambda: nvml.nvmlDeviceGetMigMode(gpu)[0] == 1),
            "ecc": asked("ecc", lambda: nvml.nvmlDeviceGetEccMode(gpu)[0] == 1),
            "persistence": asked("persistence", lambda: nvml.nvmlDeviceGetPersistenceMode(gpu) == 1),
        }

    def _numa_node(self) -> int | None:
        if self.bus is None:
            return None
        domain, _, rest = self.bus.partition(":")  # NVML writes the domain with eight digits, the kernel with four
        return numa_node_of(self._root / "sys/bus/pci/devices" / f"{domain[-4:]}:{rest}")

    def _cpus(self) -> str:
        highest = max(cpu_set((self._root / "sys/devices/system/cpu/online").read_text("ascii")))
        words = self._asked.nvml.nvmlDeviceGetCpuAffinity(self.handle, highest // WORD_BITS + 1)
        return cpu_list(
            place * WORD_BITS + bit for place, word in enumerate(words) for bit in range(WORD_BITS) if word >> bit & 1
        )

    def _links(self) -> list[str | None] | None:
        nvml, ends, answered = self._asked.nvml, [], False
        for link in range(MOST_LINKS):
            try:
                active = nvml.nvmlDeviceGetNvLinkState(self.handle, link) == 1
            except Exception as error:
                if link == 0:
                    self._asked("nvlinks", _raising(error))
                break  # there are no more
            answered = True
            if active:
                ends.append(self._end(link))
        return ends if answered else None

    def _end(self, link: int) -> str | None:
        nvml = self._asked.nvml
        kind = self._asked("nvlink_ends", lambda: nvml.nvmlDeviceGetNvLinkRemoteDeviceType(self.handle, link))
        if kind == 2:  # NVML_NVLINK_DEVICE_TYPE_SWITCH: every GPU of the node is behind it
            return "switch"
        bus = text(lambda: nvml.nvmlDeviceGetNvLinkRemotePciInfo(self.handle, link).busId)
        return None if bus is None else bus.lower()


def _pair(asked: _Asked, a: _Gpu, b: _Gpu) -> dict[str, Any]:
    """Fields of timeline.topology.GpuPair."""
    nvml = asked.nvml
    level = asked("ancestor", lambda: nvml.nvmlDeviceGetTopologyCommonAncestor(a.handle, b.handle))
    status = asked("nvlink", lambda: nvml.nvmlDeviceGetP2PStatus(a.handle, b.handle, nvml.NVML_P2P_CAPS_INDEX_NVLINK))
    return {
        "a": a.index,
        "b": b.index,
        "nvlinks": _between(a, b),
        "nvlink": None if status is None else status == 0,
        "ancestor": ANCESTORS.get(level),
    }


def _between(a: _Gpu, b: _Gpu) -> int | None:
    """Direct links, and those by which both reach a switch; None when the end of a link is not known."""
    if a.links is None or b.links is None:
        return None
    direct = a.links.count(b.bus) if b.bus is not None else 0
    if not direct and None in (*a.links, *b.links):
        return None
    return direct + min(a.links.count("switch"), b.links.count("switch"))


def _raising(error: Exception) -> Callable[[], Any]:
    def read() -> Any:
        raise error

    return read


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:REASON_CHARACTERS]
