"""Is device memory about to run out?

Detects:
    A run that ran out of device memory, whose allocator had to give memory back and try again, or whose peak leaves
    less than 3 % of the device free.

Why it costs time:
    A full device forces small batches and recomputation. Each retry of the allocator frees its cache, waits for the
    device and allocates anew; the next larger sequence ends the run.

How it is measured:
    Peak reserved and allocated bytes, retries and out-of-memory errors as the caching allocator counts them, against
    the capacity of the device, on the fullest rank. A trace alone does not hold these.

Does not apply when:
    Training runs on the CPU.

Fix:
    In the order of what they cost: expandable segments when memory is fragmented, a smaller micro-batch with gradient
    accumulation, activation checkpointing.

Verify:
    Record again: the peak should be below 97 % of the device, without retries.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence, Recommendation, Severity
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.memory import MemoryFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import cost, gain, host_late_share, no_gain, part_ns
from llmprof.units import format_bytes, format_percent

__all__ = ["RULE", "evaluate", "near_limit"]

RULE = Rule(
    id="memory-near-limit",
    category="memory",
    title="Device memory suffices",
    failed_title="Device memory is at its limit",
    fixes=("expandable-segments", "smaller-batch", "activation-checkpointing", "larger-batch"),
    thresholds=(
        thresholds.RESERVED_FULL,
        thresholds.FRAGMENTED,
        thresholds.ALLOCATED_LOW,
        thresholds.RECOMPUTE_EXPECTED,
        thresholds.CHECKPOINTED_SHARE,
        thresholds.STATE_PER_PARAMETER,
    ),
)


def near_limit(memory: MemoryFacts | None) -> bool:
    """Whether capacity limits this rank: out of memory, allocator retries, or a reserved peak of 97 % and more."""
    if memory is None:
        return False
    full = memory.reserved_share is not None and memory.reserved_share >= thresholds.RESERVED_FULL.value
    return bool(memory.out_of_memory) or bool(memory.retries) or full


def evaluate(facts: Facts) -> Judgement:
    """Judge the memory of the fullest rank."""
    critical = facts.critical
    if critical.partition is not None and critical.partition.cpu_only and not _recorded(critical.memory):
        return RULE.not_applicable("Training runs on the CPU: there is no device memory.")
    rank = max(facts.ranks.values() or (critical,), key=_pressure)
    memory = rank.memory
    if memory is None or not _recorded(memory):
        return RULE.no_data("The allocator was not recorded; a trace alone does not show memory, `llmprof run` does.")
    figures = _figures(rank, memory)
    if not near_limit(memory):
        return _passed(facts, memory, figures)
    fixes = _fixes(facts, rank, memory)
    stalls = part_ns(facts, "memory_management")
    return RULE.fired(
        facts,
        _summary(memory),
        cost_ns=stalls if critical.partition is not None else None,
        confidence=0.95 if memory.out_of_memory or memory.retries else thresholds.CONFIDENCE_TRACE.value,
        evidence=figures,
        recommendations=fixes,
        ranks=tuple(sorted(number for number, one in facts.ranks.items() if near_limit(one.memory))) or (rank.rank,),
        severity=_severity(memory),
    )


def _recorded(memory: MemoryFacts | None) -> bool:
    if memory is None:
        return False
    return memory.reserved_share is not None or memory.retries is not None or memory.out_of_memory is not None


def _pressure(rank: RankFacts) -> tuple[bool, int, float]:
    memory = rank.memory
    if memory is None:
        return False, 0, -1.0
    return bool(memory.out_of_memory), memory.retries or 0, memory.reserved_share or 0.0


def _severity(memory: MemoryFacts) -> Severity:
    return "critical" if memory.out_of_memory or memory.retries else "warning"


def _summary(memory: MemoryFacts) -> str:
    of = f"{format_bytes(memory.peak_reserved_bytes)} of {format_bytes(memory.capacity_bytes)}"
    if memory.out_of_memory:
        return f"The run went out of device memory; its peak before was {of}."
    if memory.retries:
        return f"The allocator had to free its cache and try again {memory.retries} times; the peak was {of}."
    return f"The allocator holds {of} ({format_percent(memory.reserved_share)}); the next larger batch may not fit."


def _figures(rank: RankFacts, memory: MemoryFacts) -> list[Evidence]:
    share = memory.reserved_share
    return [
        Evidence(
            label="peak reserved",
            value=share,
            unit="of the device",
            threshold=thresholds.RESERVED_FULL.value,
            source="caching allocator",
            rank=rank.rank,
        ),
        evidence.number("peak reserved", memory.peak_reserved_bytes, "bytes", source="caching allocator"),
        evidence.number("peak allocated", memory.peak_allocated_bytes, "bytes", source="caching allocator"),
        evidence.number("allocator retries", memory.retries, "per run", source="caching allocator"),
    ]


def _passed(facts: Facts, memory: MemoryFacts, figures: list[Evidence]) -> Judgement:
    if memory.reserved_share is None:
        return RULE.passed("The allocator never ran short.", evidence=figures)
    summary = f"The peak is {format_percent(memory.reserved_share)} of the device."
    answer = RULE.passed(summary, evidence=figures)
    allocated = memory.allocated_share
    roomy = allocated is not None and allocated <= thresholds.ALLOCATED_LOW.value
    if not roomy or host_late_share(facts) < thresholds.HOST_LATE_SHARE.value or part_ns(facts, "host") <= 0:
        return answer
    # Room matters only where work per step costs little: a step that waits for its host.
    return Judgement(finding=answer.finding, recommendations=(_larger(facts, allocated or 0.0),))


def _fixes(facts: Facts, rank: RankFacts, memory: MemoryFacts) -> list[Recommendation]:
    result = []
    wasted = _wasted_bytes(memory)
    configured = rank.environment.variables
    on = "expandable_segments:True" in " ".join(
        configured.get(name, "") for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
    )
    if not on and (memory.retries or _fragmented(memory, wasted)):
        result.append(_segments(facts, wasted))
    result.append(_smaller(facts, rank, memory))
    result.append(_checkpointing(facts, rank, memory))
    return result


def _wasted_bytes(memory: MemoryFacts) -> int | None:
    """Bytes that the allocator holds and cannot use: its own count, else reserved minus allocated peak."""
    if memory.inactive_split_bytes is not None:
        return memory.inactive_split_bytes
    if memory.peak_reserved_bytes is None or memory.peak_allocated_bytes is None:
        return None
    return max(0, memory.peak_reserved_bytes - memory.peak_allocated_bytes)


def _fragmented(memory: MemoryFacts, wasted: int | None) -> bool:
    return bool(wasted and memory.capacity_bytes and wasted >= thresholds.FRAGMENTED.value * memory.capacity_bytes)


def _activations_bytes(rank: RankFacts, memory: MemoryFacts) -> int | None:
    """Peak minus weights, gradients and optimizer states: what a smaller batch or checkpointing can shrink."""
    parameters = sum(rank.environment.parameter_bytes.values())
    if not parameters or memory.peak_allocated_bytes is None or rank.environment.parallelism.fsdp:
        return None
    return max(0, memory.peak_allocated_bytes - int(thresholds.STATE_PER_PARAMETER.value * parameters))


def _segments(facts: Facts, wasted: int | None) -> Recommendation:
    stalls = part_ns(facts, "memory_management")
    return recommend(
        "expandable-segments",
        rule=RULE.id,
        facts=facts,
        action="Let the allocator use expandable segments",
        why="Memory is split into pieces that fit no request; growing segments do not fragment like this.",
        how="PYTORCH_ALLOC_CONF=expandable_segments:True (PYTORCH_CUDA_ALLOC_CONF before PyTorch 2.9)",
        gain=gain(facts, expected_ns=stalls / 2, low_ns=0.0, high_ns=stalls, at_most_ns=stalls, memory_bytes=wasted),
        watch="the peak of reserved memory",
    )


def _smaller(facts: Facts, rank: RankFacts, memory: MemoryFacts) -> Recommendation:
    activations = _activations_bytes(rank, memory)
    loader = rank.environment.loaders[0] if rank.environment.loaders else None
    batch = loader.batch_size if loader is not None else None
    if batch is not None and batch >= 2:
        how = f"DataLoader(batch_size={batch}) -> DataLoader(batch_size={batch // 2}), 2 micro-steps per optimizer step"
    else:
        how = "halve the batch size of the DataLoader and take 2 micro-steps per optimizer step"
    return recommend(
        "smaller-batch",
        rule=RULE.id,
        facts=facts,
        action="Halve the micro-batch and accumulate gradients over two",
        why="Activations grow with the micro-batch; the effective batch stays the same.",
        how=how,
        gain=no_gain(facts, memory_bytes=None if activations is None else activations // 2),
        watch="the peak of reserved memory",
    )


def _checkpointing(facts: Facts, rank: RankFacts, memory: MemoryFacts) -> Recommendation:
    activations = _activations_bytes(rank, memory)
    compute = part_ns(facts, "compute")
    freed = None if activations is None else int(activations * thresholds.CHECKPOINTED_SHARE.value)
    return recommend(
        "activation-checkpointing",
        rule=RULE.id,
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
        watch="the peak of reserved memory",
    )


def _larger(facts: Facts, allocated: float) -> Recommendation:
    return recommend(
        "larger-batch",
        rule=RULE.id,
        facts=facts,
        action="Consider a larger batch",
        why=f"Only {format_percent(allocated)} of the device memory is in use, and the host costs the same for more "
        "work per step. This makes a step do more, not the step shorter, so no gain is promised.",
        how="DataLoader(batch_size=2 * what it is now), or fewer accumulation steps at the same effective batch",
        gain=no_gain(facts),
        watch="tokens per second",
    )
