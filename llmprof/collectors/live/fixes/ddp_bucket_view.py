"""The fix ddp-bucket-view: gradients are views into the buckets of DistributedDataParallel instead of copies."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.ddp import adjust_ddp

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Set gradient_as_bucket_view."""

    def change(arguments: dict[str, Any]) -> str | None:
        if arguments["gradient_as_bucket_view"]:
            attempt.refuse("gradient_as_bucket_view is set already")
            return None
        arguments["gradient_as_bucket_view"] = True
        return "gradient_as_bucket_view False -> True"

    adjust_ddp(attempt, change)
