"""The fix drop-recompute: activations are kept instead of being computed again in the backward."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Call checkpointed functions directly."""
    import torch.utils.checkpoint as recompute

    named = inspect.signature(recompute.checkpoint).parameters.values()
    own = {one.name for one in named if one.kind is inspect.Parameter.KEYWORD_ONLY} | {"use_reentrant"}
    own.add("preserve_rng_state")

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if not attempt.armed:
                return original(function, *args, **kwargs)
            attempt.applied("checkpointed functions called directly")
            return function(*args, **{name: value for name, value in kwargs.items() if name not in own})

        return checkpoint

    attempt.wrap(recompute, "checkpoint", make)
