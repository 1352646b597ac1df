"""Do the GPU's own counters agree with what the trace says? A second witness for the verdict, where GPM was sampled.

Counters are means over the counted steps of the rank's GPU: the share of cycles in which multiprocessors had work,
tensor cores ran, and the memory interface was busy (NVIDIA DCGM documentation, profiling metrics).
"""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.diagnosis import Bound
from llmprof.analyzers.facts.measured import RankFacts
from llmprof.units import format_percent

__all__ = ["Witness", "witness"]

MIN_SAMPLES = 3
TOLERANCE = 0.10
"""Between two figures of one thing: a sample covers several steps, and edges of the counted ones."""
HOLLOW = 0.5
"""SM activity below which DCGM calls the use of a GPU ineffective."""
MEMORY_HIGH, TENSOR_LOW = 0.7, 0.5
"""XProf calls a program memory-bound when memory is used above 70 % and tensor cores below 50 %."""
MEMORY_USED, MEMORY_LOW = 0.5, 0.3
"""Of the time in which kernels run: about 0.8 is the most that is reached in practice (DCGM)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Whether the counters agree, and what they show."""

    agrees: bool
    shows: str


def witness(rank: RankFacts, bound: Bound, share: float) -> Witness | None:
    """What the counters of the rank's GPU say about a bound of `share` of the step; None where they say nothing."""
    hardware, partition = rank.hardware, rank.partition
    if hardware is None or partition is None or partition.cpu_only or hardware.samples < MIN_SAMPLES:
        return None
    active = hardware.activity.get("sm_active")
    memory, tensor = hardware.activity.get("dram_active"), hardware.activity.get("tensor_active")
    if bound in ("data", "host") and active is not None:
        shows = f"multiprocessors have work for {format_percent(active)} of the time"
        return Witness(agrees=active <= 1 - share + TOLERANCE, shows=shows)
    if bound == "compute" and active is not None:
        if memory is not None and tensor is not None and memory >= MEMORY_HIGH and tensor < TENSOR_LOW:
            shows = (
                f"memory is busy for {format_percent(memory)} of the time, tensor cores for {format_percent(tensor)}"
            )
            return Witness(agrees=False, shows=shows)
        shows = f"{format_percent(active)} of the multiprocessors have work on average"
        return Witness(agrees=active >= HOLLOW, shows=shows)
    if bound == "memory" and memory is not None:
        busy = max(partition.share("compute"), memory)
        if MEMORY_LOW <= memory / busy < MEMORY_USED:
            return None
        shows = f"memory is busy for {format_percent(memory)} of the time"
        return Witness(agrees=memory / busy >= MEMORY_USED, shows=shows)
    return None
