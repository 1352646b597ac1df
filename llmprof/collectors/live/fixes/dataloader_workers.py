"""The fix dataloader-workers: batches are loaded in another number of worker processes, mostly more."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.loaders import adjust_loaders, cores_per_rank, workers_may_stay

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = r"num_workers=(\d+)"
MOST_BY_ITSELF = 8
"""Workers when nobody says how many: one core is left to the training process."""


def apply(attempt: Attempt) -> None:
    """Set num_workers of every loader; without a value, of those that have fewer. From 0 on they stay if they may."""
    wanted = attempt.number(min(MOST_BY_ITSELF, max(1, cores_per_rank() - 1)))
    may_stay = workers_may_stay(attempt)

    def change(arguments: dict[str, Any]) -> str | None:
        from torch.utils.data import IterableDataset

        now = arguments["num_workers"]
        if now == wanted and attempt.times:
            return None  # a framework makes the loader anew, with the settings that it has
        if now == wanted or (now > wanted and attempt.value is None):  # too many for the cores are taken away
            attempt.refuse(f"a loader has {now} workers already, {wanted} are wanted")
            return None
        if now == 0 and isinstance(arguments["dataset"], IterableDataset):
            attempt.refuse("an IterableDataset without workers may not split its samples among several")
            return None
        arguments["num_workers"] = wanted
        if now == 0 and may_stay():
            arguments["persistent_workers"] = True
        return f"num_workers {now} -> {wanted}"

    adjust_loaders(attempt, change)
