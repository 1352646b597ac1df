"""Are gradients reduced in fp32 although the model computes in 16 bits?

Detects:
    All-reduces or reduce-scatters of fp32 gradients in a run whose matrix products run in bf16 or fp16.

Why it costs time:
    fp32 gradients are twice as long as the format that they were computed in, and their transfer takes twice as long.

How it is measured:
    The number format of the reductions against that of the matrix products. Half of the exposed time goes with half of
    the bytes; gradient buckets are replayed with messages of half the length, which may hide more. What the casts of
    DistributedDataParallel's hook read and write, over the memory bandwidth of the device, is taken off.

Does not apply when:
    The run has one rank, its steps hold no collectives, or the model computes in fp32.

Fix:
    DistributedDataParallel: register `bf16_compress_hook`. FSDP: `MixedPrecisionPolicy(reduce_dtype=torch.bfloat16)`.

Verify:
    Record again: the reductions are bf16 and half as long. Compare the loss over some hundred steps.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.communication.collectives import CollectiveFacts, CollectiveGroup
from llmprof.analyzers.facts.device.devices import find_device
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import (
    communication_gain,
    explained,
    exposed_of,
    exposed_share,
    joined_by_hand,
    parallelism,
    question,
)
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import part_ns
from llmprof.analyzers.rules.host_waits import reduced_by_hand
from llmprof.units import NS_PER_S, format_bytes, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="fp32-gradients",
    category="communication",
    title="Gradients are reduced in the format that they are computed in",
    failed_title="Gradients are reduced in fp32",
    fixes=("compress-gradients", "reduce-in-bf16"),
    thresholds=(thresholds.COMMUNICATION_COST, thresholds.CAST_BYTES, thresholds.REPLAY_LOW),
)
HALF = ("bf16", "fp16")


def evaluate(facts: Facts) -> Judgement:
    """Judge the format of the reductions of the critical rank."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    computed = _format(facts)
    if computed is None:
        return RULE.no_data("The number format of the matrix products is not known.")
    if computed not in HALF:
        return RULE.not_applicable(f"The model computes in {computed}, and so are its gradients.")
    reductions = [g for g in collectives.groups if g.op in ("all_reduce", "reduce_scatter") and not g.of_both_passes]
    groups = [group for group in reductions if group.dtype == "fp32"]
    if not any(group.bytes for group in groups):
        return RULE.passed("No gradients are reduced in fp32.")
    moved = sum(group.bytes or 0.0 for group in groups)
    saved, replayed = _saved(facts, collectives, groups)
    figures = [
        evidence.number("matrix products", computed, "number format", source="trace"),
        evidence.number("reduced in fp32", moved, "bytes per step", source="trace"),
        exposed_share(facts, saved),
    ]
    if saved < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(f"Half of {format_bytes(moved)} in fp32 would save {format_ns(saved)}.", evidence=figures)
    return RULE.fired(
        facts,
        f"{format_bytes(moved)} of gradients per step are reduced in fp32, computed in {computed}; half of the bytes "
        f"would save {format_ns(saved)}.",
        cost_ns=saved,
        confidence=confidence_of(facts, "communication", strength=0.9 if replayed else 0.8),
        evidence=figures,
        recommendations=[_fix(facts, groups, saved, replayed=replayed)],
    )


def _format(facts: Facts) -> str | None:
    """The format in which most of the time of matrix products is spent."""
    kernels = facts.critical.kernels
    if kernels is None or not kernels.gemm_ns_by_format:
        return None
    known = {name: ns for name, ns in kernels.gemm_ns_by_format.items() if name != "unknown"}
    return max(known, key=lambda name: known[name]) if known else None


def _saved(facts: Facts, collectives: CollectiveFacts, groups: list[CollectiveGroup]) -> tuple[float, bool]:
    """Ns per step that half as many bytes save, the casts taken off, and whether a replay says so.

    Half of what is exposed goes in any case; the replay adds what then no longer stands in line behind it.
    """
    buckets = None if parallelism(facts).fsdp else collectives.buckets
    saved = exposed_of(facts, groups) / 2
    if buckets is not None:
        saved = max(saved, explained(facts, buckets.tail_ns() - buckets.tail_ns(bytes_factor=0.5)))
    return max(0.0, saved - _cast_ns(facts, groups)), buckets is not None


def _cast_ns(facts: Facts, groups: list[CollectiveGroup]) -> float:
    """What the casts of the hook take on the device; FSDP reduces in the format in which gradients come: none."""
    device = facts.critical.environment.device
    peaks = find_device(device.name, device.sm_count)
    if parallelism(facts).fsdp or peaks is None:
        return 0.0
    elements = sum(group.bytes or 0.0 for group in groups) / 4
    return elements * thresholds.CAST_BYTES.value / peaks.achievable_bytes_per_s * NS_PER_S


def _fix(facts: Facts, groups: list[CollectiveGroup], saved: float, *, replayed: bool) -> Recommendation:
    exposed = exposed_of(facts, groups)
    total = sum(group.ns for group in groups)
    gain, late = communication_gain(
        facts,
        expected_ns=saved,
        low_ns=thresholds.REPLAY_LOW.value * saved,
        # Half of all transfers, hidden ones too, may come off what is exposed.
        high_ns=max(saved, min(exposed, total / 2, part_ns(facts, "communication"))),
        replayed=replayed,
    )
    sharded = bool(parallelism(facts).fsdp)
    version = facts.critical.environment.fsdp.version if facts.critical.environment.fsdp else None
    if reduced_by_hand(facts) or joined_by_hand(facts):
        how = "half = gradient.bfloat16(); dist.all_reduce(half); gradient.copy_(half)"
    elif not sharded:
        how = (
            "from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook; "
            "model.register_comm_hook(None, bf16_compress_hook)"
        )
    elif version == 1:
        how = "FullyShardedDataParallel(..., mixed_precision=MixedPrecision(reduce_dtype=torch.bfloat16))"
    else:
        how = (
            "fully_shard(module, mp_policy=MixedPrecisionPolicy(param_dtype=torch.bfloat16, "
            "reduce_dtype=torch.bfloat16))"
        )
    return recommend(
        "reduce-in-bf16" if sharded else "compress-gradients",
        rule=RULE.id,
        facts=facts,
        action="Reduce gradients in bf16",
        why=f"The messages are half as long. {late}".rstrip(),
        how=how,
        gain=gain,
        watch="the communication part",
    )
