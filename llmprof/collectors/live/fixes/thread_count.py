"""The fix thread-count: torch computes on the CPU with as many threads as there are cores for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.loaders import cores_per_rank
from llmprof.collectors.live.fixes.applying.moments import at_first_step

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = r"(?:NUM_THREADS=|set_num_threads\()(\d+)"


def apply(attempt: Attempt) -> None:
    """Set the number of threads of the training process, whatever the script sets later; loader workers keep theirs."""
    import torch

    wanted, process = attempt.number(cores_per_rank()), os.getpid()
    asked = torch.get_num_threads()

    def make(original: Callable[[int], None]) -> Callable[[int], None]:
        def set_num_threads(count: int) -> None:
            nonlocal asked
            here = attempt.armed and os.getpid() == process
            asked = count if here else asked
            original(wanted if here else count)

        return set_num_threads

    attempt.wrap(torch, "set_num_threads", make)

    def first(optimizer: Any) -> None:
        now = asked
        if now == wanted:
            attempt.refuse(f"torch has {wanted} threads already")
            return
        torch.set_num_threads(wanted)
        attempt.applied(f"threads of torch {now} -> {wanted}")

    at_first_step(attempt, first)
