"""A fused or a foreach optimizer: its launches shrink to a few, and so do the passes over the states."""

from __future__ import annotations

from llmprof.analyzers.facts.faster.fused_traffic import fused_traffic
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject, in_optimizer, scaled

__all__ = ["FIXES", "apply"]

FIXES = ("fused-optimizer", "foreach-optimizer")

TRAFFIC = (0.65, 0.35, 0.35)
"""fp32 AdamW moves 28 bytes a parameter in one pass, about 80 in one pass for each operation. At worst SGD with
momentum: 20 bytes instead of 32 (`facts.faster.fused_traffic`, where the operations tell that)."""
HOST_FUSED = (0.10, 0.05, 0.02)
"""Host time of a fused step over that of a for-loop step: at worst, expected, at best (assumptions; what is left walks
over the parameters to collect them)."""
HOST_FOREACH = (0.30, 0.20, 0.10)
"""The same of a foreach step, which launches about a dozen list operations (assumptions)."""
FUSED_OF_FOREACH = 0.4
"""What a fused step takes of the host of a foreach one: it collects the same lists and launches a tenth as often."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with another implementation of the optimizer."""
    kernels = subject.facts.critical.kernels
    kind = kernels.optimizer_kind if kernels is not None else None
    wanted = fix.split("-")[0]
    if kind is None:
        return "no kernels of an optimizer were recognised"
    if kind == "fused" or kind == wanted:
        return f"the optimizer is {kind} already"
    host = in_optimizer(subject)
    device = subject.kind("optimizer")
    rest = level.pick(*(HOST_FUSED if wanted == "fused" else HOST_FOREACH))
    if kind == "foreach":
        rest = level.pick(1.0, FUSED_OF_FOREACH, FUSED_OF_FOREACH / 2)
    left = fused_traffic(subject.facts.critical.operators)
    passes = 1.0 if wanted != "fused" else level.pick(*TRAFFIC) if left is None else left
    # Few long kernels have few gaps between them.
    return scaled(scaled(scenario, host, dur=rest, lag=rest), device, dur=passes, lag=0.0)
