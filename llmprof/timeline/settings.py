"""How was the training set up? Loaders, optimizers, models, precision, compilation and every kind of parallelism.

The records that timeline.environment.Environment is made of; None means unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "Compilation",
    "DdpSettings",
    "DeepSpeedSettings",
    "FsdpSettings",
    "LoaderSettings",
    "Mesh",
    "ModelSettings",
    "OptimizerSettings",
    "Parallelism",
    "PipelineSettings",
    "Precision",
    "ProcessGroup",
]


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
    dataset_kind: str | None = None
    """`map` or `iterable`."""
    loader: str | None = None
    """Class name of the loader, or of its iterator where nothing else was left of it."""
    sampler: str | None = None
    """Class name of what chooses samples."""
    batch_sampler: str | None = None
    """Class name of what makes batches of them; None where the loader itself does not batch."""
    collate_fn: str | None = None
    drop_last: bool | None = None
    in_order: bool | None = None
    timeout_s: float | None = None
    loads_not_measured: str | None = None
    """Why it is not known how long workers take for a batch; None when it is, and without workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSettings:
    """How an optimizer was built."""

    name: str | None = None
    fused: bool | None = None
    foreach: bool | None = None
    capturable: bool | None = None
    parameter_tensors: int | None = None
    parameter_count: int | None = None
    package: str | None = None
    """Where the class comes from: torch, bitsandbytes, deepspeed, apex."""
    groups: int | None = None
    """Parameter groups."""
    state_bits: int | None = None
    """8 or 4 when the class keeps its states in so many bits (by its name), else None."""
    state_bytes: Mapping[str, int] = field(default_factory=dict)
    """Bytes of optimizer state on this rank, by dtype."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """One trained model as this rank holds it (of sharded parameters its own shard)."""

    name: str | None = None
    """Class of the model inside its wrappers."""
    wrappers: tuple[str, ...] = ()
    """Classes around it, the outermost first."""
    modules: Mapping[str, int] = field(default_factory=dict)
    """How many modules of each class it has, the most frequent ones."""
    module_count: int | None = None
    trainable_bytes: Mapping[str, int] = field(default_factory=dict)
    """By dtype."""
    frozen_bytes: Mapping[str, int] = field(default_factory=dict)
    buffer_bytes: Mapping[str, int] = field(default_factory=dict)
    trainable_count: int | None = None
    """Elements."""
    frozen_count: int | None = None
    checkpointing: tuple[str, ...] = ()
    """Signs of activation checkpointing: `CheckpointWrapper x 12`, `gradient_checkpointing flag`, `recompute seen`."""
    convolutions: int | None = None
    channels_last: bool | None = None
    """Whether the weights of its 2d and 3d convolutions lie channels last; None without convolutions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Number formats and what the libraries are allowed to do with them."""

    fp32_precision: Mapping[str, str] = field(default_factory=dict)
    """torch.backends.*.fp32_precision by backend (`cuda.matmul`, `cudnn.conv`, ...), PyTorch 2.9 and newer."""
    cudnn_tf32: bool | None = None
    autocast: tuple[str, ...] = ()
    """Regions entered in training steps, such as `cuda bfloat16`; a disabled region is not listed."""
    autocast_watched: bool | None = None
    """Whether whole steps were watched for autocast; only then does an empty list mean that none was entered."""
    grad_scaler: bool | None = None
    """Whether a loss was scaled in the watched steps."""
    fp16_reduced_reduction: bool | None = None
    bf16_reduced_reduction: bool | None = None
    cudnn_enabled: bool | None = None
    cudnn_benchmark: bool | None = None
    cudnn_deterministic: bool | None = None
    deterministic_algorithms: bool | None = None
    detect_anomaly: bool | None = None
    sdpa_backends: tuple[str, ...] = ()
    """What scaled_dot_product_attention may choose from: flash, efficient, cudnn, math."""
    default_dtype: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What torch.compile was asked for and did."""

    modules: int | None = None
    """Modules that were compiled, themselves or as the root of a compiled model."""
    whole_model: bool | None = None
    backend: str | None = None
    mode: str | None = None
    dynamic: bool | None = None
    fullgraph: bool | None = None
    frames: int | None = None
    """Frames that Dynamo has compiled."""
    graph_breaks: int | None = None
    """Distinct reasons for which it broke a graph."""
    graphs: int | None = None
    """Distinct graphs among them."""
    cuda_graphs: bool | None = None
    """Whether Inductor was asked for CUDA graphs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism:
    """Degrees of parallelism; None where nothing tells."""

    dp: int | None = None
    tp: int | None = None
    pp: int | None = None
    fsdp: int | None = None
    cp: int | None = None
    ep: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DdpSettings:
    """How DistributedDataParallel was built."""

    bucket_cap_bytes: int | None = None
    bucket_cap_is_default: bool | None = None
    gradient_as_bucket_view: bool | None = None
    find_unused_parameters: bool | None = None
    static_graph: bool | None = None
    broadcast_buffers: bool | None = None
    communication_hook: str | None = None
    """Name of the registered hook; empty when there is none."""
    parameter_dtype: str | None = None
    """Of its native mixed precision."""
    group_size: int | None = None
    backend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FsdpSettings:
    """How fully sharded data parallelism was set up; version 1 is the wrapper class, 2 is fully_shard."""

    version: int | None = None
    units: int | None = None
    """Modules with a shard group of their own."""
    strategy: str | None = None
    """FULL_SHARD, SHARD_GRAD_OP, HYBRID_SHARD, ... of version 1."""
    reshard_after_forward: str | None = None
    """`yes`, `no`, or the size of the smaller group that it reshards to; of the units below the root."""
    parameter_dtype: str | None = None
    reduce_dtype: str | None = None
    buffer_dtype: str | None = None
    forward_prefetch: bool | None = None
    backward_prefetch: str | None = None
    limit_all_gathers: bool | None = None
    use_orig_params: bool | None = None
    cpu_offload: bool | None = None
    shard_size: int | None = None
    replicate_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """One DeviceMesh, with all its dimensions."""

    names: tuple[str, ...] = ()
    """Empty when the dimensions have no names."""
    sizes: tuple[int, ...] = ()
    device_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """A pipeline of torch.distributed.pipelining."""

    schedule: str | None = None
    microbatches: int | None = None
    stages: int | None = None
    local_stages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepSpeedSettings:
    """A DeepSpeed engine."""

    zero_stage: int | None = None
    optimizer_offload: str | None = None
    parameter_offload: str | None = None
    dtype: str | None = None
    gradient_accumulation: int | None = None
    overlap_communication: bool | None = None
    reduce_bucket_elements: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessGroup:
    """One group of processes that communicate."""

    name: str | None = None
    description: str | None = None
    backend: str | None = None
    size: int | None = None
    ranks: tuple[int, ...] = ()
    """Global ranks; only of groups with at most 64."""
    timeout_s: float | None = None
