"""The fix static-graph: DistributedDataParallel does not look for unused parameters in every step."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.ddp import adjust_ddp

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Leave the search out where there is one; else say that the graph stays.

    Not both: a static graph may not begin inside `no_sync()` (c10d::Reducer::delay_all_reduce of PyTorch fails then),
    as the micro-steps of a framework that accumulates gradients do.
    """

    def change(arguments: dict[str, Any]) -> str | None:
        if arguments["static_graph"]:
            attempt.refuse("static_graph is set already")
            return None
        if arguments["find_unused_parameters"]:
            arguments["find_unused_parameters"] = False
            return "find_unused_parameters True -> False"
        arguments["static_graph"] = True
        return "static_graph False -> True"

    adjust_ddp(attempt, change)
