"""How are the settings of DistributedDataParallel changed, and what can be done before its first forward?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt, Change

__all__ = ["adjust_ddp", "before_forwards"]


def adjust_ddp(attempt: Attempt, change: Change) -> None:
    """Let `change` see the arguments with which every DistributedDataParallel is made."""
    from torch.nn.parallel import DistributedDataParallel

    attempt.adjust(DistributedDataParallel, "__init__", change)


def before_forwards(attempt: Attempt, call: Callable[[Any], None]) -> None:
    """Call with the DistributedDataParallel before each of its forwards."""
    from torch.nn.parallel import DistributedDataParallel

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def forward(model: Any, *args: Any, **kwargs: Any) -> Any:
            attempt.guard(call, model)
            return original(model, *args, **kwargs)

        return forward

    attempt.wrap(DistributedDataParallel, "forward", make)
