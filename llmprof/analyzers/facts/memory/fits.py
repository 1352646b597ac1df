"""What would be in use after a change of the setup? Bytes per rank by what ZeRO, checkpointing and 8 bits leave.

Sharded over d ranks a rank keeps of weights w, gradients g and optimizer states o: stage 1 w + g + o/d, stage 2
w + (g + o)/d, stage 3 (w + g + o)/d and the weights of the blocks that are gathered (ZeRO, Rajbhandari et al. 2020).
Full recomputation keeps 2 of the about 34 bytes per element of a block's activations, and one block whole (Korthikanti
et al. 2022, without the attention scores that fused attention does not keep).
"""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.facts.memory.composition import Composition

__all__ = ["Plan", "batch_that_fits", "plans", "smallest_stage"]

KEPT_BY_RECOMPUTE = 2 / 34
GATHERED_BLOCKS = 2
"""The block in use and the one that is fetched ahead."""
BLOCKS = 12
"""Of a model of which the number of blocks is not known: GPT-2 small has 12, and larger models have more."""
EIGHT_BIT = 0.25
"""Of 32-bit states (bitsandbytes documentation)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A setup and the bytes that tensors of one rank would use at the peak."""

    name: str
    """`zero-1`, `zero-2`, `zero-3`, `checkpointing`, `8bit-optimizer`, `half-batch`."""
    bytes: int
    freed: int


def plans(held: Composition, *, ranks: int, blocks: int | None = None) -> tuple[Plan, ...]:
    """What each change alone would leave in use; those of ZeRO only with several ranks.

    blocks    repeated blocks of the model, for what stage 3 and recomputation hold of one of them
    """
    w, g, o, rest = held.parameters, held.gradients, held.optimizer, held.activations
    count = blocks or BLOCKS
    found = {
        "checkpointing": w + g + o + rest * (KEPT_BY_RECOMPUTE + (1 - KEPT_BY_RECOMPUTE) / count),
        "half-batch": w + g + o + rest / 2,
        "8bit-optimizer": w + g + o * EIGHT_BIT + rest,
    }
    if ranks > 1:
        found["zero-1"] = w + g + o / ranks + rest
        found["zero-2"] = w + (g + o) / ranks + rest
        found["zero-3"] = (w + g + o) / ranks + GATHERED_BLOCKS * w / count + rest
    return tuple(
        Plan(name=name, bytes=int(size), freed=max(0, held.total - int(size))) for name, size in sorted(found.items())
    )


def smallest_stage(held: Composition, *, ranks: int, room: int) -> Plan | None:
    """The lowest stage of ZeRO with which `room` bytes suffice: each one communicates more; None when none does."""
    stages = [plan for plan in plans(held, ranks=ranks) if plan.name.startswith("zero-")]
    return next((plan for plan in stages if plan.bytes <= room), None)


def batch_that_fits(held: Composition, *, room: int) -> float | None:
    """By what the batch could be multiplied until `room` bytes are in use; None where nothing depends on the batch."""
    if held.activations <= 0:
        return None
    return max(0.0, (room - held.states) / held.activations)
