"""Is much of the device's memory in use outside PyTorch's allocator?

Detects:
    Memory in use on the device that neither the run's allocator nor another process holds.

Why it costs time:
    It is missing for larger batches, or for activations that are recomputed instead.

How it is measured:
    The most memory in use on the device (NVML) less the peak that the allocator reserved and what other processes hold.
    What is left are the CUDA context, NCCL's buffers, workspaces of libraries and memory that extensions allocate.

Does not apply when:
    Training runs on the CPU.

Fix:
    Fewer communicators (each process group has buffers of its own: NCCL_BUFFSIZE), no second framework that
    reserves the device (XLA_PYTHON_CLIENT_PREALLOCATE=false), an allocator that extensions share with PyTorch.

Verify:
    Record again: memory in use comes down to what the allocator reserves, give or take 4 GiB.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.device_health import on_the_cpu, sampled, who
from llmprof.units import format_bytes

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="foreign-memory",
    category="memory",
    title="Device memory is in the allocator",
    failed_title="Much device memory is in use outside the allocator",
    fixes=(),
    thresholds=(thresholds.HIDDEN_MEMORY,),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the device with most memory outside."""
    if on_the_cpu(facts):
        return RULE.not_applicable("Training runs on the CPU.")
    hidden = {rank.rank: size for rank in sampled(facts) if (size := _hidden(rank)) is not None}
    if not hidden:
        return RULE.no_data("Memory in use on the device, or the allocator's share of it, was not recorded.")
    number = max(sorted(hidden), key=lambda one: hidden[one])
    rank = facts.ranks.get(number, facts.critical)
    assert rank.hardware is not None and rank.memory is not None
    text = f"{format_bytes(hidden[number])} of {who(facts, rank)} are neither in PyTorch's allocator nor held by others"
    figures = [
        evidence.number("in use on the device", rank.hardware.used_bytes, "bytes", source="NVML", rank=number),
        evidence.number("reserved by the allocator", rank.memory.peak_reserved_bytes, "bytes", source="allocator"),
        evidence.number("held by other processes", rank.hardware.other_bytes, "bytes", source="NVML", rank=number),
    ]
    if hidden[number] < thresholds.HIDDEN_MEMORY.value:
        return RULE.passed(f"{text}.", evidence=figures)
    return RULE.fired(
        facts,
        f"{text}: contexts and NCCL take less.",
        cost_ns=None,
        confidence=0.7,
        evidence=figures,
        ranks=tuple(sorted(one for one, size in hidden.items() if size >= thresholds.HIDDEN_MEMORY.value)),
        severity="info",
    )


def _hidden(rank: RankFacts) -> int | None:
    hardware, memory = rank.hardware, rank.memory
    if hardware is None or memory is None or hardware.used_bytes is None or memory.peak_reserved_bytes is None:
        return None
    if hardware.other_bytes is None:  # what others hold cannot be told from what libraries hold
        return None
    return max(0, hardware.used_bytes - memory.peak_reserved_bytes - hardware.other_bytes)
