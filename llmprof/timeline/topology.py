"""What is a node made of? Its GPUs and the links between them, network cards, CPUs and memory. None means unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Gpu", "GpuPair", "NetworkCard", "Node"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU as the driver describes it; what it can do at most, not what it does."""

    index: int | None = None
    """NVML's number, which CUDA_VISIBLE_DEVICES does not change."""
    name: str | None = None
    uuid: str | None = None
    pci_bus_id: str | None = None
    memory_bytes: int | None = None
    numa_node: int | None = None
    cpu_affinity: str | None = None
    """CPUs near to it, in the kernel's list format."""
    pcie_gen_max: int | None = None
    """Of the link: the smaller one of what GPU and slot can do."""
    pcie_width_max: int | None = None
    sm_mhz_max: int | None = None
    mem_mhz_max: int | None = None
    power_limit_w: float | None = None
    """The limit that is enforced."""
    power_default_w: float | None = None
    nvlinks: int | None = None
    """Links that are active."""
    mig: bool | None = None
    ecc: bool | None = None
    persistence: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPair:
    """How two GPUs of a node reach each other."""

    a: int | None = None
    b: int | None = None
    nvlinks: int | None = None
    """NVLinks that lead from one to the other, through switches too."""
    nvlink: bool | None = None
    """Whether the driver offers peer-to-peer access over NVLink."""
    ancestor: str | None = None
    """The nearest thing that both PCIe paths share: board, switch, switches, host-bridge, numa-node or system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCard:
    """One network interface that is a device of its own."""

    name: str | None = None
    kind: str | None = None
    """infiniband or ethernet; RoCE cards are listed as infiniband with link layer Ethernet."""
    link_layer: str | None = None
    pci_bus_id: str | None = None
    numa_node: int | None = None
    megabits_per_s: int | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One host."""

    gpus: tuple[Gpu, ...] = ()
    pairs: tuple[GpuPair, ...] = ()
    network: tuple[NetworkCard, ...] = ()
    driver_version: str | None = None
    driver_cuda_version: str | None = None
    """The newest CUDA that the driver knows."""
    cpu_model: str | None = None
    cpu_count: int | None = None
    """Logical CPUs that are online."""
    cpu_cores: int | None = None
    """Physical cores."""
    cpu_sockets: int | None = None
    numa_nodes: Mapping[str, str] = field(default_factory=dict)
    """CPUs of each NUMA node, by its number, in the kernel's list format."""
    memory_bytes: int | None = None
    shm_bytes: int | None = None
    """Size of /dev/shm."""
    shm_free_bytes: int | None = None
    container: str | None = None
    """docker, podman, kubernetes or apptainer where a sign of it was found, else `none`."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Why a field is unknown, by its name."""

    def gpu(self, index: int | None) -> Gpu | None:
        """The GPU with this number."""
        return next((gpu for gpu in self.gpus if index is not None and gpu.index == index), None)
