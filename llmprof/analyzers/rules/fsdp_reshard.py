"""Are FSDP's parameters gathered twice although they would fit?

Detects:
    Sharded parameters that are freed after the forward pass and gathered again for the backward pass, while device
    memory would hold them.

Why it costs time:
    Each step moves the parameters twice instead of once: three times their bytes with the gradients instead of two.

How it is measured:
    Exposed all-gathers that the backward pass launched. The bytes of the gathered parameters against the memory that
    the allocator never used.

Does not apply when:
    The run has one rank, its steps hold no collectives, the model is not sharded, or parameters are kept already.

Fix:
    `fully_shard(..., reshard_after_forward=False)`; in the wrapper class `ShardingStrategy.SHARD_GRAD_OP`.

Verify:
    Record again: half as many all-gathers, and a higher peak of memory.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.communication.collectives import CollectiveFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import communication_gain, explained, exposed_share, parallelism, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import part_ns
from llmprof.units import format_bytes, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="fsdp-reshard",
    category="communication",
    title="FSDP gathers parameters no more often than memory demands",
    failed_title="FSDP gathers parameters twice",
    fixes=("fsdp-keep-unsharded",),
    thresholds=(thresholds.COMMUNICATION_COST, thresholds.FIT_SHARE, thresholds.REPLAY_LOW),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the all-gathers of the critical rank's backward pass against the memory that is free."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    if not parallelism(facts).fsdp:
        return RULE.not_applicable("The model is not sharded by FSDP.")
    settings = facts.critical.environment.fsdp
    if settings is not None and settings.reshard_after_forward == "no":
        return RULE.passed("Parameters stay whole between forward and backward.")
    gathers = [group for group in collectives.groups if group.op == "all_gather"]
    if not gathers or any(group.backward_exposed_ns is None for group in gathers):
        return RULE.no_data("It is not known which all-gathers belong to the backward pass; trace CPU and CUDA.")
    again = sum(g.bytes * (g.backward_share or 0.0) for g in gathers if g.bytes is not None)
    exposed = explained(facts, sum(group.backward_exposed_ns or 0.0 for group in gathers))
    figures = [
        evidence.number("gathered again in backward", again, "bytes per step", source="trace"),
        exposed_share(facts, exposed),
    ]
    if exposed < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(
            f"All-gathers of the backward pass are hidden but for {format_ns(exposed)}.", evidence=figures
        )
    room, needed = _room(facts), _gathered_bytes(collectives)
    if room is None or needed is None:
        return RULE.no_data(
            "It is not known whether the whole parameters would fit; record the run with `llmprof run`."
        )
    figures.append(evidence.number("memory that was never used", room, "bytes", source="allocator"))
    if needed > room:
        return RULE.passed(
            f"Whole parameters take {format_bytes(needed)}, and {format_bytes(max(room, 0))} are free.",
            evidence=figures,
        )
    return RULE.fired(
        facts,
        f"Parameters are gathered a second time in the backward pass, {format_ns(exposed)} of it exposed; whole they "
        f"take {format_bytes(needed)}, and {format_bytes(room)} are free.",
        cost_ns=exposed,
        confidence=confidence_of(facts, "communication", strength=0.9),
        evidence=figures,
        recommendations=[_keep(facts, exposed, int(needed))],
    )


def _room(facts: Facts) -> float | None:
    """Bytes of the device that may still be used on the fullest rank."""
    found = [
        thresholds.FIT_SHARE.value * rank.memory.capacity_bytes - rank.memory.peak_reserved_bytes
        for rank in facts.ranks.values()
        if rank.memory is not None and rank.memory.capacity_bytes and rank.memory.peak_reserved_bytes is not None
    ]
    return min(found) if len(found) == len(facts.ranks) else None


def _gathered_bytes(collectives: CollectiveFacts) -> float | None:
    """What one forward pass gathers: the whole parameters in the format that they are gathered in."""
    gathers = [group for group in collectives.groups if group.op == "all_gather"]
    if any(group.bytes is None or group.backward_share is None for group in gathers):
        return None
    forward = sum((g.bytes or 0.0) * (1 - (g.backward_share or 0.0)) for g in gathers)
    return forward / max(1.0, collectives.microbatches or 1.0)


def _keep(facts: Facts, exposed: float, needed: int) -> Recommendation:
    gain, late = communication_gain(
        facts,
        expected_ns=exposed,
        low_ns=thresholds.REPLAY_LOW.value * exposed,
        # Reductions no longer stand in line behind these all-gathers, so that theirs may get shorter too.
        high_ns=min(part_ns(facts, "communication"), 2 * exposed),
    )
    settings = facts.critical.environment.fsdp
    how = (
        "FullyShardedDataParallel(..., sharding_strategy=ShardingStrategy.SHARD_GRAD_OP)"
        if settings is not None and settings.version == 1
        else "fully_shard(module, reshard_after_forward=False)"
    )
    return recommend(
        "fsdp-keep-unsharded",
        rule=RULE.id,
        facts=facts,
        action="Keep parameters whole between forward and backward",
        why=f"The backward pass then needs no all-gather. {late}".rstrip(),
        how=how,
        gain=gain,
        watch="the communication part",
        risk=f"Takes up to {format_bytes(needed)} more memory.",
    )
