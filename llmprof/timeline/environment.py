"""What the run was: device, software, launch, parallelism, settings and node. None means unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmprof.timeline.settings import (
    Compilation,
    DdpSettings,
    DeepSpeedSettings,
    FsdpSettings,
    LoaderSettings,
    Mesh,
    ModelSettings,
    OptimizerSettings,
    Parallelism,
    PipelineSettings,
    Precision,
    ProcessGroup,
)
from llmprof.timeline.topology import Node

__all__ = ["Device", "Environment", "LoaderSettings", "OptimizerSettings", "Parallelism"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One accelerator."""

    name: str | None = None
    memory_bytes: int | None = None
    sm_count: int | None = None
    capability: tuple[int, int] | None = None


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
    """Whether fp32 matrix products may run in TF32, by whichever setting decides."""
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
    cudnn_version: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    """Versions of the libraries that the script had imported."""
    gpu_architectures: tuple[str, ...] = ()
    """What this build of torch has kernels for: sm_80, sm_90."""
    models: tuple[ModelSettings, ...] = ()
    """Trained models, the largest first."""
    precision: Precision = field(default_factory=Precision)
    compilation: Compilation | None = None
    ddp: DdpSettings | None = None
    fsdp: FsdpSettings | None = None
    meshes: tuple[Mesh, ...] = ()
    tensor_placements: Mapping[str, int] = field(default_factory=dict)
    """How many parameters are distributed tensors of each placement, such as `tp:Shard(0)`."""
    pipeline: PipelineSettings | None = None
    deepspeed: DeepSpeedSettings | None = None
    process_groups: tuple[ProcessGroup, ...] = ()
    cpu_affinity: str | None = None
    """CPUs that this process may run on, in the kernel's list format."""
    numa_nodes: tuple[int, ...] = ()
    """NUMA nodes of those CPUs."""
    cpu_quota: float | None = None
    """Cores that the control group allows; None without a quota."""
    memory_limit_bytes: int | None = None
    """What the control group allows; None without a limit."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Why a setting is unknown, by its name."""
    node: Node | None = None
    """The host that the rank ran on."""
    gpu_index: int | None = None
    """The rank's GPU by NVML's number, the one in `node`."""
