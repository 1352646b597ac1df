"""The fix compress-gradients: DistributedDataParallel reduces in bf16, or fp16 where there is no bf16."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.ddp import before_forwards

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = True
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Register PyTorch's hook before the first forward, when the script has registered what it wants to."""
    known: set[int] = set()

    def forward_begins(model: Any) -> None:
        if id(model) in known:
            return
        known.add(id(model))
        if model._comm_hooks:
            attempt.refuse("the script has registered a communication hook of its own")
            return
        from torch.distributed.algorithms.ddp_comm_hooks import default_hooks

        hook = default_hooks.bf16_compress_hook
        try:
            model.register_comm_hook(None, hook)
        except TypeError:  # torch says so of backends without bf16
            hook = default_hooks.fp16_compress_hook
            model.register_comm_hook(None, hook)
        attempt.applied(f"{hook.__name__} registered")

    before_forwards(attempt, forward_begins)
