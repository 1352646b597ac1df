"""The fix stop-cache-flush: empty_cache() of torch.cuda and of torch.accelerator does nothing while a model trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt

__all__ = ["NEEDS_GPU", "NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""
NEEDS_GPU = True


def apply(attempt: Attempt) -> None:
    """Leave out every call."""
    import torch

    def make(original: Callable[[], None]) -> Callable[[], None]:
        def empty_cache() -> Any:
            if attempt.armed and not torch.cuda.is_initialized():
                attempt.refuse("the process has used no GPU whose cache could be flushed")
                return original()
            if not attempt.armed:
                return original()
            attempt.applied("empty_cache() left out")
            return None

        return empty_cache

    attempt.wrap(torch.cuda, "empty_cache", make)
    accelerator = getattr(torch, "accelerator", None)  # both came later
    if hasattr(accelerator, "empty_cache"):
        attempt.wrap(accelerator, "empty_cache", make)
