"""What is each thing called, and in which colour is it shown? The words and colours that every report shares."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.rules.fixes import FIXES

__all__ = [
    "BOUND_NAMES",
    "CLASS_LABELS",
    "CPU_HOST_LABEL",
    "PART_LABELS",
    "STALL_NAMES",
    "PartLabel",
    "confidence_word",
    "effort_word",
    "headline_label",
    "parts_of_fix",
    "status_word",
]


@dataclass(frozen=True, slots=True)
class PartLabel:
    """How one part of the step is told: its name, its name where room is scarce, its meaning and its colour."""

    name: str
    short: str
    meaning: str
    colour: str
    idle: bool = False
    """True when no kernel runs meanwhile; shown hatched, so that colour is never the only sign."""


# The ten parts keep a CIE76 distance of at least 17 from each other in normal vision and in simulated protanopia,
# deuteranopia and tritanopia (matrices of Machado, Oliveira and Fernandes 2009, severity 1).
PART_LABELS: dict[str, PartLabel] = {
    "compute": PartLabel("compute", "compute", "kernels of the model and the optimizer run", "#2064df"),
    "communication": PartLabel(
        "exposed communication", "exposed comm", "collectives run and no compute hides them", "#ec9151"
    ),
    "skew": PartLabel(
        "waiting for a late rank", "late rank", "inside a collective, until the last rank arrives", "#f7e687"
    ),
    "memcpy": PartLabel("copies", "copies", "memory copies that no compute hides", "#866248"),
    "data": PartLabel("input wait", "input wait", "the training loop waits for its next batch", "#bf2217", True),
    "host": PartLabel(
        "host (launch)", "host launch", "Python and the CPU do not issue kernels fast enough", "#a83f7c", True
    ),
    "sync": PartLabel(
        "host sync", "host sync", "the queue is empty after the host waited for the device", "#f7b6e7", True
    ),
    "memory_management": PartLabel(
        "memory management", "memory mgmt", "the allocator asks the driver for memory or gives it back", "#60288a", True
    ),
    "stalls": PartLabel("stalls", "stalls", "checkpoint, evaluation, garbage collection, compilation", "#303436", True),
    "other": PartLabel("other", "other", "waits on dependencies, and idle time with no known cause", "#a6a9ab", True),
}

CPU_HOST_LABEL = PartLabel("Python", "python", "Python code between operators", PART_LABELS["host"].colour)
"""The part `host` of a run without a GPU."""

CLASS_LABELS: dict[str, PartLabel] = {
    "gemm": PartLabel("matrix multiply", "matmul", "matrix multiplications", "#2064df"),
    "attention": PartLabel("attention", "attention", "attention kernels", "#6198ee"),
    "convolution": PartLabel("convolution", "conv", "convolutions", "#17409a"),
    "normalization": PartLabel("normalization", "norm", "layer and RMS normalization", "#2d96b8"),
    "softmax": PartLabel("softmax", "softmax", "softmax outside attention", "#58b3cf"),
    "cross_entropy": PartLabel("loss", "loss", "cross-entropy and its softmax", "#1c7290"),
    "optimizer": PartLabel("optimizer", "optimizer", "the optimizer's update and gradient clipping", "#1b4b7a"),
    "elementwise": PartLabel("element-wise", "elementwise", "additions, activations, casts", "#8cc7dc"),
    "reduction": PartLabel("reductions", "reduction", "sums, means and norms", "#6fb6bd"),
    "embedding": PartLabel("embedding", "embedding", "table look-ups and their gradients", "#7aa3c9"),
    "index": PartLabel("indexing", "indexing", "gather, scatter, sort, top-k", "#9db9d6"),
    "copy": PartLabel("tensor copies", "tensor copy", "copies, transposes and concatenations on the device", "#b6cade"),
    "dropout": PartLabel("dropout", "dropout", "dropout and random numbers", "#a9d5d8"),
    "moe": PartLabel("expert routing", "experts", "mixture-of-experts routing and permutation", "#3b4fb5"),
    "quantization": PartLabel("quantization", "quantize", "scaling and casting to 8 bits or fewer", "#4a769d"),
    "other": PartLabel("other kernels", "other kernels", "kernels of no known class", "#c3d3e2"),
}

STALL_NAMES = {
    "checkpoint": "checkpoint",
    "evaluation": "evaluation",
    "gc": "garbage collection",
    "compile": "compile",
    "plan_build": "operator planning",
}

BOUND_NAMES = {
    "data": "input",
    "compute": "compute",
    "memory": "memory",
    "communication": "communication",
    "host": "host",
    "imbalance": "imbalance",
    "none": "nothing",
}

_HEADLINES = {
    "data": "INPUT-STARVED",
    "compute": "COMPUTE-BOUND",
    "memory": "MEMORY-BOUND",
    "communication": "COMMUNICATION-BOUND",
    "host": "HOST-BOUND",
    "imbalance": "IMBALANCED",
    "none": "NOTHING LIMITS",
}

_EFFORTS = {
    "flag": "one setting",
    "few_lines": "few lines",
    "refactor": "refactoring",
    "infrastructure": "infrastructure",
}

_STATUSES = {
    "fired": "found",
    "passed": "passed",
    "not_applicable": "not applicable",
    "no_data": "no data",
    "error": "check failed",
}

# The table of fixes names parts of the step; where a fix touches some classes of compute only, they stand here.
_CLASSES_BY_FIXES = {
    "bf16-autocast fp8": ("gemm", "attention", "convolution"),
    "tf32 align-dimensions": ("gemm", "convolution"),
    "sdpa-attention fused-attention-backend": ("attention", "softmax"),
    "torch-compile": ("elementwise", "normalization", "reduction"),
    "fused-optimizer foreach-optimizer": ("optimizer",),
    "fused-cross-entropy pad-vocabulary": ("cross_entropy", "gemm"),
    "ddp-bucket-view": ("copy",),
}
_CLASSES_OF_FIX = {fix: classes for fixes, classes in _CLASSES_BY_FIXES.items() for fix in fixes.split()}


def parts_of_fix(fix_id: str) -> tuple[str, ...]:
    """Keys of the bar's parts that a fix shrinks; empty for a fix of unknown id, which then links to none.

    `compute` stands for all of its classes, `compute.gemm` for one of them.
    """
    known = FIXES.get(fix_id)
    if known is None:
        return ()
    classes = tuple(f"compute.{name}" for name in _CLASSES_OF_FIX.get(fix_id, ()))
    parts = (((part,) if part != "compute" else classes or (part,)) for part in known.removes)
    return tuple(key for keys in parts for key in keys)


def headline_label(bound: str | None, detail: str | None) -> str:
    """The verdict in capitals: `INPUT-STARVED`, `MEMORY-BOUND (capacity)`, `NO VERDICT`."""
    if bound is None:
        return "NO VERDICT"
    label = _HEADLINES.get(bound, f"{bound.upper()}-BOUND")
    return f"{label} ({detail})" if bound == "memory" and detail else label


def confidence_word(confidence: float | None) -> str:
    """A confidence of 0 to 1 as `high`, `medium`, `low` or `unknown`."""
    if confidence is None:
        return "unknown"
    return "high" if confidence >= 0.7 else "medium" if confidence >= 0.4 else "low"


def effort_word(effort: str) -> str:
    """What a fix asks of its reader: `one setting`, `few lines`, `refactoring`, `infrastructure`."""
    return _EFFORTS.get(effort, effort)


def status_word(status: str) -> str:
    """The state of a check for people: `found`, `passed`, `not applicable`, `no data`, `check failed`."""
    return _STATUSES.get(status, status)
