"""What does the memory of a rank go to, is it short, and what is done about it already?

Bytes are those of the fullest moment that was recorded. Where the process itself said what it held (when it ran out of
memory) they are measured, else weights, gradients and optimizer states are estimated from the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.diagnosis import Evidence
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.timeline.memory import OutOfMemory

__all__ = [
    "Use",
    "all_in_fp32",
    "checkpoints_activations",
    "composition_evidence",
    "fullest",
    "live_evidence",
    "pressed",
    "sharded_already",
    "states_to_come",
    "use_of",
    "uses_expandable_segments",
]

ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
LIVE_SHOWN = 5
_TWO_MOMENTS = ("Adam", "AdamW", "NAdam", "RAdam")
"""Optimizers of torch.optim whose states are two tensors like each gradient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What the memory of one rank goes to, in bytes; None where it is not known."""

    states: int | None = None
    """Weights, gradients and optimizer states, those too that the first step of the optimizer had still to make."""
    optimizer: int | None = None
    to_come: int = 0
    """Of the optimizer states those that were still to be made when memory ran out."""
    activations: int | None = None
    """All the rest in use, and what was asked for last: what depends on the batch, but for buffers."""
    room: int | None = None
    """What the allocator can have: the device without contexts, NCCL and other processes, or the script's own limit."""
    complete: bool = True
    """False when memory ran out before the step was at its fullest: the activations of a whole step are more."""

    def after(self, factor: int) -> int | None:
        """In use at the same point with a micro-batch that is `factor` times smaller."""
        if self.states is None or self.activations is None:
            return None
        return self.states + self.activations // factor


def use_of(rank: RankFacts, memory: MemoryFacts) -> Use:
    """What the memory of a rank goes to at its fullest moment."""
    failed, held = memory.failure, memory.composition
    if held is not None and not held.measured:
        return Use(
            states=held.states, optimizer=held.optimizer, activations=held.activations, room=memory.capacity_bytes
        )
    if failed is None or failed.allocated_bytes is None:
        parameters = sum(rank.environment.parameter_bytes.values())
        if not parameters or memory.peak_allocated_bytes is None or rank.environment.parallelism.fsdp:
            return Use(room=memory.capacity_bytes)
        states = int(thresholds.STATE_PER_PARAMETER.value * parameters)
        return Use(states=states, activations=max(0, memory.peak_allocated_bytes - states), room=memory.capacity_bytes)
    states_held = failed.state_bytes
    rest = None if states_held is None else max(0, failed.allocated_bytes - states_held)
    batch = failed.phase != "optimizer"  # what the optimizer asks for does not depend on the batch
    to_come = states_to_come(rank, failed)
    limit, capacity, elsewhere = failed.limit_bytes, memory.capacity_bytes, memory.elsewhere_bytes
    room = limit if limit is not None and capacity is not None and limit < capacity else capacity
    return Use(
        states=None if states_held is None else states_held + (0 if batch else max(to_come, failed.requested_bytes)),
        optimizer=None if failed.optimizer_bytes is None else failed.optimizer_bytes + to_come,
        to_come=to_come,
        activations=None if rest is None else rest + (failed.requested_bytes if batch else 0),
        room=room - elsewhere if room is not None and room == capacity and elsewhere is not None else room,
        complete=failed.phase in ("backward", "optimizer"),
    )


def states_to_come(rank: RankFacts, failed: OutOfMemory) -> int:
    """Bytes of optimizer states that were not yet made when memory ran out in the optimizer; 0 where that is not known.

    Adam keeps two moments as large as the gradients and makes them tensor by tensor in its first step (documentation of
    torch.optim.Adam). Whoever failed there needs all of them, not only the tensor that was asked for.
    """
    optimizers = rank.environment.optimizers
    adam = all(one.package == "torch" and one.name in _TWO_MOMENTS and one.state_bits is None for one in optimizers)
    if failed.phase != "optimizer" or failed.gradient_bytes is None or not optimizers or not adam:
        return 0
    return max(0, 2 * failed.gradient_bytes - (failed.optimizer_bytes or 0))


def fullest(facts: Facts) -> RankFacts:
    """The rank that failed to allocate, else the one that retried most, else the one that reserved most."""

    def pressure(rank: RankFacts) -> tuple[bool, int, float]:
        memory = rank.memory
        return (False, -1, 0.0) if memory is None else (
            bool(memory.out_of_memory), memory.retries or 0, memory.reserved_share or memory.allocated_share or 0.0
        )  # fmt: skip

    return max(facts.ranks.values() or (facts.critical,), key=pressure)


def pressed(memory: MemoryFacts) -> bool:
    """Whether memory is short enough to be worth a change: a failure, retries, or a peak above what is to fit."""
    share = memory.reserved_share
    full = share is not None and share >= thresholds.FIT_SHARE.value
    return bool(memory.out_of_memory) or bool(memory.retries) or full


def composition_evidence(memory: MemoryFacts, rank: int) -> list[Evidence]:
    """What the memory in use is made of."""
    held = memory.composition
    if held is None:
        return []
    source = "counted when the allocation failed" if held.measured else "settings of the run, and the allocator's peak"
    parts = {
        "weights and buffers": held.parameters,
        "gradients": held.gradients,
        "optimizer states": held.optimizer,
        "activations and all else": held.activations,
    }
    return [evidence.number(label, value, "bytes", source=source, rank=rank) for label, value in parts.items()]


def uses_expandable_segments(rank: RankFacts) -> bool:
    """Whether the allocator was told to grow its segments."""
    variables = rank.environment.variables
    return any("expandable_segments:True" in variables.get(name, "") for name in ALLOCATOR_VARIABLES)


def live_evidence(memory: MemoryFacts, rank: int) -> list[Evidence]:
    """The biggest live blocks, with the place that allocated them where that was recorded."""
    source = "memory snapshot" if memory.failure is None else "allocator, when the allocation failed"
    return [
        evidence.number(
            f"in use: {group.place}" + (f" ({group.blocks} blocks)" if group.stack and group.blocks > 1 else ""),
            group.bytes,
            "bytes",
            source=source,
            rank=rank,
        )
        for group in memory.live[:LIVE_SHOWN]
    ]


def all_in_fp32(rank: RankFacts) -> bool:
    """Whether whole steps were watched and neither autocast nor a 16-bit weight was seen."""
    environment = rank.environment
    dtypes = {name for model in environment.models for name in model.trainable_bytes}
    watched = environment.precision.autocast_watched is True
    return watched and not environment.precision.autocast and bool(dtypes) and dtypes <= {"float32"}


def checkpoints_activations(rank: RankFacts) -> bool:
    """Whether activations are recomputed already."""
    return any(model.checkpointing for model in rank.environment.models)


def sharded_already(rank: RankFacts) -> bool:
    """Whether states are sharded, by FSDP, DeepSpeed or a sharding optimizer."""
    environment = rank.environment
    deepspeed = environment.deepspeed
    return bool(
        environment.parallelism.fsdp
        or environment.fsdp is not None
        or (deepspeed is not None and (deepspeed.zero_stage or 0) > 0)
        or any("zeroredundancy" in (one.name or "").lower() for one in environment.optimizers)
    )
