"""What wins device memory, how much, and would it fit? The fixes that the rules about memory share."""

from __future__ import annotations

from dataclasses import replace

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.memory.fits import Plan, plans, smallest_stage
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules import thresholds
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import cost, gain, no_gain, part_ns
from llmprof.analyzers.rules.memory_use import Use
from llmprof.units import format_bytes

__all__ = [
    "MEMORY_RULES",
    "checkpointing",
    "eight_bit",
    "expandable",
    "fitting_factor",
    "half_precision",
    "model_parallel",
    "sharding",
    "smaller_batch",
]

MEMORY_RULES = frozenset(
    {
        "activations-dominate",
        "allocator-retries",
        "fragmentation",
        "logits-spike",
        "memory-near-limit",
        "out-of-memory",
        "states-dominate",
    }
)
"""Rules whose fixes are ordered by the memory they win when memory is what the run lacks."""
FACTORS = (2, 4, 8, 16)
_WATCH = "the peak of reserved memory"


def expandable(rule: str, facts: Facts, wasted: int | None) -> Recommendation:
    """Growing segments instead of fixed ones."""
    stalls = part_ns(facts, "memory_management")
    return recommend(
        "expandable-segments",
        rule=rule,
        facts=facts,
        action="Let the allocator use expandable segments",
        why="Memory is split into pieces that fit no request; growing segments do not fragment like this.",
        how="PYTORCH_ALLOC_CONF=expandable_segments:True (PYTORCH_CUDA_ALLOC_CONF before PyTorch 2.9)",
        gain=gain(facts, expected_ns=stalls / 2, low_ns=0.0, high_ns=stalls, at_most_ns=stalls, memory_bytes=wasted),
        watch=_WATCH,
    )


def smaller_batch(rule: str, facts: Facts, rank: RankFacts, use: Use, *, factor: int = 2) -> Recommendation:
    """A micro-batch `factor` times smaller, accumulated to the same effective batch."""
    loader = rank.environment.loaders[0] if rank.environment.loaders else None
    batch = loader.batch_size if loader is not None else None
    parts = {2: "half", 4: "a quarter of"}.get(factor, f"1/{factor} of")
    if batch is not None and batch >= factor:
        how = (
            f"DataLoader(batch_size={batch}) -> DataLoader(batch_size={batch // factor}), {factor} micro-steps per "
            "optimizer step"
        )
    else:
        how = f"use {parts} the batch size of the DataLoader and take {factor} micro-steps per optimizer step"
    why = "Activations grow with the micro-batch; the effective batch stays the same."
    after = use.after(factor)
    if after is not None and use.room is not None:
        point = "At its fullest" if use.complete else "At the point where memory ran out"
        why += f" {point} about {format_bytes(after)} of {format_bytes(use.room)} would be in use."
        if not use.complete:
            why += " The rest of the step needs more, how much is not known."
    freed = None if use.activations is None else use.activations - use.activations // factor
    return recommend(
        "smaller-batch",
        rule=rule,
        facts=facts,
        action="Halve the micro-batch and accumulate gradients over two"
        if factor == 2
        else f"Use {parts} the micro-batch and accumulate gradients over {factor}",
        why=why,
        how=how,
        gain=no_gain(facts, memory_bytes=freed),
        watch=_WATCH,
    )


def fitting_factor(use: Use) -> int | None:
    """By how much the micro-batch has to shrink to fit with a margin; None when no factor is known to be enough."""
    if use.room is None:
        return None
    fits = thresholds.FIT_SHARE.value * use.room
    return next((factor for factor in FACTORS if (after := use.after(factor)) is not None and after <= fits), None)


def checkpointing(rule: str, facts: Facts, use: Use) -> Recommendation:
    """Activations computed again in the backward pass."""
    compute = part_ns(facts, "compute")
    freed = None if use.activations is None else int(use.activations * thresholds.CHECKPOINTED_SHARE.value)
    return recommend(
        "activation-checkpointing",
        rule=rule,
        facts=facts,
        action="Recompute the activations of each block in the backward pass",
        why="Only the inputs of the blocks are kept; the rest is computed again.",
        how="x = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)",
        gain=cost(
            facts,
            expected_ns=thresholds.RECOMPUTE_EXPECTED.value * compute,
            least_ns=thresholds.RECOMPUTE_LOW.value * compute,
            most_ns=thresholds.RECOMPUTE_HIGH.value * compute,
            memory_bytes=freed,
        ),
        watch=_WATCH,
    )


