"""The fix expandable-segments: the caching allocator grows its segments instead of splitting them."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.moments import at_first_step

__all__ = ["NEEDS_GPU", "NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""
NEEDS_GPU = True


def apply(attempt: Attempt) -> None:
    """Set the allocator before it has given out any memory; the allocator itself says afterwards whether it does so."""
    import torch

    if not torch.cuda.is_available():
        attempt.refuse("there is no GPU here whose memory could be allocated")
        return
    torch.cuda.memory._set_allocator_settings("expandable_segments:True")

    def ask(optimizer: Any) -> None:
        settings = torch.cuda.memory._snapshot().get("allocator_settings", {})
        if settings.get("expandable_segments", True):
            attempt.applied("expandable_segments:True")
        else:
            attempt.refuse("the allocator has not taken the setting")

    at_first_step(attempt, ask)
