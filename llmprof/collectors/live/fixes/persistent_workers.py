"""The fix persistent-workers: a loader's workers live on from one epoch to the next."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.loaders import adjust_loaders, workers_may_stay

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Set persistent_workers of every loader that has workers and is made before the first step."""
    may_stay = workers_may_stay(attempt)

    def change(arguments: dict[str, Any]) -> str | None:
        if arguments["num_workers"] == 0:
            attempt.refuse("a loader has no workers")
            return None
        if not may_stay():
            attempt.refuse("a loader that is made anew while the model is trained cannot keep its workers")
            return None
        if arguments["persistent_workers"]:
            if attempt.times:
                return None  # a framework makes the loader anew, with the settings that it has
            attempt.refuse("a loader keeps its workers already")
            return None
        arguments["persistent_workers"] = True
        return "persistent_workers False -> True"

    adjust_loaders(attempt, change)
