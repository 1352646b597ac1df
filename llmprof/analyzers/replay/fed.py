"""Which fixes need more workers? Those after which a step waits for its batches, where workers alone bring nothing."""

from __future__ import annotations

from collections.abc import Sequence

from llmprof.analyzers.replay.graph.replay import FAITHFUL
from llmprof.analyzers.replay.transforms.loader import FIXES
from llmprof.analyzers.replay.what_if import Prediction, WhatIf

__all__ = ["WORKERS", "with_workers"]

WORKERS = "dataloader-workers"


def with_workers(what_if: WhatIf, fixes: Sequence[str], alone: Prediction) -> tuple[Prediction, int] | None:
    """The step with `fixes` and enough workers, and how many these are; None where the fixes do not need more.

    alone    the step with `fixes` alone
    """
    if not set(fixes).isdisjoint(FIXES) or what_if.outcome(fixes).input_wait_ns <= 0:
        return None
    scenario, reasons = what_if.applied([*fixes, WORKERS])
    workers = max((feed.workers or 0 for feed in scenario.feeds.values()), default=0)
    if WORKERS in reasons or not workers:
        return None
    step, both = what_if.model.step_ns, what_if.predict([*fixes, WORKERS])
    # What replays may miss: neither alone can be told from nothing, and what both bring beyond that can.
    missed, gains = FAITHFUL * step, [step - alone.step_ns, step - what_if.predict([WORKERS]).step_ns]
    return (both, workers) if max(gains) < missed < step - both.step_ns - sum(gains) else None
