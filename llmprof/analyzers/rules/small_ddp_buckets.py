"""Are the gradient buckets of DistributedDataParallel too small?

Detects:
    Gradient buckets so small that the latency of their many reductions delays the end of the backward pass.

Why it costs time:
    Each reduction costs a latency beside its bytes. Small buckets begin earlier, but when there are too many of them
    their latencies add up behind the last gradient, where nothing hides them.

How it is measured:
    The time of a message by its size is fitted to the transfers of the traced steps (latency and bandwidth). The
    reductions are then replayed with neighbouring buckets joined: a bucket begins when its last gradient is there and
    the one before is done. The gain is by how much the tail behind the last gradient gets shorter.

Does not apply when:
    The run has one rank, its steps hold no collectives, or gradients are not reduced in the backward pass.

Fix:
    A larger `bucket_cap_mb`.

Verify:
    Record again: fewer reductions per step, and a shorter communication part.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import communication_gain, explained, exposed_share, parallelism, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.host_waits import reduced_by_hand
from llmprof.units import format_bytes, format_count, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="small-ddp-buckets",
    category="communication",
    title="Gradient buckets are large enough",
    failed_title="Gradient buckets are too small",
    fixes=("ddp-bucket-size",),
    thresholds=(thresholds.COMMUNICATION_COST, thresholds.REPLAY_LOW),
)
MIB = 1 << 20


def evaluate(facts: Facts) -> Judgement:
    """Replay the reductions of the critical rank with larger buckets."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    if parallelism(facts).fsdp:
        return RULE.not_applicable("Gradients are sharded, not reduced in buckets of DistributedDataParallel.")
    if reduced_by_hand(facts):
        return RULE.not_applicable("Gradients are reduced one by one; that is another finding.")
    buckets = collectives.buckets
    if buckets is None:
        if not any(group.op == "all_reduce" and group.backward_share != 0 for group in collectives.groups):
            return RULE.not_applicable("No gradients are reduced in the backward pass.")
        return RULE.no_data(
            "Latency and bandwidth cannot be told apart: record a burst on every rank, with messages of several sizes."
        )
    now = buckets.tail_ns()
    size, tail = buckets.best_size()
    saved = explained(facts, now - tail)
    count, mean = format_count(buckets.count), format_bytes(buckets.mean_bytes)
    if saved < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(f"{count} buckets of {mean} on average: larger ones would save {format_ns(saved)}.")
    gain, late = communication_gain(
        facts, expected_ns=saved, low_ns=thresholds.REPLAY_LOW.value * saved, high_ns=saved, replayed=True
    )
    cap = size // MIB
    why = f"Each message costs {format_ns(buckets.fit.latency_ns)} beside its bytes, {count} times per step."
    return RULE.fired(
        facts,
        f"{count} gradient buckets of {mean} on average: {format_ns(saved)} per step are the latency of their number.",
        cost_ns=saved,
        confidence=confidence_of(facts, "communication", strength=0.9),
        evidence=[
            exposed_share(facts, saved),
            evidence.number("buckets", buckets.count, "per step", source="trace"),
            evidence.number("bucket size, mean", buckets.mean_bytes, "bytes", source="trace"),
            evidence.time("tail behind the last gradient", buckets.recorded_tail_ns, source="trace"),
            evidence.time("the same by replay", now, source="replay"),
            evidence.time(f"with buckets of {cap} MiB", tail, source="replay"),
        ],
        recommendations=[
            recommend(
                "ddp-bucket-size",
                rule=RULE.id,
                facts=facts,
                action=f"Set bucket_cap_mb of DistributedDataParallel to {cap}",
                why=f"{why} {late}".rstrip(),
                how=f"DistributedDataParallel(model, bucket_cap_mb={cap})",
                gain=gain,
                watch="the communication part",
            )
        ],
    )
