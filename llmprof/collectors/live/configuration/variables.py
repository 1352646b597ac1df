"""Which environment variables shape the speed of a run? Those of an allow-list, without secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

__all__ = ["variables"]

PREFIXES = (
    "CUBLAS_",
    "CUBLASLT_",
    "CUDA_",
    "CUDNN_",
    "FI_",
    "GLOO_",
    "GOMP_",
    "HSA_",
    "KMP_",
    "MIOPEN_",
    "MKL_",
    "NCCL_",
    "NVSHMEM_",
    "NVTE_",
    "OMP_",
    "OMPI_MCA_",
    "PYTORCH_",
    "RCCL_",
    "TORCHDYNAMO_",
    "TORCHINDUCTOR_",
    "TORCH_",
    "TRITON_",
    "UCC_",
    "UCX_",
)
NAMES = frozenset(
    {
        "ACCELERATE_DYNAMO_BACKEND",
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS",
        "ACCELERATE_MIXED_PRECISION",
        "ACCELERATE_USE_DEEPSPEED",
        "ACCELERATE_USE_FSDP",
        "DISABLE_CUPTI_LAZY_REINIT",
        "GPU_MAX_HW_QUEUES",
        "HIP_VISIBLE_DEVICES",
        "LD_PRELOAD",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "MALLOC_ARENA_MAX",
        "NUMEXPR_NUM_THREADS",
        "NVIDIA_TF32_OVERRIDE",
        "NVIDIA_VISIBLE_DEVICES",
        "OPENBLAS_NUM_THREADS",
        "PYTHONMALLOC",
        "PYTHONOPTIMIZE",
        "RANK",
        "RAYON_NUM_THREADS",
        "ROCR_VISIBLE_DEVICES",
        "SLURM_CPUS_ON_NODE",
        "SLURM_CPUS_PER_TASK",
        "SLURM_CPU_BIND",
        "SLURM_GPUS_ON_NODE",
        "SLURM_GPUS_PER_NODE",
        "SLURM_GPUS_PER_TASK",
        "SLURM_GPU_BIND",
        "SLURM_JOB_NUM_NODES",
        "SLURM_LOCALID",
        "SLURM_MEM_BIND",
        "SLURM_NNODES",
        "SLURM_NTASKS",
        "SLURM_NTASKS_PER_NODE",
        "SLURM_PROCID",
        "SLURM_TASKS_PER_NODE",
        "TEARDOWN_CUPTI",
        "TOKENIZERS_PARALLELISM",
        "WORLD_SIZE",
    }
)
SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL", "AUTH")
"""A variable caught by a prefix whose name holds one of these is left out."""
LONGEST = 400
"""Characters of a value."""
LOGIN = re.compile(r"(?<=://)[^/\s@]+@")


def variables(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Allowed variables by name; long values are cut, logins in addresses left out, the home directory is `~`."""
    every = os.environ if environment is None else environment
    home = every.get("HOME", "")
    return {name: _shown(value, home) for name, value in sorted(every.items()) if _allowed(name)}


def _allowed(name: str) -> bool:
    return name in NAMES or (name.startswith(PREFIXES) and not any(word in name for word in SECRET_WORDS))


def _shown(value: str, home: str) -> str:
    shown = LOGIN.sub("", value)
    if len(home) > 1:
        shown = re.sub(re.escape(home.rstrip("/")) + r"(?![\w.-])", "~", shown)
    return shown if len(shown) <= LONGEST else shown[:LONGEST] + "..."
