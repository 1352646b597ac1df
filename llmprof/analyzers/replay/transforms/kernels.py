"""Kernels at the rate that the roofline gives them: aligned shapes, fused losses, other backends of attention."""

from __future__ import annotations

from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject, removed, scaled

__all__ = ["FIXES", "apply"]

FIXES = (
    "pad-vocabulary",
    "align-dimensions",
    "fused-cross-entropy",
    "fused-attention-backend",
    "fp8",
    "sdpa-attention",
)

CLOSURE = (0.5, 0.875, 1.0)
"""The share of the distance to the roofline that is closed (TraceLens expects 75 to 100 %)."""
SCORES = (1.0, 1.0, 0.5)
"""What the products of unfused attention take afterwards; FlashAttention does the same products."""
SOFTMAX = (0.5, 0.0, 0.0)
"""What is left of the softmax, whose tensors are no longer written (Dao et al., FlashAttention, 2022)."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with these kernels faster."""
    target = subject.scale_of(fix)
    if target is not None:
        return scaled(scenario, subject.device, dur=1 - level.pick(*CLOSURE) * (1 - target))
    if fix != "sdpa-attention":
        return "how fast these kernels could be is not known from the recording"
    softmax = subject.kind("softmax")
    if not softmax.any():
        return "no softmax kernel of an unfused attention was recorded"
    left = level.pick(*SOFTMAX)
    return scaled(scenario, softmax, dur=left) if left else removed(scenario, softmax)
