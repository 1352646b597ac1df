"""How are the settings of a DataLoader changed before it is made?"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.configuration.host import usable_cores
from llmprof.collectors.live.fixes.applying.attempt import Attempt, Change
from llmprof.collectors.live.fixes.applying.moments import at_first_step

__all__ = ["adjust_loaders", "cores_per_rank", "workers_may_stay"]


def adjust_loaders(attempt: Attempt, change: Change) -> None:
    """Let `change` see the arguments of every DataLoader that the script makes."""
    from torch.utils.data import DataLoader

    attempt.adjust(DataLoader, "__init__", change)


def workers_may_stay(attempt: Attempt) -> Callable[[], bool]:
    """Whether workers of a loader that is made now may outlive an epoch: until the first optimizer step.

    A loader that is made while the model is trained is one of many, of every epoch or every evaluation. Frameworks keep
    the old ones (Accelerate lists all that it has prepared), and with them workers that stay would pile up.
    """
    begun: list[bool] = []
    at_first_step(attempt, lambda optimizer: begun.append(True))
    return lambda: not begun


def cores_per_rank() -> int:
    """Cores that this process may use, shared with the other ranks of its node; at least 1."""
    local: Any = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, (usable_cores() or 1) // max(1, int(local) if local.isdecimal() else 1))
