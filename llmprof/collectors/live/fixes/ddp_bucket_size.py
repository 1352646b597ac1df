"""The fix ddp-bucket-size: DistributedDataParallel reduces gradients in buckets of another size."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.ddp import adjust_ddp

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = r"bucket_cap_mb=(\d+)"
USUAL_MB = 25
"""What DistributedDataParallel takes by itself (its documentation)."""


def apply(attempt: Attempt) -> None:
    """Set bucket_cap_mb; four times the usual when nobody says how much."""
    wanted = attempt.number(4 * USUAL_MB)

    def change(arguments: dict[str, Any]) -> str | None:
        now = arguments["bucket_cap_mb"] or USUAL_MB
        if now == wanted:
            attempt.refuse(f"bucket_cap_mb is {now} already")
            return None
        arguments["bucket_cap_mb"] = wanted
        return f"bucket_cap_mb {now} -> {wanted}"

    adjust_ddp(attempt, change)
