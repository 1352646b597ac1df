"""Which device and which versions does this process run with? Nothing is imported to find out."""

from __future__ import annotations

import platform
import sys
from functools import cache
from importlib import metadata
from typing import Any

from llmprof.collectors.live.configuration.probing import Probes, attempt

__all__ = ["device_identity", "device_settings", "software"]

PACKAGES = {  # import name: distributions that bring it, the first one installed counts
    "accelerate": ("accelerate",),
    "apex": ("apex",),
    "bitsandbytes": ("bitsandbytes",),
    "datasets": ("datasets",),
    "deepspeed": ("deepspeed",),
    "flash_attn": ("flash-attn",),
    "flash_attn_interface": ("flash-attn-3", "flash_attn_3"),
    "lightning": ("lightning",),
    "liger_kernel": ("liger-kernel",),
    "megatron": ("megatron-core",),
    "numpy": ("numpy",),
    "peft": ("peft",),
    "pytorch_lightning": ("pytorch-lightning",),
    "tokenizers": ("tokenizers",),
    "torchao": ("torchao",),
    "torchdata": ("torchdata",),
    "torchtitan": ("torchtitan",),
    "torchvision": ("torchvision",),
    "transformer_engine": ("transformer-engine", "transformer_engine"),
    "transformers": ("transformers",),
    "triton": ("triton", "pytorch-triton", "pytorch-triton-rocm"),
    "trl": ("trl",),
    "unsloth": ("unsloth",),
    "xformers": ("xformers",),
}


def software(torch: Any, probes: Probes) -> dict[str, Any]:
    """Fields of Environment about versions."""
    on_gpu = torch.cuda.is_initialized()
    nccl = probes.read("nccl_version", torch.cuda.nccl.version) if on_gpu else None
    cudnn = probes.read("cudnn_version", torch.backends.cudnn.version) if on_gpu else None
    return {
        "torch_version": str(torch.__version__),
        "cuda_version": torch.version.cuda or getattr(torch.version, "hip", None),
        "cudnn_version": None if cudnn is None else _cudnn(int(cudnn)),
        "nccl_version": ".".join(map(str, nccl)) if isinstance(nccl, tuple) else None,
        "python_version": platform.python_version(),
        "packages": {name: version for name in PACKAGES if name in sys.modules and (version := _version(name))},
        "gpu_architectures": probes.read("gpu_architectures", torch.cuda.get_arch_list) or [] if on_gpu else [],
    }


@cache
def _version(name: str) -> str | None:
    """The version of an imported package, from its installed metadata; a look at the disk, so once a process."""
    found = (attempt(lambda one=one: metadata.version(one)) for one in PACKAGES[name])  # type: ignore[misc]
    version = next((one for one in found if one), None)
    if version is None:  # a checkout on the path has no metadata
        version = getattr(sys.modules.get(name), "__version__", None)
    return version if isinstance(version, str) else None


def _cudnn(number: int) -> str:
    """From 90100 to 9.1.0; until version 8 the major number had one digit more to its right (8902 is 8.9.2)."""
    base = 10_000 if number >= 90_000 else 1000
    return f"{number // base}.{number % base // 100}.{number % 100}"


def device_settings(torch: Any) -> dict[str, Any]:
    """Fields of Device; empty on the CPU."""
    if not torch.cuda.is_initialized():
        return {}
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "sm_count": properties.multi_processor_count,
        "capability": [properties.major, properties.minor],
    }


def device_identity(torch: Any) -> dict[str, Any] | None:
    """What finds this rank's device among NVML's, whatever CUDA_VISIBLE_DEVICES says."""
    if not torch.cuda.is_initialized():
        return None
    index = torch.cuda.current_device()
    properties = torch.cuda.get_device_properties(index)
    uuid = getattr(properties, "uuid", None)
    return {
        "index": index,
        "uuid": None if uuid is None else f"GPU-{str(uuid).removeprefix('GPU-')}",
        "pci_bus": getattr(properties, "pci_bus_id", None),
    }
