"""The fix static-graph: DistributedDataParallel may count on the same graph in every step."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.ddp import adjust_ddp

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Set static_graph; unused parameters are then found once, and need not be looked for in every step."""

    def change(arguments: dict[str, Any]) -> str | None:
        if arguments["static_graph"]:
            attempt.refuse("static_graph is set already")
            return None
        arguments["static_graph"] = True
        searched = arguments["find_unused_parameters"]
        arguments["find_unused_parameters"] = False
        return "static_graph False -> True" + (", find_unused_parameters True -> False" if searched else "")

    adjust_ddp(attempt, change)
