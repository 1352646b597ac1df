"""The fix gc-policy: Python collects its garbage at chosen steps, and not in the middle of any."""

from __future__ import annotations

import gc
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.moments import before_steps

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = r"(?:% |every )(\d+)"
EVERY = 50
"""Steps between two collections when nobody says how many; the usual setting of torchtitan (gc_freq)."""


def apply(attempt: Attempt) -> None:
    """From the first optimizer step on: what exists is never looked at again, young garbage goes every few steps."""
    every = attempt.number(EVERY)
    steps = 0

    def step_begins(optimizer: Any) -> None:
        nonlocal steps
        if steps == 0 and not gc.isenabled():
            attempt.refuse("the script has switched automatic collection off already")
            attempt.remove()
        elif steps == 0:
            gc.collect()
            gc.freeze()
            gc.disable()
            attempt.on_undo(gc.enable)
            attempt.on_undo(gc.unfreeze)
            attempt.applied(f"gc.freeze(), gc.disable(), gc.collect(1) every {every} optimizer steps")
        elif steps % every == 0:
            gc.collect(1)
        steps += 1

    before_steps(attempt, step_begins)
    attempt.proof = lambda: (not gc.isenabled(), f"automatic collection is {'on' if gc.isenabled() else 'off'}")
