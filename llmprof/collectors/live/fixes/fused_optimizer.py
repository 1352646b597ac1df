"""The fix fused-optimizer: all parameters are updated in a few fused kernels."""

from __future__ import annotations

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.optimizers import use_implementation

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Switch every optimizer that has a fused implementation to it."""
    use_implementation(attempt, "fused")
