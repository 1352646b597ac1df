"""What do the kernels do? Each kernel's class, number format and tensor-core use, and the time of each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["KernelClass", "KernelFacts", "TopKernel"]

KernelClass = str
"""One of COMPUTE_CLASSES, or `communication`, `memcpy`, `memset`."""

COMPUTE_CLASSES = (
    "gemm",
    "attention",
    "convolution",
    "normalization",
    "softmax",
    "cross_entropy",
    "optimizer",
    "elementwise",
    "reduction",
    "embedding",
    "index",
    "copy",
    "dropout",
    "moe",
    "quantization",
    "other",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopKernel:
    """One kernel name with its time and count per step."""

    name: str
    kind: KernelClass
    ns_per_step: float
    count_per_step: float
    dtype: str | None = None
    tensor_core: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFacts:
    """Kernels of one rank inside the traced windows; summed kernel time per step in ns (overlap counted twice)."""

    count_per_step: float
    mean_ns: float | None
    short_share: float | None
    """Share of kernels under 10 µs."""
    ns_by_class: Mapping[KernelClass, float] = field(default_factory=dict)
    count_by_class: Mapping[KernelClass, float] = field(default_factory=dict)
    gemm_ns_by_format: Mapping[str, float] = field(default_factory=dict)
    """GEMM time by number format of the inputs: bf16, fp16, tf32, fp32, fp8, unknown."""
    tensor_core_gemm_ns: float = 0.0
    cuda_core_gemm_ns: float = 0.0
    unknown_gemm_ns: float = 0.0
    """GEMM time of which the name does not tell whether tensor cores ran; never counted as "none"."""
    optimizer_kind: str | None = None
    """`fused`, `foreach`, `for-loop`, or None when no optimizer kernel was recognised."""
    optimizer_kernels_per_step: float | None = None
    optimizer_device_ns: float | None = None
    optimizer_host_ns: float | None = None
    """Host time inside `Optimizer.step` annotations."""
    top: tuple[TopKernel, ...] = ()
