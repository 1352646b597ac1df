"""Which number formats may the libraries use, and which attention kernels, deterministic ones included?"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from llmprof.collectors.live.configuration.probing import Probes, attempt, dtype_name
from llmprof.collectors.live.configuration.regions import Regions

__all__ = ["precision", "tf32_allowed"]

FP32_SETTINGS = {
    "all": ("torch.backends",),
    "cuda.matmul": ("torch.backends.cuda", "matmul"),
    "cudnn": ("torch.backends.cudnn",),
    "cudnn.conv": ("torch.backends.cudnn", "conv"),
    "cudnn.rnn": ("torch.backends.cudnn", "rnn"),
    "mkldnn.matmul": ("torch.backends.mkldnn", "matmul"),
}
"""Where PyTorch 2.9 and newer keep `fp32_precision`: ieee, tf32, bf16, or none for what the level above says."""
SDPA = {
    "flash": "flash_sdp_enabled",
    "efficient": "mem_efficient_sdp_enabled",
    "cudnn": "cudnn_sdp_enabled",
    "math": "math_sdp_enabled",
}


def precision(torch: Any, probes: Probes, regions: Regions) -> dict[str, Any]:
    """Fields of Precision. The old getters and the new ones exclude each other: what raises is unknown."""
    cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
    read = probes.read_all(
        "precision",
        {
            "fp16_reduced_reduction": lambda: _first(cuda.matmul.allow_fp16_reduced_precision_reduction),
            "bf16_reduced_reduction": lambda: _first(cuda.matmul.allow_bf16_reduced_precision_reduction),
            "cudnn_enabled": lambda: bool(cudnn.enabled),
            "cudnn_benchmark": lambda: bool(cudnn.benchmark),
            "cudnn_deterministic": lambda: bool(cudnn.deterministic),
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled,
            "detect_anomaly": torch.is_anomaly_enabled,
            "default_dtype": lambda: dtype_name(torch.get_default_dtype()),
            "sdpa_backends": lambda: [name for name, getter in SDPA.items() if getattr(cuda, getter, bool)()],
        },
    )
    fp32 = _fp32_precision()
    return {
        **read,
        "sdpa_backends": read["sdpa_backends"] or [],
        "fp32_precision": fp32,
        "cudnn_tf32": _tf32(fp32.get("cudnn.conv"), lambda: bool(cudnn.allow_tf32)),
        "autocast": sorted(regions.autocast),
        "autocast_watched": regions.whole_steps > 0,
        "grad_scaler": regions.scaled or (False if regions.whole_steps > 0 else None),
    }


def tf32_allowed(torch: Any) -> bool | None:
    """Whether fp32 matrix products on the GPU may use TF32."""
    if os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":  # read by cuBLAS and cuDNN themselves
        return False
    return _tf32(_fp32_precision().get("cuda.matmul"), lambda: bool(torch.backends.cuda.matmul.allow_tf32))


def _tf32(said: str | None, old: Callable[[], bool]) -> bool | None:
    """By the new setting, which includes the old flag and the settings above it; by the flag where it says nothing."""
    return said == "tf32" if said not in (None, "none") else attempt(old)


def _fp32_precision() -> dict[str, str]:
    """By backend; empty before PyTorch 2.9."""
    found = {}
    for name, (module, *path) in FP32_SETTINGS.items():
        value = attempt(lambda module=module, path=path: _fp32_setting(module, path))  # type: ignore[misc]
        if isinstance(value, str):
            found[name] = value
    return found


def _fp32_setting(module: str, path: list[str]) -> Any:
    owner: Any = import_module(module)
    for name in path:
        owner = getattr(owner, name)
    return owner.fp32_precision


def _first(value: Any) -> bool:
    """Newer versions give a pair: the setting, and whether it may split along k."""
    return bool(value[0] if isinstance(value, tuple) else value)
