"""Are the gradient buckets of DistributedDataParallel too small?

Detects:
    Gradient buckets so small that the latency of their many reductions delays the end of the backward pass.

Why it costs time:
    Each reduction costs a latency beside its bytes, and the host a call that is as long for any size. Small buckets
    begin earlier, but when there are too many of them their latencies add up behind the last gradient, where nothing
    hides them.

How it is measured:
    The time of a message by its size is fitted to the transfers of the traced steps (latency and bandwidth). The
    reductions are then replayed with neighbouring buckets joined: a bucket begins when its last gradient is there and
    the one before is done. The gain is by how much the tail behind the last gradient gets shorter; where the device
    waits for the host, at least the host's time in the calls that then are not made.

Does not apply when:
    The run has one rank, its steps hold no collectives, or gradients are not reduced in the backward pass.

Fix:
    A larger `bucket_cap_mb`.

Verify:
    Record again: fewer reductions per step, and a shorter communication part.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence, Gain, Recommendation
from llmprof.analyzers.facts.communication.buckets import SIZES, Buckets
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import communication_gain, explained, exposed_share, parallelism, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import data_late_weight, gain, host_late_share, part_ns
from llmprof.analyzers.rules.host_waits import reduced_by_hand, unprofiled_ns
from llmprof.units import format_bytes, format_count, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="small-ddp-buckets",
    category="communication",
    title="Gradient buckets are large enough",
    failed_title="Gradient buckets are too small",
    fixes=("ddp-bucket-size",),
    thresholds=(thresholds.COMMUNICATION_COST, thresholds.REPLAY_LOW, thresholds.HOST_LATE_SHARE),
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
    size, tail = buckets.best_size()
    transfer = explained(facts, buckets.tail_ns() - tail)
    if not size:  # as they are, as far as transfers go; fewer calls of the host may count all the same
        size, tail = SIZES[0], buckets.tail_ns(at_least=SIZES[0])
    host, most = _host(facts, buckets, size)
    saved = max(transfer, host)
    count, mean = format_count(buckets.count), format_bytes(buckets.mean_bytes)
    if saved < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(f"{count} buckets of {mean} on average: larger ones would save {format_ns(saved)}.")
    if host > transfer:
        why, what = f"The device waits for the host, which issues {count} reductions per step.", "the calls of the host"
        weight, late = data_late_weight(facts)
        estimate = gain(facts, expected_ns=weight * host, low_ns=0.0, high_ns=most, at_most_ns=most)
    else:
        why = f"Each message costs {format_ns(buckets.fit.latency_ns)} beside its bytes, {count} times per step."
        what, low = "the latency of their number", thresholds.REPLAY_LOW.value * transfer
        estimate, late = communication_gain(facts, expected_ns=transfer, low_ns=low, high_ns=transfer, replayed=True)
    figures = _figures(facts, buckets, size, saved, tail)
    advice = _advice(facts, size // MIB, f"{why} {late}".rstrip(), estimate)
    return RULE.fired(
        facts,
        f"{count} gradient buckets of {mean} on average: {format_ns(saved)} per step are {what}.",
        cost_ns=saved,
        confidence=confidence_of(facts, "communication", strength=0.9),
        evidence=figures,
        recommendations=[advice],
    )


def _figures(facts: Facts, buckets: Buckets, size: int, saved: float, tail: float) -> list[Evidence]:
    return [
        exposed_share(facts, saved),
        evidence.number("buckets", buckets.count, "per step", source="trace"),
        evidence.number("bucket size, mean", buckets.mean_bytes, "bytes", source="trace"),
        evidence.time("tail behind the last gradient", buckets.recorded_tail_ns, source="trace"),
        evidence.time("the same by replay", buckets.tail_ns(), source="replay"),
        evidence.time(f"with buckets of {size // MIB} MiB", tail, source="replay"),
    ]


def _advice(facts: Facts, cap: int, why: str, estimate: Gain) -> Recommendation:
    return recommend(
        "ddp-bucket-size",
        rule=RULE.id,
        facts=facts,
        action=f"Set bucket_cap_mb of DistributedDataParallel to {cap}",
        why=why,
        how=f"DistributedDataParallel(model, bucket_cap_mb={cap})",
        gain=estimate,
        watch="the communication part",
    )


def _host(facts: Facts, buckets: Buckets, size: int) -> tuple[float, float]:
    """Expected and most ns per step that a late host saves when it issues fewer buckets; 0 where it is not late.

    Issuing costs the same for a message of any size, and what waits for it is the device. How much of the recorded
    time is the profiler's is known for the host as a whole only: at most none of it.
    """
    collectives = facts.critical.collectives
    issue = None if collectives is None else collectives.issue_ns
    if collectives is None or issue is None or host_late_share(facts) < thresholds.HOST_LATE_SHARE.value:
        return 0.0, 0.0
    gone = max(0.0, buckets.count - buckets.count_with(size)) / collectives.count_per_step
    most = min(gone * issue, part_ns(facts, "host"))
    return min(unprofiled_ns(facts, gone * issue), most), most
