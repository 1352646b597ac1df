"""The fix persistent-workers: a loader's workers live on from one epoch to the next."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.loaders import adjust_loaders

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Set persistent_workers of every loader that has workers."""

    def change(arguments: dict[str, Any]) -> str | None:
        if arguments["num_workers"] == 0:
            attempt.refuse("a loader has no workers")
            return None
        if arguments["persistent_workers"]:
            attempt.refuse("a loader keeps its workers already")
            return None
        arguments["persistent_workers"] = True
        return "persistent_workers False -> True"

    adjust_loaders(attempt, change)
