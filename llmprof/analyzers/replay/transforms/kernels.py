"""Kernels at the rate that the roofline gives them: aligned shapes, fused losses, other attention.

Without such a rate nothing is replayed: names and classes do not tell which kernels work on scores of attention or on
logits, and the rules, which know it from the shapes, have a better bound.
"""

from __future__ import annotations

from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject, scaled

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


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with these kernels faster."""
    target = subject.scale_of(fix)
    if target is None:
        return "how fast these kernels could be is not known from the recording"
    return scaled(scenario, subject.device, dur=1 - level.pick(*CLOSURE) * (1 - target))
