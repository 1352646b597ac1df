"""The fix thread-count: torch computes on the CPU with as many threads as there are cores for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.loaders import cores_per_rank
from llmprof.collectors.live.fixes.applying.moments import at_first_step

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = r"(?:NUM_THREADS=|set_num_threads\()(\d+)"


def apply(attempt: Attempt) -> None:
    """Set the number of threads at the first update, whatever the script sets later.

    The number belongs to a thread of the process: loader workers, and the thread that pins batches, keep theirs.
    """
    import torch

    wanted = attempt.number(cores_per_rank())
    training: list[tuple[int, int]] = []

    def make(original: Callable[[int], None]) -> Callable[[int], None]:
        def set_num_threads(count: int) -> None:
            original(wanted if attempt.armed and _here() in training else count)

        return set_num_threads

    attempt.wrap(torch, "set_num_threads", make)

    def first(optimizer: Any) -> None:
        now = torch.get_num_threads()
        if now == wanted:
            attempt.refuse(f"torch has {wanted} threads already")
            return
        training.append(_here())
        torch.set_num_threads(wanted)
        attempt.applied(f"threads of torch {now} -> {wanted}")

    at_first_step(attempt, first)


def _here() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()
