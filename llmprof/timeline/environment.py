"""What the run was: device, software, launch, parallelism, loader and optimizer settings. None means unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Device", "Environment", "LoaderSettings", "OptimizerSettings", "Parallelism"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One accelerator."""

    name: str | None = None
    memory_bytes: int | None = None
    sm_count: int | None = None
    capability: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderSettings:
    """How a DataLoader was built."""

    num_workers: int | None = None
    batch_size: int | None = None
    pin_memory: bool | None = None
    prefetch_factor: int | None = None
    persistent_workers: bool | None = None
    multiprocessing_context: str | None = None
    dataset: str | None = None
    """Class name of the dataset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSettings:
    """How an optimizer was built."""

    name: str | None = None
    fused: bool | None = None
    foreach: bool | None = None
    capturable: bool | None = None
    parameter_tensors: int | None = None
    parameter_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism:
    """Degrees of parallelism; None where nothing tells."""

    dp: int | None = None
    tp: int | None = None
    pp: int | None = None
    fsdp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Everything about a rank that is constant over the run."""

    device: Device = field(default_factory=Device)
    gpus_per_node: int | None = None
    host: str | None = None
    torch_version: str | None = None
    cuda_version: str | None = None
    nccl_version: str | None = None
    python_version: str | None = None
    world_size: int | None = None
    local_rank: int | None = None
    backend: str | None = None
    """Backend of the default process group: nccl, gloo."""
    parallelism: Parallelism = field(default_factory=Parallelism)
    loaders: tuple[LoaderSettings, ...] = ()
    """Training loaders, the one with most fetches first."""
    optimizers: tuple[OptimizerSettings, ...] = ()
    matmul_precision: str | None = None
    """torch.get_float32_matmul_precision(): highest, high, medium."""
    allow_tf32: bool | None = None
    autocast_dtype: str | None = None
    compiled: bool | None = None
    cpu_count: int | None = None
    """Cores this process may use: affinity mask and cgroup quota."""
    cpu_threads: int | None = None
    """torch.get_num_threads()."""
    parameter_bytes: Mapping[str, int] = field(default_factory=dict)
    """Bytes of parameters by dtype."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables from the allow-list."""
    command: tuple[str, ...] = ()
