"""The fix dataloader-prefetch: every worker keeps more batches ready."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.loaders import adjust_loaders

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = r"prefetch_factor=(\d+)"
USUAL = 2
"""What a DataLoader takes by itself (documentation of torch.utils.data)."""


def apply(attempt: Attempt) -> None:
    """Raise prefetch_factor of every loader that has workers and a lower one."""
    wanted = attempt.number(4 * USUAL)

    def change(arguments: dict[str, Any]) -> str | None:
        now = arguments["prefetch_factor"] or USUAL
        if arguments["num_workers"] == 0:
            attempt.refuse("a loader has no workers that could prefetch; try dataloader-workers")
            return None
        if now == wanted and attempt.times:
            return None  # a framework makes the loader anew, with the settings that it has
        if now >= wanted:
            attempt.refuse(f"a loader has a prefetch_factor of {now} already, {wanted} is wanted")
            return None
        arguments["prefetch_factor"] = wanted
        return f"prefetch_factor {now} -> {wanted}"

    adjust_loaders(attempt, change)
