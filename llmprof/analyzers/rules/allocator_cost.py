"""What do calls to the driver's allocator cost, and who makes the caching allocator give memory back?"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.gains import part_ns
from llmprof.analyzers.rules.host_waits import loss

__all__ = ["COLLECTED", "FLUSHED", "NOBODY", "RETRIED", "allocator_cost", "figures", "who_frees"]

NOBODY = "which is next to never"
RETRIED = "because the device was full"
COLLECTED = "by the allocator's garbage collection threshold"
FLUSHED = "because the script asked for it"


def who_frees(facts: Facts) -> str | None:
    """Why memory goes back to the driver during the counted steps of the critical rank; None where nobody counted."""
    causes = facts.critical.causes
    calls = causes.allocator if causes is not None else None
    if calls is None or calls.frees is None:
        return None
    if calls.frees < thresholds.ALLOCATOR_CALLS.value:
        return NOBODY
    if calls.retries is None or calls.retries > 0:
        return RETRIED
    variables = facts.critical.environment.variables
    settings = variables.get("PYTORCH_ALLOC_CONF", "") + variables.get("PYTORCH_CUDA_ALLOC_CONF", "")
    return COLLECTED if "garbage_collection_threshold" in settings else FLUSHED


def allocator_cost(facts: Facts) -> float | None:
    """Idle ns per step behind allocator calls; None where no burst tells."""
    lost = loss(facts, "allocator")
    if lost is None:
        return None
    return max(lost.cost_ns, part_ns(facts, "memory_management") if lost.calls else 0.0)


def figures(facts: Facts) -> list[Evidence]:
    """What the allocator counted."""
    causes, rank = facts.critical.causes, facts.critical.rank
    calls = causes.allocator if causes is not None else None
    if calls is None:
        return []
    rows = (("cudaMalloc", calls.allocations), ("cudaFree", calls.frees), ("retries on a full device", calls.retries))
    source = "caching allocator"
    return [evidence.number(label, value, "per step", source=source, rank=rank) for label, value in rows]
