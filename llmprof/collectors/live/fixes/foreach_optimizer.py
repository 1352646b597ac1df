"""The fix foreach-optimizer: parameters are updated in lists instead of one by one."""

from __future__ import annotations

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.optimizers import use_implementation

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Switch every optimizer that has a foreach implementation to it."""
    use_implementation(attempt, "foreach")
