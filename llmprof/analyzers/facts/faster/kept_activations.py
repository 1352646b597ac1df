"""How much of what backward computes again could be kept instead? By the device memory that is free."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.facts.operators.operator_facts import RecomputeFacts

__all__ = ["EVERY_SECOND", "FIT_SHARE", "Kept", "free_bytes", "kept"]

FIT_SHARE = 0.92
"""Of the device memory: TraceML's lower mark of memory pressure; what is to fit needs room for fragments."""
EVERY_SECOND = 0.5
"""Where free memory is not known: torchtitan's selective checkpointing keeps every second product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What of the recomputation goes, shares: there are two ways to use the room.

    blocks      not every block is checkpointed: of all that is computed again, launches included
    products    only the results of products and attention are kept: of their kernels
    by_blocks   whether the first saves more
    """

    blocks: float
    products: float
    by_blocks: bool


def free_bytes(memory: MemoryFacts | None) -> int | None:
    """Device memory that may still be used; None when the peak was not recorded."""
    if memory is None or not memory.capacity_bytes or memory.peak_allocated_bytes is None:
        return None
    return max(0, int(FIT_SHARE * memory.capacity_bytes) - memory.peak_allocated_bytes)


def kept(found: RecomputeFacts, memory: MemoryFacts | None) -> Kept | None:
    """What there is room for; None when free memory or the size of the activations is not known."""
    free = free_bytes(memory)
    if free is None or found.result_bytes is None:
        return None
    blocks = _share(found.result_bytes, free)
    # Without sizes of their own the products are taken to need as much as everything.
    products = _share(found.result_bytes if found.product_bytes is None else found.product_bytes, free)
    return Kept(blocks=blocks, products=products, by_blocks=blocks * found.ns >= products * found.product_ns)


def _share(needed: float, free: float) -> float:
    return 1.0 if needed <= free else free / needed
