"""How are the settings of a DataLoader changed before it is made?"""

from __future__ import annotations

import os
from typing import Any

from llmprof.collectors.live.configuration.host import usable_cores
from llmprof.collectors.live.fixes.applying.attempt import Attempt, Change

__all__ = ["adjust_loaders", "cores_per_rank"]


def adjust_loaders(attempt: Attempt, change: Change) -> None:
    """Let `change` see the arguments of every DataLoader that the script makes."""
    from torch.utils.data import DataLoader

    attempt.adjust(DataLoader, "__init__", change)


def cores_per_rank() -> int:
    """Cores that this process may use, shared with the other ranks of its node; at least 1."""
    local: Any = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, (usable_cores() or 1) // max(1, int(local) if local.isdecimal() else 1))
