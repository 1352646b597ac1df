"""How much host time does the optimizer take in the step that is explained?

Where the recorder measured it without a profiler, that is it. The traced optimizer is slower than the real one: it
consists of many small operators, and the profiler charges each.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.facts.measured import Facts

__all__ = ["OptimizerTime", "optimizer_host_time"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerTime:
    """Host time inside `Optimizer.step` per unprofiled step, as an interval in ns."""

    low_ns: float
    high_ns: float

    @property
    def middle_ns(self) -> float:
        """The middle of the interval."""
        return (self.low_ns + self.high_ns) / 2


def optimizer_host_time(facts: Facts) -> OptimizerTime | None:
    """What was measured, else the traced time corrected for the profiler in two ways; None when nothing was recorded.

    One estimate shrinks it like the whole step. The other takes off the profiler's cost in proportion to the kernels
    that the optimizer launches, because operator, launch and device record are written per kernel. An optimizer has
    less Python per kernel than the rest of the step, so the first takes off too little and the second too much.
    """
    measured = facts.critical.table.phases_ns.get("optimizer") if facts.critical.table is not None else None
    if measured is not None and facts.step.basis == "unprofiled":
        return OptimizerTime(low_ns=measured, high_ns=measured)
    kernels = facts.critical.kernels
    if kernels is None or kernels.optimizer_host_ns is None:
        return None
    traced = kernels.optimizer_host_ns
    step = facts.step.mean_ns
    traced_step = facts.step.traced_mean_ns or step
    if traced_step <= step:
        return OptimizerTime(low_ns=traced, high_ns=traced)
    scaled = traced * step / traced_step
    if not kernels.optimizer_kernels_per_step or kernels.count_per_step <= 0:
        return OptimizerTime(low_ns=scaled / 2, high_ns=scaled)
    charged = (traced_step - step) * min(1.0, kernels.optimizer_kernels_per_step / kernels.count_per_step)
    by_kernels = max(0.0, traced - charged)
    return OptimizerTime(low_ns=min(scaled, by_kernels), high_ns=max(scaled, by_kernels))
