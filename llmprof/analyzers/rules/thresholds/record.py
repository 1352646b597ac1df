"""What is a threshold, and whose figures do we use? The record, and the names of the public sources."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "DATALOADER",
    "HUGGING_FACE",
    "MEGATRON",
    "ML_ENGINEERING",
    "OWN",
    "SAGEMAKER",
    "TENSORBOARD",
    "TRACELENS",
    "TRACEML",
    "XPROF",
    "Threshold",
    "factor",
    "share",
]

TENSORBOARD = "PyTorch Profiler TensorBoard plugin (pytorch/kineto, tb_plugin)"
XPROF = "XProf smart suggestions (openxla/xprof)"
SAGEMAKER = "SageMaker Debugger profiler rules (awslabs/sagemaker-debugger)"
TRACELENS = "TraceLens (AMD-AGI/TraceLens)"
TRACEML = "TraceML (traceopt-ai/traceml)"
MEGATRON = "Megatron-Bridge performance guide (NVIDIA-NeMo/Megatron-Bridge)"
ML_ENGINEERING = "Machine Learning Engineering (stas00/ml-engineering)"
HUGGING_FACE = "Hugging Face Transformers performance documentation"
DATALOADER = "PyTorch DataLoader documentation"
OWN = "llmprof"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One number that decides something."""

    name: str
    value: float
    unit: str
    source: str
    reason: str


def share(name: str, value: float, source: str, reason: str) -> Threshold:
    """Build a threshold that is a share of the step."""
    return Threshold(name=name, value=value, unit="share of the step", source=source, reason=reason)


def factor(name: str, value: float, source: str, reason: str) -> Threshold:
    """Build a threshold that is a factor."""
    return Threshold(name=name, value=value, unit="factor", source=source, reason=reason)