def sharding(rule: str, facts: Facts, memory: MemoryFacts, use: Use, ranks: int) -> Recommendation:
    """Optimizer states, gradients and weights over all ranks: the lowest stage of ZeRO that is enough, else the third.

    `ranks` beyond those of the run are GPUs that it would take.
    """
    held, room = memory.composition, use.room
    target = None if room is None else int(thresholds.FIT_SHARE.value * room)
    plan = None
    if held is not None:
        held = replace(held, optimizer=held.optimizer + use.to_come)
        enough = None if target is None else smallest_stage(held, ranks=ranks, room=target)
        plan = enough or next(one for one in plans(held, ranks=ranks) if one.name == "zero-3")
    stage = "zero-3" if plan is None else plan.name
    what, how = _STAGES[stage]
    freed = plan.freed if plan is not None else None if use.states is None else int(use.states * (1 - 1 / ranks))
    more = ranks > max(facts.world_size or 1, len(facts.ranks))
    return recommend(
        "zero-sharding",
        rule=rule,
        facts=facts,
        action=f"Use {ranks} GPUs and shard {what}" if more else f"Shard {what} over the {ranks} ranks",
        why=f"Weights, gradients and optimizer states take {format_bytes(use.states)} on every rank, whatever the "
        f"batch; sharded, each rank keeps 1/{ranks} of its part.{_left(plan, room)}",
        how=how,
        gain=no_gain(facts, memory_bytes=freed),
        watch=_WATCH,
        risk="About as much communication as before; checkpoints change format." if stage != "zero-3" else None,
    )


_STAGES = {
    "zero-1": (
        "the optimizer states",
        "torch.distributed.optim.ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW, ...), or DeepSpeed "
        "ZeRO stage 1",
    ),
    "zero-2": (
        "gradients and optimizer states",
        "DeepSpeed ZeRO stage 2, or fully_shard(block, reshard_after_forward=False) for each block",
    ),
    "zero-3": (
        "weights, gradients and optimizer states",
        "torch.distributed.fsdp.fully_shard(block) for each block, then fully_shard(model); or DeepSpeed ZeRO stage 3",
    ),
}


def _unmade(use: Use) -> str:
    """What the first step of the optimizer would still have made, as a sentence."""
    if not use.to_come or use.optimizer is None:
        return ""
    return f" Of {format_bytes(use.optimizer)} of optimizer states {format_bytes(use.to_come)} were still to be made."


def _left(plan: Plan | None, room: int | None) -> str:
    if plan is None or room is None:
        return ""
    return f" About {format_bytes(plan.bytes)} of {format_bytes(room)} would then be in use."


def half_precision(rule: str, facts: Facts, use: Use) -> Recommendation:
    """Activations in bf16 instead of fp32."""
    freed = None if use.activations is None else int(use.activations * thresholds.HALF_FREES.value)
    return recommend(
        "bf16-autocast",
        rule=rule,
        facts=facts,
        action="Run forward and loss under bf16 autocast",
        why="What matrix products and attention keep is then half as large; norms and losses stay in fp32.",
        how='with torch.autocast("cuda", dtype=torch.bfloat16): loss = model(...)',
        gain=no_gain(facts, memory_bytes=freed),
        watch=_WATCH,
    )


def model_parallel(rule: str, facts: Facts) -> Recommendation:
    """Layers split over the GPUs of a node, stages over nodes."""
    return recommend(
        "model-parallel",
        rule=rule,
        facts=facts,
        action="Split the model itself: layers inside a node, stages across nodes",
        why="Not even sharded states, or a single sample, fit on one device.",
        how="torch.distributed.tensor.parallel.parallelize_module inside a node (with sequence parallelism), "
        "torch.distributed.pipelining across nodes",
        gain=no_gain(facts),
        watch=_WATCH,
    )


def eight_bit(rule: str, facts: Facts, use: Use) -> Recommendation:
    """Optimizer states of Adam in 8 bits."""
    freed = None if use.optimizer is None else int(use.optimizer * thresholds.EIGHT_BIT_FREES.value)
    return recommend(
        "8bit-optimizer",
        rule=rule,
        facts=facts,
        action="Keep the optimizer states in 8 bits",
        why="Weights, gradients and optimizer states take most of the memory, whatever the batch, and there is no "
        f"other rank to share them with.{_unmade(use)}",
        how="bitsandbytes.optim.AdamW8bit(model.parameters(), ...) in place of torch.optim.AdamW",
        gain=no_gain(facts, memory_bytes=freed),
        watch=_WATCH,
    )
